"""Specification of `near_sketches`: pairs within the cut that share a key, each reported once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.semantic.lsh import BATCH, near_sketches
from persona_assets.dedup.semantic.sign_sketches import BITS, WORDS, Parameters, key_masks


@st.composite
def sketch_rows(draw: st.DrawFn) -> np.ndarray:
    """Draw sketches that differ by a few bits from three centres; some are zero."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    centres = rng.integers(0, 2**63, size=(3, WORDS)).astype(np.uint64)
    rows = centres[rng.integers(0, 3, size=draw(st.integers(0, 40)))]
    for row in rows:
        for bit in rng.integers(0, BITS, size=rng.integers(0, 30)):
            row[bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
        if rng.random() < 0.1:
            row[:] = 0
    return rows


@settings(deadline=None, max_examples=50)
@given(
    sketch_rows(), st.integers(0, 40), st.integers(0, 12), st.integers(1, 20), st.integers(4, 30)
)
def test_near_sketches_equal_the_naive_loop(
    rows: np.ndarray, split: int, bits: int, tables: int, cut: int
) -> None:
    parameters = Parameters(8, 0.9, bits, tables, cut)
    split = min(split, len(rows))
    masks = key_masks(parameters)
    expected = {
        (i, j)
        for j in range(split, len(rows))
        for i in range(j)
        if rows[i].any() and rows[j].any()
        if np.bitwise_count(rows[i] ^ rows[j]).sum() <= cut
        and any(not ((rows[i] ^ rows[j]) & m).any() for m in masks)
    }
    batches = near_sketches(parameters, range(tables), rows[split:], rows[:split])
    reported = [
        tuple(sorted(pair)) for left, right in batches for pair in zip(left, right, strict=True)
    ]
    assert len(reported) == len(set(reported))
    assert {pair for pair in reported if rows[pair[0]].any()} == expected


@pytest.mark.parametrize(("flips", "bits", "tables", "cut"), [(0, 3, 2, 10), (30, 3, 20, 50)])
def test_near_sketches_report_each_pair_once_over_several_batches(
    flips: int, bits: int, tables: int, cut: int
) -> None:
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.integers(0, 2**63, size=(1, WORDS)).astype(np.uint64), 600, axis=0)
    for bit in rng.integers(0, BITS, size=(flips, 600)):
        rows[np.arange(600), bit // 64] ^= np.uint64(1) << (bit % 64).astype(np.uint64)
    parameters = Parameters(8, 0.9, bits, tables, cut)
    differ = rows[:, None] ^ rows
    expected = np.zeros((600, 600), np.int64)
    for mask in key_masks(parameters):
        expected |= ~(differ & mask).any(axis=2)
    expected *= np.bitwise_count(differ).sum(axis=2) <= cut
    assert expected.sum() > 2 * BATCH
    np.fill_diagonal(expected, 0)
    for old in (0, 1, 450):
        reports = np.zeros((600, 600), np.int64)
        for left, right in near_sketches(parameters, range(tables), rows[old:], rows[:old]):
            reports[left, right] += 1
        expected[:old, :old] = 0
        assert (reports + reports.T == expected).all()
