"""Sign sketches: on which side of random hyperplanes a vector lies, and who shares such bits.

Two vectors at angle a lie on the same side of a random hyperplane with probability 1 - a / pi
(Charikar: Similarity estimation techniques from rounding algorithms, STOC 2002, section 3). A
sketch is `BITS` such bits, so the Hamming distance of two sketches is binomial. A table takes some
of the bits as a key and compares only rows of one key (Indyk, Motwani: Approximate nearest
neighbors, STOC 1998); several tables with other bits find what one of them misses.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.kernels import (
    Array,
    frozen,
    inlined,
    kernel,
    popcount,
    trailing_zeros,
)

BITS = 256
WORDS = BITS // 64
RECALL = 0.995
"""Of pairs whose cosine is the threshold itself; those above it are found more often."""

EXACT = 4**7
"""Up to so many rows all pairs are compared by matrix products, and none is missed."""

SEED = 0x5EED
BACKGROUND = 0.1  # median cosine of two personas under all-MiniLM-L6-v2
MOST_TABLES = 1024
MOST_KEY_BITS = 24
BLOCK = 512  # rows at a time, so that what is made of them stays in the cache
STREAM = 1 << 18  # rows that all tables see before the next ones are read
BUFFER = 1 << 16  # pairs in a batch
ROOM = 1 << 27  # bytes
SPARSE = 2  # doublings of the slots: most hold one key
FINER = 16  # bits a slot that tell whether a key may be there

# Nanoseconds: a row in a table, both when it is sorted and when later ones come; a bucket; a pair.
ROW, BUCKET, PAIR = 30.0, 1.0, 1.6

Words = npt.NDArray[np.uint64]
Pairs = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Parameters:
    """What decides which pairs are compared; joins with equal parameters are equal.

    Two rows are compared if their sketches differ in at most `cut` bits and are equal in the `bits`
    of one of the `tables`. Without tables all pairs are compared.
    """

    dimensions: int
    threshold: float
    bits: int = 0
    tables: int = 0
    cut: int = BITS
    seed: int = SEED


@lru_cache
def parameters(rows: int, threshold: float, dimensions: int) -> Parameters:
    """The cheapest parameters that find a pair at the threshold with probability `RECALL`.

    They are the same for all `rows` between two powers of four. The sketches of two vectors at
    angle a differ in h bits, binomial with a / pi; the bits of a table are none of these with
    probability C(256 - h, r) / C(256, r), so that b tables find the pair with

        sum over h <= cut of P(h) (1 - (1 - C(256 - h, r) / C(256, r)) ** b)

    taken over the hyperplanes and the choice of bits.

    Raises ValueError if the threshold is outside [-1, 1], for no dimensions and for 2**32 rows.
    """
    if not -1 <= threshold <= 1:
        raise ValueError(f"a cosine threshold is between -1 and 1, not {threshold}")
    if dimensions < 1 or not 0 <= rows < 2**32:
        raise ValueError(f"no parameters for {rows} rows of {dimensions} dimensions")
    if rows <= EXACT:
        return Parameters(dimensions, threshold)
    size = EXACT
    while size < rows:
        size *= 4
    differs = math.acos(threshold) / math.pi
    chances = [_binomial(h, BITS, differs) for h in range(BITS + 1)]
    cut = next(h for h in range(BITS + 1) if sum(chances[h + 1 :]) <= (1 - RECALL) / 4)
    pairs = (size / 2) ** 2 / 2
    share = 1 - math.acos(BACKGROUND) / math.pi
    best, least = Parameters(dimensions, threshold, 0, 1, cut), pairs * PAIR
    for bits in range(4, MOST_KEY_BITS + 1):
        tables = _tables(bits, chances[: cut + 1])
        cost = tables * (size / 2 * ROW + 2**bits * BUCKET + pairs * share**bits * PAIR)
        if tables <= MOST_TABLES and cost < least:
            best, least = Parameters(dimensions, threshold, bits, tables, cut), cost
    return best


def _binomial(k: int, n: int, p: float) -> float:
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


def _tables(bits: int, chances: list[float]) -> int:
    """Fewest tables that reach `RECALL`; more than `MOST_TABLES` if those do not."""
    share = [math.comb(BITS - h, bits) / math.comb(BITS, bits) for h in range(len(chances))]
    few, enough = 0, MOST_TABLES + 1
    while enough - few > 1:
        tables = (few + enough) // 2
        found = sum(w * (1 - (1 - s) ** tables) for w, s in zip(chances, share, strict=True))
        few, enough = (few, tables) if found >= RECALL else (tables, enough)
    return enough


def planes(dimensions: int, seed: int = SEED) -> npt.NDArray[np.float32]:
    """Normal vectors of `BITS` random hyperplanes, shape (dimensions, BITS), whole numbers.

    Each is the sum of 16 random bytes, all but normal, centred, with a standard deviation of 37.
    The raw stream of PCG64 is the same in all versions of numpy, its normal numbers are not.
    """
    raw = np.random.PCG64([seed, 0]).random_raw(2 * dimensions * BITS).astype("<u8")
    total = raw.view(np.uint8).reshape(dimensions, BITS, 16).sum(axis=2, dtype=np.int32)
    normals: npt.NDArray[np.float32] = np.rint((total - 16 * 127.5) / 8).astype(np.float32)
    return normals


def sketches(units: npt.NDArray[np.float16], normals: npt.NDArray[np.float32]) -> Words:
    """Sketches of unit vectors (n, d), shape (n, BITS / 64); that of a zero vector is zero.

    Vectors are rounded to whole numbers so small that no sum of products reaches 2**24: float32
    holds each of them exactly, and a row's sketch does not depend on the order in which a matrix
    product adds, which varies with the machine, the threads and the rows beside it.

    Raises ValueError for so many dimensions that nothing would be left of the vectors.
    """
    rows, dimensions = units.shape
    longest = float(np.sqrt(np.square(normals, dtype=np.float64).sum(axis=0).max(initial=1)))
    scale = np.float32(0.999 * 2.0**24 / longest - math.sqrt(dimensions))
    if scale < 64:
        raise ValueError(f"vectors of {dimensions} dimensions are too long for a sketch")
    result = np.empty((rows, WORDS), "<u8")
    whole = np.empty((BLOCK, dimensions), np.float32)
    side = np.empty((BLOCK, BITS), np.float32)
    for start in range(0, rows, BLOCK):
        block = units[start : start + BLOCK]
        size = len(block)
        decode(frozen(block.view(np.uint16)), whole[:size])
        np.rint(np.multiply(whole[:size], scale, out=whole[:size]), out=whole[:size])
        np.matmul(whole[:size], normals, out=side[:size])
        bits = np.packbits(side[:size] > 0, axis=1, bitorder="little")
        result[start : start + size] = bits.view("<u8")
    return result


def key_masks(parameters: Parameters) -> Words:
    """The bits of a sketch that make up the key of each table, shape (tables, BITS / 64)."""
    raw = np.random.PCG64([parameters.seed, 1]).random_raw(parameters.tables * BITS)
    order = np.argsort(raw.reshape(parameters.tables, BITS), axis=1, kind="stable")
    chosen = np.zeros((parameters.tables, BITS), np.bool_)
    np.put_along_axis(chosen, order[:, : parameters.bits], True, axis=1)
    return np.packbits(chosen, axis=1, bitorder="little").view("<u8")


def near(parameters: Parameters, tables: Sequence[int], new: Words, old: Words) -> Iterator[Pairs]:
    """Pairs within the cut that share a key in one of `tables` and in no table before that one.

    They come in batches of two int64 columns, good until the next batch is asked for. Rows of `old`
    are numbered first, those of `new` behind them; the second row of a pair is new. A table of the
    new rows takes about 50 bytes a row; with old rows, which are read but once then, there are as
    many tables at a time as `ROOM` holds.
    """
    masks = key_masks(parameters)
    slots = 1 << (min(parameters.bits, len(new).bit_length()) + SPARSE)
    room = 8 * slots + 36 * len(new)
    together = max(1, min(len(tables), ROOM // room)) if len(old) else 1
    slot = np.empty(len(new), np.uint32)
    ends = np.empty((together, slots), np.uint32)
    taken = np.empty((together, slots * FINER // 64 if len(old) else 0), np.uint64)
    rows = np.empty((together, len(new)), np.uint32)
    ordered = np.empty((together, len(new), WORDS), np.uint64)
    left, right = np.empty(BUFFER, np.int64), np.empty(BUFFER, np.int64)
    cursor = np.empty(3, np.int64)
    cut = parameters.cut
    for first in range(0, len(tables), together):
        group = tables[first : first + together]
        for k, table in enumerate(group):
            bucket = ends[k], rows[k], ordered[k]
            _sort(frozen(new), masks[table], slot, taken[k], *bucket)
            cursor[:] = 0
            while count := _among(*bucket, masks[: table + 1], cut, cursor, left, right):
                left[:count] += len(old)
                right[:count] += len(old)
                yield left[:count], right[:count]
        for start in range(0, len(old), STREAM):
            block = frozen(old[start : start + STREAM])
            for k, table in enumerate(group):
                bucket = ends[k], rows[k], ordered[k]
                cursor[:] = 0
                while count := _against(
                    block, taken[k], *bucket, masks[: table + 1], cut, cursor, left, right
                ):
                    left[:count] += start
                    right[:count] += len(old)
                    yield left[:count], right[:count]


@inlined
def _key(a: Any, b: Any, c: Any, d: Any, mask: Array) -> Any:
    """A hash of the bits of a sketch that a mask leaves; the highest bits are the best ones."""
    return (
        (a & mask[0]) * np.uint64(0x9E3779B97F4A7C15)
        + (b & mask[1]) * np.uint64(0xD1B54A32D192ED03)
        + (c & mask[2]) * np.uint64(0xAEF17502108EF2D9)
        + (d & mask[3]) * np.uint64(0xF1357AEA2E62A9C5)
    )


@kernel
def _sort(
    sketches: Array,
    mask: Array,
    slot: Array,
    taken: Array,
    ends: Array,
    rows: Array,
    ordered: Array,
) -> None:
    """Rows and their sketches by the hash of their key.

    `ends` gets where each slot ends, `taken` a bit for each hash, finer than the slots. Zero
    vectors, whose sketch is zero, are left out.
    """
    ends[:] = 0
    taken[:] = 0
    marked = len(taken) > 0
    fine = np.uint64(64 - trailing_zeros(np.uint64(64 * len(taken))))
    coarse = np.uint64(64 - trailing_zeros(np.uint64(len(ends))))
    for i in range(len(sketches)):
        a, b, c, d = sketches[i, 0], sketches[i, 1], sketches[i, 2], sketches[i, 3]
        if a | b | c | d:
            key = _key(a, b, c, d, mask)
            if marked:
                bit = key >> fine
                taken[np.int64(bit >> np.uint64(6))] |= np.uint64(1) << (bit & np.uint64(63))
            slot[i] = key >> coarse
            ends[slot[i]] += 1
        else:
            slot[i] = len(ends)
    total = 0
    for k in range(len(ends)):
        count = ends[k]
        ends[k] = total
        total += count
    for i in range(len(sketches)):
        if slot[i] < len(ends):
            at = ends[slot[i]]
            ends[slot[i]] = at + 1
            rows[at] = i
    for at in range(total):
        i = int(rows[at])
        a, b, c, d = sketches[i, 0], sketches[i, 1], sketches[i, 2], sketches[i, 3]
        ordered[at, 0], ordered[at, 1], ordered[at, 2], ordered[at, 3] = a, b, c, d


@kernel
def _among(
    ends: Array,
    rows: Array,
    ordered: Array,
    masks: Array,
    cut: int,
    cursor: Array,
    left: Array,
    right: Array,
) -> int:
    """Pairs of rows of one slot from `cursor` on, as many as there is room for."""
    count = 0
    slot, at, resume = cursor[0], cursor[1], cursor[2]
    while slot < len(ends):
        end = np.int64(ends[slot])
        while at < end:
            a, b, c, d = ordered[at, 0], ordered[at, 1], ordered[at, 2], ordered[at, 3]
            for other in range(max(at + 1, resume), end):
                if _close(a, b, c, d, ordered, other, masks, cut):
                    if count == len(left):
                        cursor[0], cursor[1], cursor[2] = slot, at, other
                        return count
                    left[count], right[count] = rows[at], rows[other]
                    count += 1
            resume = 0
            at += 1
        slot += 1
    cursor[0], cursor[1], cursor[2] = slot, at, 0
    return count


@kernel
def _against(
    probes: Array,
    taken: Array,
    ends: Array,
    rows: Array,
    ordered: Array,
    masks: Array,
    cut: int,
    cursor: Array,
    left: Array,
    right: Array,
) -> int:
    """Pairs of a probe and a row of its slot from `cursor` on, as many as there is room for.

    The probes whose slot is not empty are picked out first, a block at a time: what is fetched for
    one of them then does not wait for what is fetched for another.
    """
    fine = np.uint64(64 - trailing_zeros(np.uint64(64 * len(taken))))
    coarse = np.uint64(64 - trailing_zeros(np.uint64(len(ends))))
    keys = np.empty(BLOCK, np.uint64)
    hits = np.empty(BLOCK, np.int64)
    count = 0
    while cursor[0] < len(probes):
        block = probes[cursor[0] : cursor[0] + BLOCK]
        for i in range(len(block)):
            keys[i] = _key(block[i, 0], block[i, 1], block[i, 2], block[i, 3], masks[-1])
        picked = np.int64(0)
        for i in range(len(block)):
            hits[picked] = i
            bit = keys[i] >> fine
            word = taken[np.int64(bit >> np.uint64(6))] >> (bit & np.uint64(63))
            picked += np.int64(word & np.uint64(1))
        for i in hits[:picked]:
            a, b, c, d = block[i, 0], block[i, 1], block[i, 2], block[i, 3]
            slot = np.int64(keys[i] >> coarse)
            begin = np.int64(ends[slot - 1]) if slot else 0
            for other in range(max(begin, cursor[1]), np.int64(ends[slot])):
                if _close(a, b, c, d, ordered, other, masks, cut):
                    if count == len(left):
                        cursor[0], cursor[1] = cursor[0] + i, other
                        return count
                    left[count], right[count] = cursor[0] + i, rows[other]
                    count += 1
            cursor[1] = 0
        cursor[0] += len(block)
    return count


@kernel
def _close(
    a: Any, b: Any, c: Any, d: Any, ordered: Array, other: int, masks: Array, cut: int
) -> bool:
    """Whether a sketch is within the cut of another and shares the last key, and no other."""
    a, b = a ^ ordered[other, 0], b ^ ordered[other, 1]
    c, d = c ^ ordered[other, 2], d ^ ordered[other, 3]
    if np.int64(popcount(a) + popcount(b) + popcount(c) + popcount(d)) > cut:
        return False
    last = len(masks) - 1
    for k in range(len(masks)):
        differs = a & masks[k, 0] | b & masks[k, 1] | c & masks[k, 2] | d & masks[k, 3]
        if (differs == 0) != (k == last):
            return False
    return True


@kernel
def decode(halves: Array, singles: Array) -> None:
    """float32 from the bits of float16 (as uint16), of one shape (n, d); infinity becomes NaN."""
    for i in range(halves.shape[0]):
        for k in range(halves.shape[1]):
            bits = np.uint32(halves[i, k])
            special = bits & np.uint32(0x7C00) == np.uint32(0x7C00)
            singles[i, k] = np.float32(np.nan) if special else single(halves[i, k])


@inlined
def single(bits: Any) -> Any:
    """A finite float16, given by its bits, as float32."""
    wide = np.uint32(bits)
    magnitude = np.uint32((wide & np.uint32(0x7FFF)) << np.uint32(13))
    sign = np.uint32((wide & np.uint32(0x8000)) << np.uint32(16))
    scaled = np.float32(np.uint32(magnitude).view(np.float32) * np.float32(2.0**112))
    return np.uint32(np.float32(scaled).view(np.uint32) | sign).view(np.float32)


@inlined
def half(value: Any) -> Any:
    """The bits of the float16 nearest to a float32 (ties to even) below 2**15; zero has no sign."""
    bits = np.float32(value).view(np.uint32)
    magnitude = np.uint32(bits & np.uint32(0x7FFFFFFF))
    odd = np.uint32((magnitude >> np.uint32(13)) & np.uint32(1))
    rounded = np.uint32(magnitude - np.uint32(0x38000000) + np.uint32(0xFFF) + odd)
    # Below 2**-14 halves are multiples of 2**-24, to which a float32 between 1/2 and 1 rounds.
    shifted = np.float32(np.uint32(magnitude).view(np.float32) + np.float32(0.5))
    subnormal = np.uint32(np.float32(shifted).view(np.uint32) - np.uint32(0x3F000000))
    result = (rounded >> np.uint32(13)) if magnitude >= np.uint32(0x38800000) else subnormal
    sign = np.uint32((bits >> np.uint32(16)) & np.uint32(0x8000))
    return np.uint16(result | sign) if result else np.uint16(0)
