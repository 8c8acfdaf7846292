"""Near-duplicates by meaning: all pairs of vectors whose cosine is above a threshold.

Vectors are scaled to length 1 and rounded to half precision, and the cosine of two rows is that of
their rounded vectors. It is decided exactly: products of halves are multiples of 2**-48, so float64
holds their sums without error, whatever the order. Rounding moves a cosine by 2**-10 at the very
most; those of 384 dimensions by 3e-6 (the median of personas) and hardly ever by 3e-5.

Up to `signs.EXACT` rows all pairs are compared. Of more, sign sketches propose the pairs, and one
at the threshold is found with probability `signs.RECALL`, those above it more surely.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

from persona_assets.dedup.columns import Columns, Shape
from persona_assets.dedup.kernels import Array, frozen, kernel, mix64
from persona_assets.dedup.signs import (
    WORDS,
    Pairs,
    Parameters,
    Words,
    decode,
    half,
    near,
    planes,
    single,
    sketches,
)
from persona_assets.dedup.signs import parameters as parameters_for
from persona_assets.dedup.survivors import Edges, check_edge_count

if TYPE_CHECKING:
    import polars as pl

COSINE_THRESHOLD = 0.9  # section 2.3; it names 0.5 for a smaller, more diverse hub
TILE = 1024  # rows on a side of a matrix product
CHUNK = 1024  # rows that are rounded or sketched at a time

Halves = npt.NDArray[np.float16]
Matrix = npt.NDArray[np.floating]
Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]
Task = TypeVar("Task")
Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., Any])


class Items(NamedTuple):
    """Distinct vectors of length 1 (n, d), their hashes (n,) and sketches (n, 4)."""

    units: Halves
    hashes: Words
    sketches: Words


class Recall(NamedTuple):
    """Of the `true` pairs of a sample so many were `found`."""

    found: int
    true: int


def cosine_edges(
    vectors: Matrix, threshold: float, threads: int = 1, parameters: Parameters | None = None
) -> Edges:
    """All pairs of rows of `vectors` (shape (n, d), any length) with cosine > `threshold`.

    Strictly above, as in the paper (section 2.3). A zero vector matches nothing. The matrix may be
    mapped from a file: it is read once, and a copy in half precision is kept in memory.
    `parameters` are those for n rows unless given.

    A model that sees only unknown tokens gives unrelated texts the same vector, cosine 1, and only
    its tokenizer knows which rows those are: zero their vectors.

    Raises ValueError if `vectors` is not a matrix of finite numbers, if the threshold is outside
    [-1, 1] or not that of the parameters, and for more pairs than `MAX_EDGES`.
    """
    if vectors.ndim != 2:
        raise ValueError(f"vectors must have shape (n, d), not {vectors.shape}")
    rows, dimensions = vectors.shape
    chosen = parameters or parameters_for(rows, threshold, max(dimensions, 1))
    if not vectors.size:
        return Edges.of([], [], [])
    if (chosen.threshold, chosen.dimensions) != (threshold, dimensions):
        raise ValueError(f"for {dimensions} dimensions and threshold {threshold}, not {chosen}")
    numbers, new, edges = _joined(chosen, vectors, _nothing(dimensions), threads)
    if len(new.units) == rows:
        return edges
    if threshold == 1:
        return Edges.of([], [], [])
    return edges.expanded(numbers)


class Vectors:
    """An index that vectors are added to, over opened columns of `shapes(dimensions)`.

    What was found so far depends on the vectors and the parameters alone, not on how the rows were
    split nor on the threads: give the columns the parameters as their fingerprint.
    """

    def __init__(self, columns: Columns, parameters: Parameters, threads: int = 1) -> None:
        self._columns = columns
        self._parameters = parameters
        self._threads = threads

    @staticmethod
    def shapes(dimensions: int) -> dict[str, Shape]:
        """The columns that it needs: 808 bytes a vector of 384 dimensions, 24 bytes a pair."""
        return {
            "vector": ("<f2", (dimensions,)),
            "vector_hash": ("<u8", ()),
            "sketch": ("<u8", (WORDS,)),
            "edge_left": ("<i8", ()),
            "edge_right": ("<i8", ()),
            "edge_similarity": ("<f8", ()),
        }

    def add(self, vectors: "Matrix | pl.Series") -> npt.NDArray[np.int64]:
        """The number of each vector's item, int64 of shape (n,); pairs with new ones are found.

        Items are numbered in the order in which they come. Rows whose vectors are the same in half
        precision are one item, but each zero vector is one of its own. All is appended to the
        columns, where the caller commits it before the next `add`.

        Raises what `cosine_edges` raises.
        """
        dimensions = self._parameters.dimensions
        matrix = vectors if isinstance(vectors, np.ndarray) else _matrix(vectors, dimensions)
        if matrix.ndim != 2 or matrix.shape[1] != dimensions:
            raise ValueError(f"vectors must have shape (n, {dimensions}), not {matrix.shape}")
        old = Items(self._columns["vector"], self._columns["vector_hash"], self._columns["sketch"])
        count = len(self._columns["edge_left"])
        numbers, new, edges = _joined(self._parameters, matrix, old, self._threads, count)
        for name, values in (
            ("vector", new.units),
            ("vector_hash", new.hashes),
            ("sketch", new.sketches),
            ("edge_left", edges.left),
            ("edge_right", edges.right),
            ("edge_similarity", edges.similarity),
        ):
            self._columns.append(name, values)
        return numbers

    def edges(self) -> Edges:
        """All pairs of items found so far, as far as they are committed."""
        names = ("edge_left", "edge_right", "edge_similarity")
        return Edges.of(*(self._columns[name] for name in names))

    def sampled_recall(self, sample: int = 1000, seed: int = 0) -> Recall:
        """How many of the pairs of some items, chosen at random, are among `edges`."""
        units = self._columns["vector"]
        return _recall(units, self.edges(), self._parameters.threshold, sample, seed)


def neighbours(vectors: Matrix, rows: npt.ArrayLike, threshold: float) -> Edges:
    """All pairs with cosine > `threshold` that have one of `rows` in them, by matrix products.

    Raises ValueError as `cosine_edges` does.
    """
    return _neighbours(_units(vectors, 1), np.unique(rows), threshold)


def sampled_recall(
    vectors: Matrix, edges: Edges, threshold: float, sample: int = 1000, seed: int = 0
) -> Recall:
    """How many of the pairs of some rows, chosen at random, are among `edges`.

    The rows are compared with all others; 1,000 among a million take seconds.
    """
    return _recall(_units(vectors, 1), edges, threshold, sample, seed)


def _recall(units: Halves, edges: Edges, threshold: float, sample: int, seed: int) -> Recall:
    rows = np.random.default_rng(seed).permutation(len(units))[:sample]
    true = _neighbours(units, np.sort(rows), threshold)
    found = np.isin(true.left * len(units) + true.right, edges.left * len(units) + edges.right)
    return Recall(int(found.sum()), len(true))


def _neighbours(units: Halves, rows: npt.NDArray[np.int64], threshold: float) -> Edges:
    chosen = np.asarray(rows, np.int64)
    others = units[chosen]
    tiles = (range(k, min(k + TILE, len(chosen))) for k in range(0, len(chosen), TILE))
    pairs = chain.from_iterable(_products(threshold, others, units, tile) for tile in tiles)
    left, right, similarity = _above(threshold, others, units, pairs)
    right = chosen[right - len(units)]
    pair = (left < len(units)) & (left != right)
    return Edges.distinct(left[pair], right[pair], similarity[pair])


def _nothing(dimensions: int) -> Items:
    return Items(
        np.empty((0, dimensions), np.float16),
        np.empty(0, np.uint64),
        np.empty((0, WORDS), np.uint64),
    )


def _matrix(values: "pl.Series", dimensions: int) -> Matrix:
    """A column of lists or arrays of numbers as a matrix."""
    import polars as pl

    listed = values.arr.to_list() if isinstance(values.dtype, pl.Array) else values
    if not (listed.list.len() == dimensions).fill_null(False).all():
        raise ValueError(f"each vector must have {dimensions} dimensions: embed all with one model")
    return listed.explode().to_numpy().reshape(len(values), dimensions)


def _joined(
    parameters: Parameters, vectors: Matrix, old: Items, threads: int, known: int = 0
) -> tuple[npt.NDArray[np.int64], Items, Edges]:
    """The item of each row, the new items, and all pairs with one of them; `known` are known."""
    units = _units(vectors, threads)
    hashes = np.empty(len(units), np.uint64)
    made = np.zeros((len(units), WORDS), np.uint64)
    numbers, fresh = np.empty(len(units), np.int64), np.empty(len(units), np.int64)
    table = np.full(1 << (4 * len(units)).bit_length(), -1, np.int64)
    _hash(_bits(units), hashes)
    kept = _number(
        _bits(units), hashes, _bits(old.units), frozen(old.hashes), table, numbers, fresh
    )
    if kept < len(units):
        units, hashes, made = units[fresh[:kept]], hashes[fresh[:kept]], made[:kept]
    if parameters.tables:
        normals = planes(parameters.dimensions, parameters.seed)

        def sketch(start: int) -> None:
            made[start : start + CHUNK] = sketches(units[start : start + CHUNK], normals)

        list(_each(sketch, range(0, kept, CHUNK), threads))
    new = Items(units, hashes, made)
    found = []
    for part in _each(
        partial(_found, parameters, new, old), _tasks(parameters, kept, threads), threads
    ):
        found.append(part)
        known += len(part[0])
        check_edge_count(known)
    if not found:
        return numbers, new, Edges.of([], [], [])
    return numbers, new, Edges.of(*map(np.concatenate, zip(*found, strict=True)))


def _each(
    function: Callable[[Task], Result], tasks: Iterable[Task], threads: int
) -> Iterator[Result]:
    """`function` of each task, in their order; the first error ends it."""
    if threads == 1:
        yield from map(function, tasks)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(function, tasks)


def _tasks(parameters: Parameters, rows: int, threads: int) -> Sequence[range]:
    """What threads share: tables, or if there are none, new rows."""
    if parameters.tables and rows:
        return [range(k, parameters.tables, threads) for k in range(threads)]
    return [range(start, min(start + TILE, rows)) for start in range(0, rows, TILE)]


def _found(parameters: Parameters, new: Items, old: Items, task: range) -> Found:
    if parameters.tables:
        pairs = near(parameters, task, new.sketches, old.sketches)
    else:
        pairs = _products(parameters.threshold, new.units, old.units, task)
    return _above(parameters.threshold, new.units, old.units, pairs)


def _products(threshold: float, new: Halves, old: Halves, rows: range) -> Iterator[Pairs]:
    """Pairs of any row and one of `rows` of `new` behind it that may be above the threshold.

    Rows of `old` are numbered first.
    """
    # Rounding moves a float32 dot product of unit vectors by (d + 2) * 2**-24 at most; taken twice.
    sieve = np.float32(threshold - (new.shape[1] + 4) * 2.0**-23)
    mine = _singles(new[rows.start : rows.stop])
    for base, others, stop in ((0, old, len(old)), (len(old), new, rows.stop)):
        for start in range(0, stop, TILE):
            product = _singles(others[start : min(start + TILE, stop)]) @ mine.T
            left, right = np.nonzero(product > sieve)
            left += base + start
            right += len(old) + rows.start
            keep = left < right
            yield left[keep], right[keep]


def _singles(units: Halves) -> npt.NDArray[np.float32]:
    """float32 vectors of length 1; a zero vector stays what it is."""
    result = np.empty(units.shape, np.float32)
    decode(_bits(units), result)
    lengths = np.sqrt(np.einsum("ij,ij->i", result, result, dtype=np.float64))
    return np.divide(
        result, np.where(lengths, lengths, 1)[:, None], out=result, casting="same_kind"
    )


def _above(threshold: float, new: Halves, old: Halves, pairs: Iterable[Pairs]) -> Found:
    """Those of the pairs whose cosine is above the threshold, and it."""
    empty = np.empty(0, np.int64)
    found: list[Found] = [(empty, empty, np.empty(0))]
    count = 0
    for left, right in pairs:
        similarity = np.empty(len(left))
        _cosines(_bits(old), _bits(new), left, right, similarity)
        above = similarity > threshold
        found.append((left[above], right[above], similarity[above]))
        count += len(found[-1][0])
        check_edge_count(count)
    left, right, similarity = map(np.concatenate, zip(*found, strict=True))
    return left, right, similarity


def _units(vectors: Matrix, threads: int) -> Halves:
    """Vectors of length 1 in half precision, of zeros for a zero vector.

    Raises ValueError for NaN, infinity, and numbers above those of float32.
    """
    result = np.empty(vectors.shape, np.float16)

    def round_off(start: int) -> None:
        block = vectors[start : start + CHUNK]
        if block.dtype == np.float16:
            singles = np.empty(block.shape, np.float32)
            decode(_bits(block), singles)
        else:
            with np.errstate(over="ignore"):
                singles = block.astype(np.float32, copy=False)
        bad = _unit(frozen(singles), result[start : start + CHUNK].view(np.uint16))
        if bad >= 0:
            raise ValueError(
                f"vector {start + bad} holds NaN, infinity or numbers too large: embed it again"
            )

    list(_each(round_off, range(0, len(vectors), CHUNK), threads))
    return result


def _bits(halves: Halves) -> Array:
    """The same memory for a kernel, which does not know half precision."""
    return frozen(halves).view(np.uint16)


@kernel
def _unit(vectors: Array, halves: Array) -> int:
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
            halves[i, k] = half(np.float32(vectors[i, k] * scale))
    return -1


@kernel
def _hash(units: Array, hashes: Array) -> None:
    """A hash of each row of bits: 0 for a row of zeros, and for no other."""
    dimensions = units.shape[1]
    whole = dimensions - dimensions % 4
    for i in range(len(units)):
        total, seen = np.uint64(0), np.uint64(0)
        for k in range(0, whole, 4):
            low = np.uint64(units[i, k]) | np.uint64(units[i, k + 1]) << np.uint64(16)
            high = np.uint64(units[i, k + 2]) | np.uint64(units[i, k + 3]) << np.uint64(16)
            word = low | high << np.uint64(32)
            seen |= word
            total = (total ^ word) * np.uint64(0x9E3779B97F4A7C15)
            total ^= total >> np.uint64(32)
        for k in range(whole, dimensions):
            word = np.uint64(units[i, k])
            seen |= word
            total = (total ^ word) * np.uint64(0x9E3779B97F4A7C15)
            total ^= total >> np.uint64(32)
        hashes[i] = max(mix64(total), np.uint64(1)) if seen else np.uint64(0)


@kernel
def _number(
    units: Array,
    hashes: Array,
    old_units: Array,
    old_hashes: Array,
    table: Array,
    numbers: Array,
    fresh: Array,
) -> int:
    """The item of each row: an old one, or a new one for the first row with its vector.

    `fresh` gets these rows; returns how many they are. `table` is full of -1, with room for twice
    the rows and more, and a power of two long.
    """
    mask = len(table) - 1
    for row in range(len(units)):
        numbers[row] = row
        if hashes[row]:
            slot = np.int64(hashes[row] >> np.uint64(1)) & mask
            while table[slot] >= 0:
                first = table[slot]
                if hashes[first] == hashes[row] and _same(units, first, units, row):
                    numbers[row] = first
                    break
                slot = (slot + 1) & mask
            if table[slot] < 0:
                table[slot] = row
    known = np.full(len(units), -1, np.int64)
    for item in range(len(old_hashes)):
        if old_hashes[item]:
            slot = np.int64(old_hashes[item] >> np.uint64(1)) & mask
            while table[slot] >= 0:
                first = table[slot]
                if hashes[first] == old_hashes[item] and _same(units, first, old_units, item):
                    known[first] = item
                    break
                slot = (slot + 1) & mask
    count = 0
    for row in range(len(units)):
        first = numbers[row]
        if known[first] < 0:
            known[first] = len(old_hashes) + count
            fresh[count] = row
            count += 1
        numbers[row] = known[first]
    return count


@kernel
def _same(a: Array, i: int, b: Array, j: int) -> bool:
    for k in range(a.shape[1]):  # noqa: SIM110
        if a[i, k] != b[j, k]:
            return False
    return True


def _exact(function: Function) -> Function:
    """A kernel whose sums may be taken in any order."""
    return cast(Function, njit(nogil=True, cache=True, fastmath={"reassoc"})(function))


@_exact
def _cosines(old: Array, new: Array, left: Array, right: Array, similarity: Array) -> None:
    """Cosines of pairs of rows, those of `old` numbered first; -2 where one of them is zero."""
    known = len(old)
    for p in range(len(left)):
        a = old[left[p]] if left[p] < known else new[left[p] - known]
        b = new[right[p] - known]
        dot, length, other = 0.0, 0.0, 0.0
        for k in range(new.shape[1]):
            x, y = single(a[k]), single(b[k])
            dot += np.float64(x * y)
            length += np.float64(x * x)
            other += np.float64(y * y)
        product = length * other
        similarity[p] = min(dot / np.sqrt(product), 1.0) if product > 0 else -2.0
