"""Sign sketches: on which side of random hyperplanes a vector lies, and how many to compare.

Two vectors at angle a lie on the same side of a random hyperplane with probability 1 - a / pi
(Charikar: Similarity estimation techniques from rounding algorithms, STOC 2002, section 3). A
sketch is `BITS` such bits, so the Hamming distance of two sketches is binomial. Tables of some of
the bits (`lsh`) propose pairs; how many tables, and of how many bits, is decided here.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.semantic.half_precision import Halves, Singles, as_bits, decode_halves

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

# Nanoseconds: a row in a table, both when it is sorted and when later ones come; a bucket; a pair.
ROW, BUCKET, PAIR = 30.0, 1.0, 1.6

Sketches = npt.NDArray[np.uint64]


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
def choose_parameters(rows: int, threshold: float, dimensions: int) -> Parameters:
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


def hyperplanes(dimensions: int, seed: int = SEED) -> Singles:
    """Normal vectors of `BITS` random hyperplanes, shape (dimensions, BITS), whole numbers.

    Each is the sum of 16 random bytes, all but normal, centred, with a standard deviation of 37.
    The raw stream of PCG64 is the same in all versions of numpy, its normal numbers are not.
    """
    raw = np.random.PCG64([seed, 0]).random_raw(2 * dimensions * BITS).astype("<u8")
    total = raw.view(np.uint8).reshape(dimensions, BITS, 16).sum(axis=2, dtype=np.int32)
    normals: Singles = np.rint((total - 16 * 127.5) / 8).astype(np.float32)
    return normals


def sign_sketches(units: Halves, normals: Singles) -> Sketches:
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
        decode_halves(as_bits(block), whole[:size])
        np.rint(np.multiply(whole[:size], scale, out=whole[:size]), out=whole[:size])
        np.matmul(whole[:size], normals, out=side[:size])
        packed = np.packbits(side[:size] > 0, axis=1, bitorder="little")
        result[start : start + size] = packed.view("<u8")
    return result


def key_masks(parameters: Parameters) -> Sketches:
    """The bits of a sketch that make up the key of each table, shape (tables, BITS / 64)."""
    raw = np.random.PCG64([parameters.seed, 1]).random_raw(parameters.tables * BITS)
    order = np.argsort(raw.reshape(parameters.tables, BITS), axis=1, kind="stable")
    chosen = np.zeros((parameters.tables, BITS), np.bool_)
    np.put_along_axis(chosen, order[:, : parameters.bits], True, axis=1)
    return np.packbits(chosen, axis=1, bitorder="little").view("<u8")
