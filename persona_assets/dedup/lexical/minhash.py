"""MinHash signatures of word sets, equal to datasketch's, and the bands that propose pairs.

Broder: On the resemblance and containment of documents, 1997. Banding: Leskovec, Rajaraman, Ullman:
Mining of massive datasets, section 3.4.
"""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.kernels.bits import load64, mix64, trailing_zeros
from persona_assets.dedup.kernels.compile import Array, frozen, inlined, kernel
from persona_assets.dedup.lexical.sha1 import sha1_hash32

if TYPE_CHECKING:
    from datasketch import LeanMinHash

SIZE = 128  # section 2.3
SEED = 1
SCHEME = "affine32"
"""datasketch's name for permutations h -> a * h + b modulo 2^32, a odd."""

ROOM = 8
"""Bytes that must follow the last text in `data`."""

RECALL = Fraction(99, 100)
"""Least probability with which the bands propose a pair that is exactly at the threshold."""

_SLOT_BITS = 16
_LONGEST_REMEMBERED = 23  # bytes: with the length they fill three numbers


def signatures(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], size: int = SIZE, seed: int = SEED
) -> npt.NDArray[np.uint32]:
    """The MinHash signature of each text, uint32 of shape (n, size).

    Text i is `data[offsets[i]:offsets[i + 1]]`: words in UTF-8 with spaces between them, in any
    order, repeats allowed. Its signature is what `datasketch.MinHash(size, seed, scheme=SCHEME)`
    holds after an update with each word; without words, every value is 2^32 - 1. The texts may be
    taken in chunks (`offsets[i : j + 1]` with the same data), by several threads at once; chunks of
    some ten thousand keep the working memory in the processor's caches.

    Raises ValueError for offsets that descend or leave the data, for data that ends less than
    `ROOM` bytes behind the last text, for a size below 1 and for a seed that numpy does not take.
    """
    if size < 1:
        raise ValueError(f"a signature has at least one value, not {size}")
    if len(offsets) == 0 or offsets[0] < 0 or (np.diff(offsets) < 0).any():
        raise ValueError("offsets are one more than texts, start at 0 or above and never descend")
    if offsets[-1] + ROOM > len(data):
        raise ValueError(f"data must go on for {ROOM} bytes behind the last text: pad it")
    data, offsets = frozen(data), frozen(offsets)
    n = len(offsets) - 1
    most = n + int(np.count_nonzero(data[offsets[0] : offsets[-1]] == ord(" ")))
    words, starts, stops = (np.empty(most, np.int64) for _ in range(3))
    bounds = np.zeros(n + 1, np.int64)
    memory = np.zeros((1 << _SLOT_BITS, 4), np.uint64)
    distinct = _number_words(data, offsets, memory, words, bounds, starts, stops)
    hashes = np.empty(distinct, np.uint32)
    sha1_hash32(data, starts[:distinct], stops[:distinct], hashes)
    a, b = _permutations(size, seed)
    result = np.full((n, size), 0xFFFFFFFF, np.uint32)
    _lower(words, bounds, _fmix32(hashes), a, b, result)
    return result


def lean(signature: npt.NDArray[np.uint32], seed: int = SEED) -> "LeanMinHash":
    """One row of `signatures`, made with this seed, as datasketch's object for its indexes."""
    from datasketch import LeanMinHash

    return LeanMinHash(seed=seed, hashvalues=signature, scheme=SCHEME)


def bands(threshold: Fraction, size: int = SIZE) -> tuple[int, int]:
    """(bands, rows): the longest bands that propose a pair at the threshold with `RECALL`.

    Two sets of Jaccard similarity t agree on a band of r values with probability t^r, so on one of
    b bands with 1 - (1 - t^r)^b. Longer bands propose fewer pairs that are no duplicates. 0.9 gives
    12 x 10 (a recall of 0.994), 0.5 gives 42 x 3 (0.996).

    Raises ValueError for a threshold outside (0, 1] or too low for the size.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, not {threshold}")
    for rows in range(size, 0, -1):
        count = size // rows
        if (1 - threshold**rows) ** count <= 1 - RECALL:
            return count, rows
    raise ValueError(
        f"signatures of {size} values do not find pairs at {threshold} with probability "
        f"{float(RECALL)}: raise the threshold or use the exact method"
    )


def band_keys(signatures: npt.NDArray[np.uint32], bands: int, rows: int) -> npt.NDArray[np.uint64]:
    """A key of each band, uint64 of shape (n, bands).

    Band j is the values from `j * rows` on. Equal bands have equal keys; the low bits are the
    band's number, so those of different j never do; the others are a hash of the values.
    Raises ValueError if signatures hold fewer than `bands * rows` values.
    """
    if bands < 1 or rows < 1 or bands * rows > signatures.shape[1]:
        raise ValueError(f"{signatures.shape[1]} values do not make {bands} bands of {rows}")
    keys = np.empty((len(signatures), bands), np.uint64)
    _hash_bands(frozen(signatures), rows, (bands - 1).bit_length(), keys)
    return keys


def _permutations(size: int, seed: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """(a, b), drawn as datasketch draws them."""
    random = np.random.RandomState(seed)
    a = random.randint(0, 1 << 31, size, np.uint32) * np.uint32(2) + np.uint32(1)
    return a, random.randint(0, 1 << 32, size, np.uint32)


def _fmix32(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """MurmurHash3's finalizer (Appleby), which datasketch applies before its permutations."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))


@kernel
def _number_words(
    data: Array,
    offsets: Array,
    memory: Array,
    words: Array,
    bounds: Array,
    starts: Array,
    stops: Array,
) -> int:
    """Numbers the words; returns how many numbers there are.

    Text i has `words[bounds[i]:bounds[i + 1]]`; number w is `data[starts[w]:stops[w]]`. `memory`
    holds a word and its number in each slot, by the word's hash, and forgets it for the next one
    of that slot. So a word may get several numbers, but never that of another word.
    """
    count = 0
    distinct = 0
    for i in range(len(offsets) - 1):
        position, end = offsets[i], offsets[i + 1]
        while position < end:
            first = load64(data, position)
            second, third = np.uint64(0), np.uint64(0)
            space = _spaces(first)
            length = np.int64(trailing_zeros(space) >> np.uint64(3))
            if space != 0 and position + length <= end:
                first &= ((space & (~space + np.uint64(1))) >> np.uint64(7)) - np.uint64(1)
            else:
                while space == 0 and position + length < end:
                    space = _spaces(load64(data, position + length))
                    length += np.int64(trailing_zeros(space) >> np.uint64(3))
                length = min(length, end - position)
                first = _bytes(data, position, position + length)
                second = _bytes(data, position + 8, position + length)
                third = _bytes(data, position + 16, position + length)
            if length > 0:
                known = False
                if length <= _LONGEST_REMEMBERED:
                    third |= np.uint64(length) << np.uint64(56)
                    # Multiply-shift hashing (Dietzfelbinger et al. 1997): the top bits.
                    slot = memory[
                        (
                            first * np.uint64(0x9E3779B97F4A7C15)
                            + second * np.uint64(0xC2B2AE3D27D4EB4F)
                            + third * np.uint64(0x165667B19E3779F9)
                        )
                        >> np.uint64(64 - _SLOT_BITS)
                    ]
                    known = slot[0] == first and slot[1] == second and slot[2] == third
                    if known:
                        words[count] = slot[3]
                    else:
                        slot[0] = first
                        slot[1] = second
                        slot[2] = third
                        slot[3] = np.uint64(distinct)
                if not known:
                    words[count] = distinct
                    starts[distinct] = position
                    stops[distinct] = position + length
                    distinct += 1
                count += 1
            position += length + 1
        bounds[i + 1] = count
    return distinct


@inlined
def _spaces(value: Any) -> Any:
    """Its lowest set bit is the top bit of the first byte of `value` that is a space; or 0."""
    other = value ^ np.uint64(0x2020202020202020)
    return (other - np.uint64(0x0101010101010101)) & ~other & np.uint64(0x8080808080808080)


@inlined
def _bytes(data: Array, position: int, stop: int) -> Any:
    """The bytes from `position` to `stop`, at most eight of them, as uint64."""
    if position >= stop:
        return np.uint64(0)
    value = load64(data, position)
    if stop - position < 8:
        value &= (np.uint64(1) << np.uint64(8 * (stop - position))) - np.uint64(1)
    return value


@kernel
def _lower(words: Array, bounds: Array, hashes: Array, a: Array, b: Array, result: Array) -> None:
    """Lowers each value of each signature to the least a * h + b of the words of its text."""
    for i in range(len(result)):
        row = result[i]
        last = bounds[i + 1] - 1
        # Four words at a time: fetching a, b and the row costs as much as the arithmetic.
        for w in range(bounds[i], bounds[i + 1], 4):
            h0 = hashes[words[w]]
            h1 = hashes[words[min(w + 1, last)]]
            h2 = hashes[words[min(w + 2, last)]]
            h3 = hashes[words[min(w + 3, last)]]
            for k in range(len(row)):
                v0 = np.uint32(h0 * a[k] + b[k])
                v1 = np.uint32(h1 * a[k] + b[k])
                v2 = np.uint32(h2 * a[k] + b[k])
                v3 = np.uint32(h3 * a[k] + b[k])
                row[k] = min(row[k], min(min(v0, v1), min(v2, v3)))


@kernel
def _hash_bands(signatures: Array, rows: int, number_bits: int, keys: Array) -> None:
    for i in range(len(keys)):
        for j in range(keys.shape[1]):
            key = np.uint64(0)
            for k in range(j * rows, (j + 1) * rows):
                key = key * np.uint64(0x9E3779B97F4A7C15) + np.uint64(signatures[i, k])
            keys[i, j] = (mix64(key) << np.uint64(number_bits)) | np.uint64(j)
