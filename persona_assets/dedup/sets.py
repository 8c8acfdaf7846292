"""Distinct word sets, as the kernels of a join see them: known ones first, then new ones."""

from typing import NamedTuple

from persona_assets.dedup.folding import Texts, fold_text
from persona_assets.dedup.kernels import Array, Int, kernel, load64, store64
from persona_assets.dedup.tokens import ascending, split


class Sets(NamedTuple):
    """Distinct word sets by number: first those known before, then the rows of `texts`.

    Of the known ones, `canonical[offsets[i]:offsets[i + 1]]` is the text of set i. `sizes` and
    `bitmaps` (uint32 and uint64 (n, 2)) are as `partenum.describe` gives them, `new_...` those of
    `texts`.
    `longest` is the most bytes that the canonical form of any takes.
    """

    canonical: Array
    offsets: Array
    sizes: Array
    bitmaps: Array
    texts: Texts
    new_sizes: Array
    new_bitmaps: Array
    longest: int


class Keys(NamedTuple):
    """Keys and the sets that have them: uint64 and uint32 of one length."""

    key: Array
    item: Array


@kernel
def words_of(sets: Sets, item: Int, scratch: Array, words: Array) -> Int:
    """How many words a set has; `words` gets them, ascending, `scratch` its canonical text."""
    known = len(sets.sizes)
    if item >= known:
        stop = fold_text(sets.texts, item - known, scratch, 0)
    else:
        canonical, start = sets.canonical, sets.offsets[item]
        stop = sets.offsets[item + 1] - start
        for i in range(0, stop - 7, 8):
            store64(scratch, i, load64(canonical, start + i))
        # Behind the last known text there may be nothing that can be read.
        for i in range(stop & ~7, stop):
            scratch[i] = canonical[start + i]
    count = split(scratch, 0, stop, words)
    ascending(words, count)
    return count
