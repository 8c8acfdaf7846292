"""Corrected p-values are those of the literature, and intervals hold together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.steps.half_samples import Interval
from persona_assets.steps.multiplicity import holm

p_values = st.lists(st.none() | st.floats(0, 1), max_size=12)


def test_correction_is_that_of_a_published_table() -> None:
    # Wright, "Adjusted p-values for simultaneous inference", Biometrics 48 (1992): the smallest of
    # k values is multiplied by k, the next by k - 1, and none may fall below an earlier one.
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])


@given(p_values)
def test_correction_keeps_order_and_missing_values_and_never_helps(
    values: list[float | None],
) -> None:
    corrected = holm(values)
    pairs = [
        (p, q) for p, q in zip(values, corrected, strict=True) if p is not None and q is not None
    ]
    assert [p is None for p in values] == [q is None for q in corrected]
    assert all(p <= q <= min(1.0, len(pairs) * p) for p, q in pairs)
    ordered = [q for _, q in sorted(pairs)]
    assert ordered == sorted(ordered)


def test_an_interval_among_others_is_wider_and_alone_the_same() -> None:
    found = Interval(1.0, 0.5, 2.0)
    assert found.among(1) == pytest.approx(found)
    wide = found.among(21)
    assert (wide.low or 9.0) < 0.5
    assert (wide.high or 0.0) > 2.0
    assert ((wide.high or 0.0) - 1.0) / (1.0 - (wide.low or 0.0)) == pytest.approx(2.0)
    assert Interval(1.0, None, None).among(21) == Interval(1.0, None, None)
