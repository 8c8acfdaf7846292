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

SIZE = 128
"""Number of values in a signature (the paper, section 2.3)."""

SEED = 1
"""Seed of the permutations, datasketch's default."""

SCHEME = "affine32"
"""datasketch's name for permutations h -> a * h + b modulo 2^32, a odd."""

PADDING = 8
"""Number of bytes of padding behind the last text in `data`."""

RECALL = Fraction(99, 100)
"""Lowest probability with which the bands propose a pair that is exactly at the threshold."""

_SLOT_BITS = 16
"""Bits of a hash that select a slot of the word cache."""

_LONGEST_CACHED = 23
"""Longest cached word in bytes: the word and its length fill three uint64."""


def signatures(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], size: int = SIZE, seed: int = SEED
) -> npt.NDArray[np.uint32]:
    """Return the MinHash signature of each text, uint32 of shape (n, size).

    The signature of a text is the state of `datasketch.MinHash(size, seed, scheme=SCHEME)` after an
    update with each word; a text without words has 2^32 - 1 in every value. Chunks of the texts
    (`offsets[i : j + 1]` with the same data) may be computed by several threads at once; chunks of
    about ten thousand texts keep the working memory in the processor's caches.

    Args:
        data: Words in UTF-8 with spaces between them, in any order, repeats allowed, then `PADDING`
            bytes. Text i is `data[offsets[i]:offsets[i + 1]]`.
        offsets: Bounds of the texts, shape (n + 1,).
        size: Number of values in a signature.
        seed: Seed of the permutations.

    Raises:
        ValueError: The offsets descend or leave the data, less than `PADDING` bytes follow the last
            text, the size is below 1, or numpy does not accept the seed.
    """
    if size < 1:
        raise ValueError(f"a signature has at least one value, not {size}")
    if len(offsets) == 0 or offsets[0] < 0 or (np.diff(offsets) < 0).any():
        raise ValueError("offsets are one more than texts, start at 0 or above and never descend")
    if offsets[-1] + PADDING > len(data):
        raise ValueError(f"data must go on for {PADDING} bytes behind the last text: pad it")
    data, offsets = frozen(data), frozen(offsets)
    n = len(offsets) - 1
    max_words = n + int(np.count_nonzero(data[offsets[0] : offsets[-1]] == ord(" ")))
    words, starts, stops = (np.empty(max_words, np.int64) for _ in range(3))
    bounds = np.zeros(n + 1, np.int64)
    cache = np.zeros((1 << _SLOT_BITS, 4), np.uint64)
    word_count = _number_words(data, offsets, cache, words, bounds, starts, stops)
    hashes = np.empty(word_count, np.uint32)
    sha1_hash32(data, starts[:word_count], stops[:word_count], hashes)
    a, b = _permutations(size, seed)
    result = np.full((n, size), 0xFFFFFFFF, np.uint32)
    _take_minima(words, bounds, _fmix32(hashes), a, b, result)
    return result


def lean_minhash(signature: npt.NDArray[np.uint32], seed: int = SEED) -> "LeanMinHash":
    """Convert a row of `signatures` to datasketch's signature object, for datasketch's indexes.

    Args:
        signature: A row of `signatures`.
        seed: Seed of that signature.
    """
    from datasketch import LeanMinHash

    return LeanMinHash(seed=seed, hashvalues=signature, scheme=SCHEME)


def choose_bands(threshold: Fraction, size: int = SIZE) -> tuple[int, int]:
    """Return (bands, rows): the longest bands that propose a pair at the threshold with `RECALL`.

    Two sets of Jaccard similarity t agree on a band of r values with probability t^r, so on at
    least one of b bands with 1 - (1 - t^r)^b. Longer bands propose fewer pairs that are not
    duplicates. The recall is 0.994 at 0.9 and 0.996 at 0.5.

    Raises:
        ValueError: The threshold is outside (0, 1] or too low for the size.

    Example:
        >>> choose_bands(Fraction(9, 10)), choose_bands(Fraction(1, 2))
        ((12, 10), (42, 3))
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
    """Return a key for each band of each signature, uint64 of shape (n, bands).

    Band j holds the values from `j * rows` on. Equal bands have equal keys. The low bits of a key
    are the band's number, so that keys of different bands always differ; the other bits are a hash
    of the values.

    Raises:
        ValueError: The signatures hold fewer than `bands * rows` values.
    """
    if bands < 1 or rows < 1 or bands * rows > signatures.shape[1]:
        raise ValueError(f"{signatures.shape[1]} values do not make {bands} bands of {rows}")
    keys = np.empty((len(signatures), bands), np.uint64)
    _hash_bands(frozen(signatures), rows, (bands - 1).bit_length(), keys)
    return keys


def _permutations(size: int, seed: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Return (a, b), drawn as datasketch draws them."""
    random = np.random.RandomState(seed)
    a = random.randint(0, 1 << 31, size, np.uint32) * np.uint32(2) + np.uint32(1)
    return a, random.randint(0, 1 << 32, size, np.uint32)


def _fmix32(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Apply MurmurHash3's finalizer (Appleby), as datasketch does before its permutations."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))


@kernel
def _number_words(
    data: Array,
    offsets: Array,
    cache: Array,
    words: Array,
    bounds: Array,
    starts: Array,
    stops: Array,
) -> int:
    """Number the words of all texts and return the number of numbers.

    Text i has `words[bounds[i]:bounds[i + 1]]`; number w is the word `data[starts[w]:stops[w]]`.
    Each slot of `cache` holds a word and its number, selected by the word's hash, until the next
    word replaces it. So a word may get several numbers, but two words never share a number.
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
                first = _load_bytes(data, position, position + length)
                second = _load_bytes(data, position + 8, position + length)
                third = _load_bytes(data, position + 16, position + length)
            if length > 0:
                cached = False
                if length <= _LONGEST_CACHED:
                    third |= np.uint64(length) << np.uint64(56)
                    # Multiply-shift hashing (Dietzfelbinger et al. 1997): the top bits.
                    slot = cache[
                        (
                            first * np.uint64(0x9E3779B97F4A7C15)
                            + second * np.uint64(0xC2B2AE3D27D4EB4F)
                            + third * np.uint64(0x165667B19E3779F9)
                        )
                        >> np.uint64(64 - _SLOT_BITS)
                    ]
                    cached = slot[0] == first and slot[1] == second and slot[2] == third
                    if cached:
                        words[count] = slot[3]
                    else:
                        slot[0] = first
                        slot[1] = second
                        slot[2] = third
                        slot[3] = np.uint64(distinct)
                if not cached:
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
    """Return a mask whose lowest set bit is the top bit of the first space in `value`, or 0."""
    other = value ^ np.uint64(0x2020202020202020)
    return (other - np.uint64(0x0101010101010101)) & ~other & np.uint64(0x8080808080808080)


@inlined
def _load_bytes(data: Array, position: int, stop: int) -> Any:
    """Load the bytes from `position` to `stop`, at most eight, as uint64."""
    if position >= stop:
        return np.uint64(0)
    value = load64(data, position)
    if stop - position < 8:
        value &= (np.uint64(1) << np.uint64(8 * (stop - position))) - np.uint64(1)
    return value


@kernel
def _take_minima(
    words: Array, bounds: Array, hashes: Array, a: Array, b: Array, result: Array
) -> None:
    """Lower each value of each signature to the minimum of a * h + b over the words of its text."""
    for i in range(len(result)):
        row = result[i]
        last = bounds[i + 1] - 1
        # Four words at a time: loading a, b and the row costs as much as the arithmetic.
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
    """Write the key of each band: a hash of its values above the band's number."""
    for i in range(len(keys)):
        for j in range(keys.shape[1]):
            key = np.uint64(0)
            for k in range(j * rows, (j + 1) * rows):
                key = key * np.uint64(0x9E3779B97F4A7C15) + np.uint64(signatures[i, k])
            keys[i, j] = (mix64(key) << np.uint64(number_bits)) | np.uint64(j)
