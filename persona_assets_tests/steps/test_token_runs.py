"""Shares of an index are those of runs compared one by one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.steps.token_runs import RunIndex

texts_of_ids = st.lists(st.lists(st.integers(0, 3), max_size=9), max_size=6)


def runs(text: list[int], length: int) -> set[tuple[int, ...]]:
    """Return all runs of a text; a shorter text is a single run, an empty one has none."""
    size = min(length, len(text))
    return {tuple(text[i : i + size]) for i in range(len(text) - size + 1)} if text else set()


@settings(deadline=None, derandomize=True)
@given(texts_of_ids, texts_of_ids, st.integers(1, 5))
def test_shares_are_those_of_runs_compared_one_by_one(
    indexed: list[list[int]], texts: list[list[int]], length: int
) -> None:
    index = RunIndex([np.array(text, np.int64) for text in indexed], length)
    ids = np.array([token for text in texts for token in text], np.int64)
    rows = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    shares = index.shares(ids, rows)
    found = {
        (row, number): share
        for row, number, share in zip(*(column.tolist() for column in shares), strict=True)
    }
    expected = {}
    for row, text in enumerate(texts):
        for number, other in enumerate(indexed):
            own = runs(other, length)
            common = own & runs(text, min(length, len(other)))
            if common:
                expected[row, number] = len(common) / len(own)
    assert found == expected
