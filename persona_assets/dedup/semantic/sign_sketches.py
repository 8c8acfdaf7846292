"""Sign sketches of vectors (SimHash), and the parameters of the hash tables built on them.

Each bit of a sketch is the side of a random hyperplane on which the vector falls. Two vectors at
angle a fall on the same side with probability 1 - a / pi (Charikar: Similarity estimation
techniques from rounding algorithms, STOC 2002, section 3), so the Hamming distance of two sketches
of `BITS` bits is binomial. The hash tables in `lsh.py` propose pairs; their number and the size of
their keys are chosen here.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.semantic.half_precision import Halves, Singles, as_bits, decode_halves

BITS = 256
"""Bits of a sketch."""

WORDS = BITS // 64
"""Words of 64 bits in a sketch."""

RECALL = 0.995
"""Recall of pairs whose cosine equals the threshold; higher cosines have higher recall."""

EXACT = 4**7
"""Maximum number of rows up to which all pairs are compared by matrix products, without misses."""

SEED = 0x5EED
BACKGROUND = 0.1
"""Median cosine of two personas under all-MiniLM-L6-v2."""

MAX_TABLES = 1024
MAX_KEY_BITS = 24
BLOCK = 512
"""Rows that are sketched at a time, so that intermediate results stay in the cache."""

ROW, BUCKET, PAIR = 30.0, 1.0, 1.6
"""Nanoseconds per table for a row (inserted now and probed later), for a bucket and for a pair."""

Sketches = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Parameters:
    """Parameters that determine which pairs are compared, and so the result of a join.

    Args:
        dimensions: Dimensions of the vectors.
        threshold: Cosine threshold.
        bits: Bits of a key.
        tables: Number of tables; without tables all pairs are compared.
        cut: Maximum Hamming distance of two sketches that are compared.
        seed: Seed of the hyperplanes and of the choice of key bits.
    """

    dimensions: int
    threshold: float
    bits: int = 0
    tables: int = 0
    cut: int = BITS
    seed: int = SEED


@lru_cache
def choose_parameters(rows: int, threshold: float, dimensions: int) -> Parameters:
    """Choose the cheapest parameters that find a pair at the threshold with probability `RECALL`.

    Sketches of two vectors at angle a differ in h bits, where h is binomial with probability
    a / pi. The r key bits of a table avoid these h bits with probability
    C(256 - h, r) / C(256, r). So b tables find the pair with probability

        sum over h <= cut of P(h) (1 - (1 - C(256 - h, r) / C(256, r)) ** b)

    over the random hyperplanes and the random choice of key bits.

    Args:
        rows: Expected number of rows. Parameters are equal for all numbers of rows between two
            powers of four, so a growing hub rarely needs a new index.
        threshold: Cosine threshold.
        dimensions: Dimensions of the vectors.

    Raises:
        ValueError: `threshold` is outside [-1, 1], `dimensions` is below 1, or `rows` is negative
            or at least 2**32.

    Example:
        >>> choose_parameters(EXACT, 0.9, 384).tables
        0
        >>> choose_parameters(30_000, 0.9, 384) == choose_parameters(60_000, 0.9, 384)
        True
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
    probabilities = [_binomial(h, BITS, differs) for h in range(BITS + 1)]
    cut = next(h for h in range(BITS + 1) if sum(probabilities[h + 1 :]) <= (1 - RECALL) / 4)
    pairs = (size / 2) ** 2 / 2
    agreement = 1 - math.acos(BACKGROUND) / math.pi
    best, lowest_cost = Parameters(dimensions, threshold, 0, 1, cut), pairs * PAIR
    for bits in range(4, MAX_KEY_BITS + 1):
        tables = _table_count(bits, probabilities[: cut + 1])
        cost = tables * (size / 2 * ROW + 2**bits * BUCKET + pairs * agreement**bits * PAIR)
        if tables <= MAX_TABLES and cost < lowest_cost:
            best, lowest_cost = Parameters(dimensions, threshold, bits, tables, cut), cost
    return best


def _binomial(k: int, n: int, p: float) -> float:
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


def _table_count(bits: int, probabilities: list[float]) -> int:
    """Return the lowest number of tables that reaches `RECALL`, or `MAX_TABLES` + 1 if none does.

    `probabilities` are those of each Hamming distance up to the cut.
    """
    hits = [math.comb(BITS - h, bits) / math.comb(BITS, bits) for h in range(len(probabilities))]
    low, high = 0, MAX_TABLES + 1
    while high - low > 1:
        tables = (low + high) // 2
        recall = sum(
            p * (1 - (1 - hit) ** tables) for p, hit in zip(probabilities, hits, strict=True)
        )
        low, high = (low, tables) if recall >= RECALL else (tables, high)
    return high


def hyperplanes(dimensions: int, seed: int = SEED) -> Singles:
    """Generate normal vectors of `BITS` random hyperplanes.

    Each component is a centred sum of 16 random bytes: almost normally distributed, with a standard
    deviation of 37. The raw stream of PCG64 is the same in all versions of numpy; its normally
    distributed numbers are not.

    Returns:
        Whole numbers, float32, shape (dimensions, BITS).
    """
    raw = np.random.PCG64([seed, 0]).random_raw(2 * dimensions * BITS).astype("<u8")
    total = raw.view(np.uint8).reshape(dimensions, BITS, 16).sum(axis=2, dtype=np.int32)
    normals: Singles = np.rint((total - 16 * 127.5) / 8).astype(np.float32)
    return normals


def sign_sketches(units: Halves, normals: Singles) -> Sketches:
    """Compute the sign sketches of unit vectors; the sketch of a zero vector is zero.

    Vectors are scaled and rounded to whole numbers so small that no sum of products reaches 2**24.
    float32 then holds every sum exactly, and a sketch does not depend on the order in which a
    matrix product adds, which varies with the machine, the threads and the other rows.

    Args:
        units: Unit vectors, float16, shape (n, d).
        normals: Normal vectors as `hyperplanes` returns them, shape (d, BITS).

    Returns:
        Sketches, uint64, shape (n, WORDS).

    Raises:
        ValueError: The vectors have too many dimensions: rounding would leave too few bits.
    """
    rows, dimensions = units.shape
    longest = float(np.sqrt(np.square(normals, dtype=np.float64).sum(axis=0).max(initial=1)))
    scale = np.float32(0.999 * 2.0**24 / longest - math.sqrt(dimensions))
    if scale < 64:
        raise ValueError(f"vectors of {dimensions} dimensions are too long for a sketch")
    result = np.empty((rows, WORDS), "<u8")
    rounded = np.empty((BLOCK, dimensions), np.float32)
    products = np.empty((BLOCK, BITS), np.float32)
    for start in range(0, rows, BLOCK):
        block = units[start : start + BLOCK]
        size = len(block)
        decode_halves(as_bits(block), rounded[:size])
        np.rint(np.multiply(rounded[:size], scale, out=rounded[:size]), out=rounded[:size])
        np.matmul(rounded[:size], normals, out=products[:size])
        packed = np.packbits(products[:size] > 0, axis=1, bitorder="little")
        result[start : start + size] = packed.view("<u8")
    return result


def key_masks(parameters: Parameters) -> Sketches:
    """Choose the key bits of each table at random.

    Returns:
        Bit mask of each table's key, uint64, shape (tables, WORDS).
    """
    raw = np.random.PCG64([parameters.seed, 1]).random_raw(parameters.tables * BITS)
    order = np.argsort(raw.reshape(parameters.tables, BITS), axis=1, kind="stable")
    chosen = np.zeros((parameters.tables, BITS), np.bool_)
    np.put_along_axis(chosen, order[:, : parameters.bits], True, axis=1)
    return np.packbits(chosen, axis=1, bitorder="little").view("<u8")
