"""Unit vectors in half precision, and their cosines without accumulated rounding error.

A vector is scaled to length 1 and rounded to half precision, and the cosine of two vectors is
computed from the rounded vectors. Only the last division rounds: products of halves are multiples
of 2**-48, so float64 holds their sums exactly, in any order of summation. Rounding the vectors
moves a cosine by at most 2**-10; in 384 dimensions by 3e-6 (median of personas) and rarely by 3e-5.

Numba kernels do not support half precision, so kernels get the bits of the halves, as uint16.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

from persona_assets.dedup.kernels.compile import Array, Int, allocating, frozen, inlined, kernel

CHUNK = 1024
"""Rows that a thread rounds at a time."""

Halves = npt.NDArray[np.float16]
Singles = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.floating]
Function = TypeVar("Function", bound=Callable[..., Any])


def unit_vectors(vectors: Matrix, threads: ThreadPoolExecutor) -> Halves:
    """Scale vectors to length 1 and round them to half precision; zero vectors stay zero.

    Args:
        vectors: Vectors of any length, shape (n, d).
        threads: Pool that rounds chunks of rows in parallel.

    Returns:
        Unit vectors, float16, shape (n, d).

    Raises:
        ValueError: A vector contains NaN, infinity or a number beyond the range of float32.
    """
    result = np.empty(vectors.shape, np.float16)

    def round_chunk(start: int) -> None:
        block = vectors[start : start + CHUNK]
        if block.dtype == np.float16:
            singles = np.empty(block.shape, np.float32)
            decode_halves(as_bits(block), singles)
        else:
            with np.errstate(over="ignore"):
                singles = block.astype(np.float32, copy=False)
        bad_row = _round_units(frozen(singles), result[start : start + CHUNK].view(np.uint16))
        if bad_row >= 0:
            raise ValueError(
                f"vector {start + bad_row} holds NaN, infinity or numbers too large: embed it again"
            )

    list(threads.map(round_chunk, range(0, len(vectors), CHUNK)))
    return result


def as_bits(halves: Halves) -> Array:
    """View halves as uint16 bits, read-only and without a copy."""
    return frozen(halves).view(np.uint16)


def to_float32(units: Halves) -> Singles:
    """Convert unit vectors to float32, rescaled to length 1; zero vectors stay zero."""
    result = np.empty(units.shape, np.float32)
    decode_halves(as_bits(units), result)
    lengths = np.sqrt(np.einsum("ij,ij->i", result, result, dtype=np.float64))
    return np.divide(
        result, np.where(lengths, lengths, 1)[:, None], out=result, casting="same_kind"
    )


def float32_threshold(threshold: float, dimensions: int) -> float:
    """Return a lower bound for float32 cosines whose exact value is above the threshold.

    A float32 sum of d products of unit vectors, in any order, has an error of at most
    (d + 2) * 2**-24, and so has a length.
    """
    return threshold - (dimensions + 4) * 2.0**-23


def cosines(
    threshold: float,
    old: Halves,
    new: Halves,
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Compute the cosines of pairs of rows exactly, but for the last division.

    Rows of `old` are numbered first, rows of `new` after them. Consecutive pairs with the same left
    row are fastest, because that row is decoded once.

    Args:
        threshold: Cosine threshold.
        old: Unit vectors, shape (m, d).
        new: Unit vectors, shape (n, d).
        left: Left row of each pair, int64.
        right: Right row of each pair, int64; always a row of `new`.

    Returns:
        Cosine of each pair, float64; -2 if it is not above the threshold or a vector is zero.
    """
    similarity = np.empty(len(left))
    minimum = float32_threshold(threshold, new.shape[1])
    _cosines(threshold, minimum, as_bits(old), as_bits(new), left, right, similarity)
    return similarity


def _summing(function: Function) -> Function:
    """Compile a kernel whose sums the compiler may reorder."""
    return cast(Function, njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})(function))


@allocating
def _cosines(
    threshold: float,
    minimum: float,
    old: Array,
    new: Array,
    left: Array,
    right: Array,
    similarity: Array,
) -> None:
    """Filter pairs by a float32 cosine above `minimum`, and compute the rest exactly."""
    known, dimensions = len(old), new.shape[1]
    vector = np.empty(dimensions, np.float32)
    decoded, length = np.int64(-1), 0.0
    for p in range(len(left)):
        if left[p] != decoded:
            decoded = np.int64(left[p])
            for k in range(dimensions):
                vector[k] = half_to_single(
                    old[decoded, k] if decoded < known else new[decoded - known, k]
                )
            length = _squared_length(vector)
        other = np.int64(right[p]) - known
        dot, square = _dot_float32(vector, new, other)
        similarity[p] = -2.0
        if dot > minimum * np.sqrt(length * square):
            dot, square, other_square = _dot_float64(vector, new, other)
            cosine = min(dot / np.sqrt(square * other_square), 1.0)
            if cosine > threshold:
                similarity[p] = cosine


@_summing
def _squared_length(vector: Array) -> float:
    total = np.float32(0)
    for k in range(len(vector)):
        total += vector[k] * vector[k]
    return np.float64(total)


@_summing
def _dot_float32(vector: Array, rows: Array, row: Int) -> tuple[float, float]:
    """Return the dot product of a vector and a row, and the row's squared length, in float32."""
    dot, square = np.float32(0), np.float32(0)
    for k in range(len(vector)):
        x = half_to_single(rows[row, k])
        dot += vector[k] * x
        square += x * x
    return np.float64(dot), np.float64(square)


@_summing
def _dot_float64(vector: Array, rows: Array, row: Int) -> tuple[float, float, float]:
    """Return the dot product of a vector and a row, and the squared length of each, in float64."""
    dot, square, other_square = 0.0, 0.0, 0.0
    for k in range(len(vector)):
        x, y = vector[k], half_to_single(rows[row, k])
        dot += np.float64(x * y)
        square += np.float64(x * x)
        other_square += np.float64(y * y)
    return dot, square, other_square


@kernel
def _round_units(vectors: Array, halves: Array) -> int:
    """Scale rows to length 1 and write them as bits of float16.

    Squares are added in a fixed order, so that the result of a row depends on that row alone.

    Returns:
        The first row that is not finite, or -1.
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
    """Decode bits of float16, shape (n, d), to float32 of the same shape; infinity becomes NaN."""
    for i in range(halves.shape[0]):
        for k in range(halves.shape[1]):
            special = np.uint32(halves[i, k]) & np.uint32(0x7C00) == np.uint32(0x7C00)
            singles[i, k] = np.float32(np.nan) if special else half_to_single(halves[i, k])


@inlined
def half_to_single(bits: Any) -> Any:
    """Convert the bits of a finite float16 to float32."""
    # Sign extension fills the high bits; the mask keeps the sign, the exponent and the fraction.
    wide = np.int32(np.int16(bits)) << np.int32(13)
    scaled = np.int32(wide & np.int32(~0x70000000)).view(np.float32)
    return np.float32(scaled * np.float32(2.0**112))


@inlined
def single_to_half(value: Any) -> Any:
    """Round a float32 below 2**15 to the nearest float16, ties to even, and return its bits.

    A result of zero is always positive.
    """
    bits = np.float32(value).view(np.uint32)
    magnitude = np.uint32(bits & np.uint32(0x7FFFFFFF))
    odd = np.uint32((magnitude >> np.uint32(13)) & np.uint32(1))
    rounded = np.uint32(magnitude - np.uint32(0x38000000) + np.uint32(0xFFF) + odd)
    # Halves below 2**-14 are multiples of 2**-24, and so are float32 numbers from 1/2 to 1:
    # adding 1/2 rounds to such a multiple.
    shifted = np.float32(np.uint32(magnitude).view(np.float32) + np.float32(0.5))
    subnormal = np.uint32(np.float32(shifted).view(np.uint32) - np.uint32(0x3F000000))
    result = (rounded >> np.uint32(13)) if magnitude >= np.uint32(0x38800000) else subnormal
    sign = np.uint32((bits >> np.uint32(16)) & np.uint32(0x8000))
    return np.uint16(result | sign) if result else np.uint16(0)
