"""Unit vectors in half precision, and cosines of them without a rounding error.

A vector is scaled to length 1 and rounded to half precision, and the cosine of two is that of the
rounded ones. It is exact but for the last division: products of halves are multiples of 2**-48, so
float64 holds their sums without error, whatever the order. Rounding moves a cosine by 2**-10 at the
very most; those of 384 dimensions by 3e-6 (the median of personas) and hardly ever by 3e-5.

Kernels do not know half precision: they are given the bits of the halves, as uint16.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

from persona_assets.dedup.kernels.compile import Array, Int, allocating, frozen, inlined, kernel

CHUNK = 1024  # rows that are rounded at a time

Halves = npt.NDArray[np.float16]
Singles = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.floating]
Function = TypeVar("Function", bound=Callable[..., Any])


def unit_vectors(vectors: Matrix, threads: ThreadPoolExecutor) -> Halves:
    """Vectors of length 1 in half precision, of zeros for a zero vector; shape (n, d).

    Raises ValueError for NaN, infinity, and numbers above those of float32.
    """
    result = np.empty(vectors.shape, np.float16)

    def round_off(start: int) -> None:
        block = vectors[start : start + CHUNK]
        if block.dtype == np.float16:
            singles = np.empty(block.shape, np.float32)
            decode_halves(as_bits(block), singles)
        else:
            with np.errstate(over="ignore"):
                singles = block.astype(np.float32, copy=False)
        bad = _round_off(frozen(singles), result[start : start + CHUNK].view(np.uint16))
        if bad >= 0:
            raise ValueError(
                f"vector {start + bad} holds NaN, infinity or numbers too large: embed it again"
            )

    list(threads.map(round_off, range(0, len(vectors), CHUNK)))
    return result


def as_bits(halves: Halves) -> Array:
    """The same memory as uint16, read-only."""
    return frozen(halves).view(np.uint16)


def to_float32(units: Halves) -> Singles:
    """float32 vectors of length 1; a zero vector stays what it is."""
    result = np.empty(units.shape, np.float32)
    decode_halves(as_bits(units), result)
    lengths = np.sqrt(np.einsum("ij,ij->i", result, result, dtype=np.float64))
    return np.divide(
        result, np.where(lengths, lengths, 1)[:, None], out=result, casting="same_kind"
    )


def float32_threshold(threshold: float, dimensions: int) -> float:
    """What a cosine above the threshold exceeds when it is computed in float32, in any order.

    A sum of d products of unit vectors is off by (d + 2) * 2**-24 at most, and so are lengths.
    """
    return threshold - (dimensions + 4) * 2.0**-23


def cosines(
    threshold: float,
    old: Halves,
    new: Halves,
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """The cosines of pairs of rows; -2 where it is not above the threshold, or one row is zero.

    Rows of `old` are numbered first, those of `new` behind them; rows on the right are new. It is
    quickest where many pairs in a row have the same left.
    """
    similarity = np.empty(len(left))
    least = float32_threshold(threshold, new.shape[1])
    _cosines(threshold, least, as_bits(old), as_bits(new), left, right, similarity)
    return similarity


def _summing(function: Function) -> Function:
    """A kernel whose sums may be taken in any order."""
    return cast(Function, njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})(function))


@allocating
def _cosines(
    threshold: float,
    least: float,
    old: Array,
    new: Array,
    left: Array,
    right: Array,
    similarity: Array,
) -> None:
    """`cosines`, where float32 leaves out what is not above `least`."""
    known, dimensions = len(old), new.shape[1]
    one = np.empty(dimensions, np.float32)
    before, length = np.int64(-1), 0.0
    for p in range(len(left)):
        if left[p] != before:
            before = np.int64(left[p])
            for k in range(dimensions):
                one[k] = half_to_single(
                    old[before, k] if before < known else new[before - known, k]
                )
            length = _square(one)
        other = np.int64(right[p]) - known
        dot, square = _dot(one, new, other)
        similarity[p] = -2.0
        if dot > least * np.sqrt(length * square):
            dot, square, product = _exactly(one, new, other)
            cosine = min(dot / np.sqrt(square * product), 1.0)
            if cosine > threshold:
                similarity[p] = cosine


@_summing
def _square(one: Array) -> float:
    total = np.float32(0)
    for k in range(len(one)):
        total += one[k] * one[k]
    return np.float64(total)


@_summing
def _dot(one: Array, rows: Array, row: Int) -> tuple[float, float]:
    """The products of a vector and a row, and of the row and itself, in float32."""
    dot, square = np.float32(0), np.float32(0)
    for k in range(len(one)):
        x = half_to_single(rows[row, k])
        dot += one[k] * x
        square += x * x
    return np.float64(dot), np.float64(square)


@_summing
def _exactly(one: Array, rows: Array, row: Int) -> tuple[float, float, float]:
    """The product of a vector and a row, and of each and itself."""
    dot, length, square = 0.0, 0.0, 0.0
    for k in range(len(one)):
        x, y = one[k], half_to_single(rows[row, k])
        dot += np.float64(x * y)
        length += np.float64(x * x)
        square += np.float64(y * y)
    return dot, length, square


@kernel
def _round_off(vectors: Array, halves: Array) -> int:
    """Rows scaled to length 1 as bits of float16; -1, or the first row that is not finite.

    The squares are added in one order, so a row's result depends on nothing but the row.
    """
    dimensions = vectors.shape[1]
    whole = dimensions - dimensions % 4
    for i in range(len(vectors)):
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for k in range(0, whole, 4):
            a += np.float64(vectors[i, k]) ** 2
            b += np.float64(vectors[i, k + 1]) ** 2
            c += np.float64(vectors[i, k + 2]) ** 2
            d += np.float64(vectors[i, k + 3]) ** 2
        for k in range(whole, dimensions):
            a += np.float64(vectors[i, k]) ** 2
        total = (a + b) + (c + d)
        if not np.isfinite(total):
            return i
        scale = 1 / np.sqrt(total) if total > 0 else 0.0
        for k in range(dimensions):
            halves[i, k] = single_to_half(np.float32(vectors[i, k] * scale))
    return -1


@kernel
def decode_halves(halves: Array, singles: Array) -> None:
    """float32 from the bits of float16, of one shape (n, d); infinity becomes NaN."""
    for i in range(halves.shape[0]):
        for k in range(halves.shape[1]):
            special = np.uint32(halves[i, k]) & np.uint32(0x7C00) == np.uint32(0x7C00)
            singles[i, k] = np.float32(np.nan) if special else half_to_single(halves[i, k])


@inlined
def half_to_single(bits: Any) -> Any:
    """A finite float16, given by its bits, as float32."""
    # The sign, and copies of it that the mask takes away, above the exponent and the fraction.
    wide = np.int32(np.int16(bits)) << np.int32(13)
    scaled = np.int32(wide & np.int32(~0x70000000)).view(np.float32)
    return np.float32(scaled * np.float32(2.0**112))


@inlined
def single_to_half(value: Any) -> Any:
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
