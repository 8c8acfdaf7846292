"""Neighbours of forbidden problems: problems of similar vectors, looked at once more by words.

Every pair is compared, in blocks of matrix products, so that the result is exact and the memory
bounded. A cosine alone decides nothing: two problems on the same matter are neighbours, too.
"""

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
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
    texts = dict(problems.select("sample_id", "problem").iter_rows())
    ids, others = _vectors_of(apart["problem_id"].unique(), vectors)
    named = {row[1]: row for row in apart.select(PROBLEMS.names()).iter_rows()}
    look = SecondLook([named[problem_id][2] for problem_id in ids])
    found: dict[str, Containment] = {}
    without = set(texts)
    for part in _parts(vectors.samples, texts):
        without.difference_update(part["sample_id"])
        read = part.filter(_is_read(vectors.cosine))
        read_ids = read["sample_id"].to_list()
        for row, other, cosine in _pairs(read["vector"], others, vectors.cosine):
            row_id, best = read_ids[row], found.get(read_ids[row])
            share, evidence = look.compare(other, texts[row_id])
            nearer = best is None or best.cosine is None or cosine > best.cosine
            if evidence > EVIDENCE and nearer:
                benchmark, problem_id, _ = named[ids[other]]
                found[row_id] = Containment(benchmark, problem_id, share, BY_MEANING, cosine)
    _require_none(without, "embedded_math_problems")
    return found


def require_absent_by_meaning(
    forbidden: pl.DataFrame, problems: pl.DataFrame, vectors: ProblemVectors | None
) -> None:
    """Raise an error if a problem contains a forbidden one by its meaning.

    Args:
        forbidden: Columns of `contamination.PROBLEMS`.
        problems: Problems to train on, columns `sample_id` and `problem`.
        vectors: Vectors of both; None searches for nothing.

    Raises:
        ContaminationError: A problem contains a forbidden problem.
        MissingVectorError: A problem has no vector.
    """
    if vectors is None:
        return
    for row_id, found in contained_by_meaning(problems, forbidden, vectors).items():
        raise ContaminationError(
            f"math_train has the problem {row_id}, {found.reason}: materialize math_train again, "
            "or change PERSONA_DECONTAMINATE_COSINE"
        )


def _vectors_of(ids: pl.Series, vectors: ProblemVectors) -> "tuple[list[str], Array]":
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
    read = known.filter(_is_read(vectors.cosine)).unique("problem_id", maintain_order=True)
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
