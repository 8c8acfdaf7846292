"""Neighbours of forbidden problems: problems of similar vectors, looked at once more by words.

Every pair is compared, in blocks of matrix products, so that the result is exact and the memory
bounded. A cosine alone decides nothing: two problems on the same matter are neighbours, too.
"""

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from persona_assets.steps import second_look
from persona_assets.steps.contamination import (
    BY_MEANING,
    PROBLEMS,
    Containment,
    ContaminationError,
)
from persona_assets.steps.hub import VECTORS, Embed, build_embeddings
from persona_assets.steps.samples import SAMPLE_EMBEDDINGS, embedded_text
from persona_assets.steps.second_look import EVIDENCE, SecondLook
from persona_assets.storage.step_result import StepResult

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

VERSION = f"1.{second_look.VERSION}"
"""Version of the search and of the second look."""

FORBIDDEN_VECTORS = pl.Schema({"problem_id": pl.String(), **VECTORS})
"""Columns of the vectors of forbidden problems."""

PART = 65_536
"""Rows of a table that are in memory at a time."""
TILE = 2048
"""Rows on each side of a matrix product."""
PAIRS = 65_536
"""Pairs whose cosine is computed at a time."""
ERROR = 1e-5
"""More than the error of a cosine in float32."""


@dataclass(frozen=True)
class ProblemVectors:
    """Vectors of problems, and the cosine above which two are neighbours.

    Attributes:
        samples: Tables with `sample_id` and the columns VECTORS, read part by part.
        forbidden: Table with the columns FORBIDDEN_VECTORS.
        cosine: Cosine above which two problems are neighbours.
    """

    samples: Sequence[pl.LazyFrame]
    forbidden: pl.LazyFrame
    cosine: float


class MissingVectorError(ValueError):
    """A problem has no vector; the message names the table to materialize."""


def build_forbidden_vectors(problems: pl.DataFrame, most_bytes: int, embed: Embed) -> StepResult:
    """Embed the beginning of each problem, once where several benchmarks have it.

    Args:
        problems: Columns of `contamination.PROBLEMS`.
        most_bytes: Most UTF-8 bytes of a problem that are embedded.
        embed: Embedding model.
    """
    distinct = problems.unique("problem_id", keep="first", maintain_order=True)
    texts = distinct.select(embedded_text(["problem"], most_bytes)).to_series()
    return build_embeddings(distinct["problem_id"], texts, embed)


def neighbours(
    vectors: "Array", others: "Array", cosine: float
) -> "Iterator[tuple[Array, Array, Array]]":
    """Yield rows, other rows and cosines of all pairs of unit vectors above a cosine.

    float32 proposes the pairs and float64 decides, so that no block, thread or library of linear
    algebra changes a decision.

    Args:
        vectors: Unit vectors, float32, shape (n, d); a zero vector has no neighbour.
        others: Unit vectors, float32, shape (m, d).
        cosine: Cosine, above 0.

    Example:
        >>> import numpy as np
        >>> axes = np.eye(2, dtype=np.float32)
        >>> [(row.tolist(), other.tolist()) for row, other, _ in neighbours(axes, axes[:1], 0.5)]
        [([0], [0])]
    """
    import numpy as np

    for start in range(0, len(vectors), TILE):
        block = vectors[start : start + TILE]
        for base in range(0, len(others), TILE):
            tile = others[base : base + TILE]
            rows, columns = np.nonzero(block @ tile.T > cosine - ERROR)
            for first in range(0, len(rows), PAIRS):
                row, column = rows[first : first + PAIRS], columns[first : first + PAIRS]
                exact = np.einsum("ij,ij->i", block[row], tile[column], dtype=np.float64)
                above = exact > cosine
                yield start + row[above], base + column[above], exact[above]


@dataclass(frozen=True)
class Neighbour:
    """A forbidden problem near a problem of the math sets.

    Attributes:
        benchmark: Name of the benchmark.
        problem_id: Id of the forbidden problem.
        problem: Its text.
        cosine: Cosine of both vectors.
        share: Share of its tokens that occur in the other problem.
    """

    benchmark: str
    problem_id: str
    problem: str
    cosine: float
    share: float


def contained_by_meaning(
    problems: pl.DataFrame, apart: pl.DataFrame, vectors: ProblemVectors
) -> dict[str, Containment]:
    """Return the forbidden problem that a problem contains by its meaning, by sample id.

    Args:
        problems: Columns `sample_id` and `problem`; a problem may be repeated.
        apart: Problems that must not occur, columns of `contamination.PROBLEMS`. Their vectors are
            among those of the forbidden problems or of the samples.
        vectors: Vectors of both.

    Raises:
        MissingVectorError: A problem has no vector.
    """
    near = _Near(problems, apart, vectors, vectors.cosine)
    found: dict[str, Containment] = {}
    for row_id, other, cosine in near.pairs():
        best = found.get(row_id)
        share, evidence = near.look.compare(other, near.texts[row_id])
        nearer = best is None or best.cosine is None or cosine > best.cosine
        if evidence > EVIDENCE and nearer:
            benchmark, problem_id, _ = near.known[other]
            found[row_id] = Containment(benchmark, problem_id, share, BY_MEANING, cosine)
    return found


def nearest(
    problems: pl.DataFrame, apart: pl.DataFrame, vectors: ProblemVectors, cosine: float, most: int
) -> dict[str, list[Neighbour]]:
    """Return the nearest forbidden problems of each problem that has any, by sample id.

    Args:
        problems: Columns `sample_id` and `problem`.
        apart: Problems that must not occur; see `contained_by_meaning`.
        vectors: Vectors of both.
        cosine: Cosine above which a problem is near, instead of that of the vectors.
        most: Most neighbours of a problem.

    Raises:
        MissingVectorError: A problem has no vector.
    """
    near = _Near(problems, apart, vectors, cosine)
    found: dict[str, list[tuple[float, str, int]]] = {}
    for row_id, other, similarity in near.pairs():
        _, problem_id, _ = near.known[other]
        best = [*found.get(row_id, []), (-similarity, problem_id, other)]
        found[row_id] = sorted(best)[:most]
    return {
        row_id: [
            Neighbour(*near.known[other], -negative, near.look.share(other, near.texts[row_id]))
            for negative, _, other in best
        ]
        for row_id, best in found.items()
    }


class _Near:
    """Pairs of problems and forbidden problems above a cosine; arguments as of `nearest`.

    Attributes:
        texts: Problems by sample id.
        known: Benchmark, id and text of the forbidden problems that the model reads.
        look: Comparison of these with texts.
    """

    def __init__(
        self, problems: pl.DataFrame, apart: pl.DataFrame, vectors: ProblemVectors, cosine: float
    ) -> None:
        self.texts: dict[str, str] = dict(problems.select("sample_id", "problem").iter_rows())
        ids, self._others = _vectors_of(apart["problem_id"].unique(), vectors, cosine)
        named = {row[1]: row for row in apart.select(PROBLEMS.names()).iter_rows()}
        self.known: list[tuple[str, str, str]] = [named[problem_id] for problem_id in ids]
        self.look = SecondLook([problem for _, _, problem in self.known])
        self._samples, self._cosine = vectors.samples, cosine

    def pairs(self) -> Iterator[tuple[str, int, float]]:
        """Yield sample id, number of the forbidden problem and cosine of each pair.

        Raises:
            MissingVectorError: A problem has no vector.
        """
        without = set(self.texts)
        for part in _parts(self._samples, self.texts):
            without.difference_update(part["sample_id"])
            read = part.filter(_is_read(self._cosine))
            ids = read["sample_id"].to_list()
            for row, other, cosine in _pairs(read["vector"], self._others, self._cosine):
                yield ids[row], other, cosine
        _require_none(without, "embedded_math_problems")


def require_absent_by_meaning(
    forbidden: pl.DataFrame,
    problems: pl.DataFrame,
    vectors: ProblemVectors | None,
    judged: Mapping[str, Containment],
) -> None:
    """Raise an error if a problem contains a forbidden one by its meaning or by a judge's verdict.

    Args:
        forbidden: Columns of `contamination.PROBLEMS`.
        problems: Problems to train on, columns `sample_id` and `problem`.
        vectors: Vectors of both; None searches for nothing.
        judged: Forbidden problem by a judge's verdict, by sample id.

    Raises:
        ContaminationError: A problem contains a forbidden problem.
        MissingVectorError: A problem has no vector.
    """
    by_meaning = {} if vectors is None else contained_by_meaning(problems, forbidden, vectors)
    by_judge = {row_id: judged[row_id] for row_id in problems["sample_id"] if row_id in judged}
    for row_id, found in (by_judge | by_meaning).items():
        raise ContaminationError(
            f"math_train has the problem {row_id}, {found.reason}: materialize math_train again, "
            "or change PERSONA_DECONTAMINATE_COSINE"
        )


def _vectors_of(
    ids: pl.Series, vectors: ProblemVectors, cosine: float
) -> "tuple[list[str], Array]":
    """Return the problems that the model reads, and their vectors.

    Raises:
        MissingVectorError: A problem has no vector.
    """
    known = vectors.forbidden.filter(pl.col("problem_id").is_in(ids.implode())).collect()
    if missing := set(ids) - set(known["problem_id"]):
        by_id = {"sample_id": "problem_id"}
        samples = [part.rename(by_id) for part in _parts(vectors.samples, missing)]
        known = pl.concat([known, *samples])
    _require_none(set(ids) - set(known["problem_id"]), "forbidden_vectors")
    read = known.filter(_is_read(cosine)).unique("problem_id", maintain_order=True)
    return read["problem_id"].to_list(), _matrix(read["vector"])


def _parts(tables: Sequence[pl.LazyFrame], ids: Iterable[str]) -> Iterator[pl.DataFrame]:
    """Yield the rows of samples, at most PART at a time."""
    wanted = pl.Series(list(ids), dtype=pl.String).implode()
    for table in tables:
        for start in itertools.count(0, PART):
            part = table.slice(start, PART).collect()
            if part.is_empty():
                break
            yield part.select(SAMPLE_EMBEDDINGS.names()).filter(pl.col("sample_id").is_in(wanted))


def _pairs(column: pl.Series, others: "Array", cosine: float) -> Iterator[tuple[int, int, float]]:
    if len(column) and len(others):
        for rows, numbers, cosines in neighbours(_matrix(column), others, cosine):
            yield from zip(rows.tolist(), numbers.tolist(), cosines.tolist(), strict=True)


def _matrix(column: pl.Series) -> "Array":
    from persona_assets.dedup.index.vector_index import to_matrix

    return to_matrix(column)


def _is_read(cosine: float) -> pl.Expr:
    """Return True for a text whose similar vectors imply a similar meaning; see `hub.VECTORS`."""
    return pl.col("confusion").is_null() | (pl.col("confusion") < cosine)


def _require_none(missing: Collection[str], table: str) -> None:
    if missing:
        raise MissingVectorError(
            f"{len(missing)} problems have no vector ({min(missing)}): materialize {table} again"
        )
