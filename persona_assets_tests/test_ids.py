"""Row ids are hashes of content and origin; draws are uniform and repeatable."""

from collections.abc import Sequence
from statistics import fmean

from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.ids import content_id, persona_id, sample_id, solution_id, text_id, uniform

# Any characters of a str, lone surrogates included.
texts = st.text(alphabet=st.characters(exclude_categories=()), max_size=6)
parts = st.lists(texts, max_size=4)


@settings(deadline=None)
@given(parts, parts)
def test_content_ids_are_equal_exactly_for_equal_parts(
    one: Sequence[str], other: Sequence[str]
) -> None:
    assert (content_id(*one) == content_id(*other)) == (one == other)


def test_content_id_depends_on_the_ends_of_parts() -> None:
    assert len({content_id("ab", "c"), content_id("a", "bc"), content_id("abc")}) == 3


def test_ids_never_change_between_versions() -> None:
    # A change would orphan every table and every paid completion.
    assert content_id() == "cae66941d9efbd404e4d88758ea67670"  # BLAKE2b of b"", 16 bytes
    assert text_id("a.jsonl", "web", "Some text.") == "4df7886e83de6a486d71268112a1f8f2"
    assert uniform("held_out", "1") == 0.08011409830449812


@settings(deadline=None)
@given(st.lists(texts, min_size=3, max_size=3), st.integers(0, 2), texts)
def test_row_id_depends_on_each_of_its_parts(row: list[str], place: int, other: str) -> None:
    changed = [*row[:place], other, *row[place + 1 :]]
    for make in (text_id, persona_id):
        assert (make(*row) == make(*changed)) == (row == changed)


def test_kinds_of_rows_never_share_an_id() -> None:
    ids = [
        content_id("a", "b", "1"),
        text_id("a", "b", "1"),
        persona_id("a", "b", "1"),
        sample_id("a", "b", 1),
        solution_id("a", "b"),
        content_id("a", "b"),
    ]
    assert len(set(ids)) == len(ids)
    assert {len(row_id) for row_id in ids} == {32}


def test_samples_of_a_persona_have_different_ids() -> None:
    assert len({sample_id("tools", "p", index) for index in range(50)}) == 50


@settings(deadline=None)
@given(parts)
def test_uniform_is_repeatable_and_in_the_unit_interval(row: Sequence[str]) -> None:
    assert 0 <= uniform(*row) < 1
    assert uniform(*row) == uniform(*row)


def test_uniform_draws_are_spread_evenly() -> None:
    draws = [uniform("task", str(number)) for number in range(4000)]
    assert len(set(draws)) == 4000
    assert abs(fmean(draws) - 0.5) < 0.02
    for tenth in range(10):
        assert 340 < sum(tenth <= 10 * draw < tenth + 1 for draw in draws) < 460
