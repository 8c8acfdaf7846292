"""Distinct word sets as the kernels of a join see them: known sets first, then new sets."""

from typing import NamedTuple

import numpy as np

from persona_assets.dedup.kernels.compile import Array, Int, frozen, inlined, kernel
from persona_assets.dedup.text.folding import PADDING, CanonicalTexts, TextBuffers, fold_texts


class DistinctSets(NamedTuple):
    """Distinct word sets by number: known sets first, then the rows of `texts`.

    Attributes:
        canonical: Canonical texts of the known sets, uint8.
        offsets: Bounds of the known sets' texts, int64: `canonical[offsets[i]:offsets[i + 1]]`.
        sizes: Sizes of the known sets, see `SetSummary`.
        bitmaps: Bitmaps of the known sets, see `SetSummary`.
        texts: New texts.
        new_sizes: Sizes of the new sets.
        new_bitmaps: Bitmaps of the new sets.
    """

    canonical: Array
    offsets: Array
    sizes: Array
    bitmaps: Array
    texts: TextBuffers
    new_sizes: Array
    new_bitmaps: Array


class SetSummary(NamedTuple):
    """Size, bitmap and hash sum of each of n sets.

    Attributes:
        sizes: Number of words, uint32 of shape (n,).
        bitmaps: Parities of the word hashes in 128 bits, uint64 of shape (n, 2).
        contents: Sum of the word hashes, uint64 of shape (n,): equal sets have equal sums.
    """

    sizes: Array
    bitmaps: Array
    contents: Array

    def rows(self, first: int, stop: int) -> "SetSummary":
        """Return a view of the sets [first, stop)."""
        return SetSummary(*(column[first:stop] for column in self))


def empty_summary(count: int) -> SetSummary:
    """Allocate a summary of `count` sets, for `summarize_sets` to fill."""
    sizes, contents = np.empty(count, np.uint32), np.empty(count, np.uint64)
    return SetSummary(sizes, np.empty((count, 2), np.uint64), contents)


class SetKeys(NamedTuple):
    """Keys and the numbers of their sets: uint64 and uint32 of equal length."""

    key: Array
    item: Array


NO_KEYS = SetKeys(frozen(np.empty(0, np.uint64)), frozen(np.empty(0, np.uint32)))


def text_lengths(sets: DistinctSets, items: Array) -> Array:
    """Return the size in bytes of each set's text, int64: the canonical text of a known set."""
    known = len(sets.sizes)
    lengths, is_known = np.empty(len(items), np.int64), items < known
    for offsets, selected, rows in (
        (sets.offsets, is_known, items[is_known]),
        (sets.texts.offsets, ~is_known, items[~is_known] - known),
    ):
        lengths[selected] = offsets[rows + 1] - offsets[rows]
    return lengths


def canonical_texts(sets: DistinctSets, items: Array) -> CanonicalTexts:
    """Return the canonical texts of the given sets, in their order."""
    known = len(sets.sizes)
    is_new = items >= known
    new_texts = fold_texts(sets.texts, items[is_new] - known)
    if is_new.all():
        return new_texts
    known_items = items[~is_new]
    size = int(
        (sets.offsets[known_items + 1] - sets.offsets[known_items]).sum() + new_texts.ends[-1]
    )
    data, ends = np.empty(size + PADDING, np.uint8), np.empty(len(items) + 1, np.int64)
    _merge(sets.canonical, sets.offsets, *new_texts, items, known, data, ends)
    return CanonicalTexts(data, ends)


@kernel
def _merge(
    canonical: Array,
    offsets: Array,
    new_canonical: Array,
    new_ends: Array,
    items: Array,
    known: Int,
    out: Array,
    ends: Array,
) -> None:
    """Write the texts of known sets, by number, and the new texts, in their order, into `out`."""
    at, new_row = np.int64(0), 0
    for i in range(len(items)):
        ends[i] = at
        if items[i] < known:
            at = _copy(canonical, offsets[items[i]], offsets[items[i] + 1], out, at)
        else:
            at = _copy(new_canonical, new_ends[new_row], new_ends[new_row + 1], out, at)
            new_row += 1
    ends[len(items)] = at


@inlined
def _copy(data: Array, start: Int, stop: Int, out: Array, at: Int) -> Int:
    """Copy `data[start:stop]` to `out[at]` and return the position behind it."""
    for i in range(start, stop):
        out[at + i - start] = data[i]
    return at + stop - start
