"""Distinct word sets, as the kernels of a join see them: known ones first, then new ones."""

from typing import NamedTuple

import numpy as np

from persona_assets.dedup.kernels.compile import Array, Int, frozen, inlined, kernel
from persona_assets.dedup.text.folding import ROOM, CanonicalTexts, TextBuffers, fold_texts


class DistinctSets(NamedTuple):
    """Distinct word sets by number: first those known before, then the rows of `texts`.

    Of the known ones, `canonical[offsets[i]:offsets[i + 1]]` is the text of set i. `sizes` and
    `bitmaps` are as in `Summary`, `new_...` those of `texts`.
    """

    canonical: Array
    offsets: Array
    sizes: Array
    bitmaps: Array
    texts: TextBuffers
    new_sizes: Array
    new_bitmaps: Array


class SetSummary(NamedTuple):
    """What is told of each of n sets by numbers alone.

    `sizes` (uint32) are words, `bitmaps` (uint64 (n, 2)) parities of their hashes, `contents`
    (uint64) sums of them: equal sets have equal ones.
    """

    sizes: Array
    bitmaps: Array
    contents: Array

    def rows(self, first: int, stop: int) -> "SetSummary":
        """That of the sets [first, stop): a view."""
        return SetSummary(*(column[first:stop] for column in self))


def empty_summary(count: int) -> SetSummary:
    """Room for what `partenum.describe` tells of so many sets."""
    sizes, contents = np.empty(count, np.uint32), np.empty(count, np.uint64)
    return SetSummary(sizes, np.empty((count, 2), np.uint64), contents)


class SetKeys(NamedTuple):
    """Keys and the sets that have them: uint64 and uint32 of one length."""

    key: Array
    item: Array


NO_KEYS = SetKeys(frozen(np.empty(0, np.uint64)), frozen(np.empty(0, np.uint32)))


def lengths_of(sets: DistinctSets, items: Array) -> Array:
    """Bytes of the texts of some sets, int64: of the canonical one of a known set."""
    known = len(sets.sizes)
    lengths, old = np.empty(len(items), np.int64), items < known
    for offsets, chosen, rows in (
        (sets.offsets, old, items[old]),
        (sets.texts.offsets, ~old, items[~old] - known),
    ):
        lengths[chosen] = offsets[rows + 1] - offsets[rows]
    return lengths


def canonical_of(sets: DistinctSets, items: Array) -> CanonicalTexts:
    """The canonical texts of some sets, in their order."""
    known = len(sets.sizes)
    new = items >= known
    fresh = fold_texts(sets.texts, items[new] - known)
    if new.all():
        return fresh
    old = items[~new]
    total = int((sets.offsets[old + 1] - sets.offsets[old]).sum() + fresh.ends[-1])
    data, ends = np.empty(total + ROOM, np.uint8), np.empty(len(items) + 1, np.int64)
    _merge(sets.canonical, sets.offsets, *fresh, items, known, data, ends)
    return CanonicalTexts(data, ends)


@kernel
def _merge(
    canonical: Array,
    offsets: Array,
    fresh: Array,
    fresh_ends: Array,
    items: Array,
    known: Int,
    out: Array,
    ends: Array,
) -> None:
    """Texts of items below `known` by their number, the others as they come."""
    at, taken = np.int64(0), 0
    for i in range(len(items)):
        ends[i] = at
        if items[i] < known:
            at = _copy(canonical, offsets[items[i]], offsets[items[i] + 1], out, at)
        else:
            at = _copy(fresh, fresh_ends[taken], fresh_ends[taken + 1], out, at)
            taken += 1
    ends[len(items)] = at


@inlined
def _copy(data: Array, start: Int, stop: Int, out: Array, at: Int) -> Int:
    for i in range(start, stop):
        out[at + i - start] = data[i]
    return at + stop - start
