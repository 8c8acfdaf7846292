"""Pairs of personas by the similarity of their embeddings (section 4.1.2, figure 10).

numpy, and the parts of `dedup` that need it, are imported inside functions: Dagster loads this
module at every start.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.ids import content_id, uniform
from persona_assets.steps.hub import EMBEDDINGS
from persona_assets.storage.step_result import StepResult, typed_frame

if TYPE_CHECKING:
    from persona_assets.dedup.semantic.half_precision import Halves, Matrix

VERSION = "1"

PAIRS = pl.Schema(
    {
        "pair_id": pl.String(),
        "bucket": pl.Float64(),
        "similarity": pl.Float64(),
        "left_id": pl.String(),
        "right_id": pl.String(),
        "left": pl.String(),
        "right": pl.String(),
    }
)

Tables = Callable[[], Iterable[pl.LazyFrame]]
"""Function that scans tables of the schema EMBEDDINGS, one at a time."""

Pair = tuple[int, int, float]
"""Two personas by their places in the order of hashes, the earlier first, and their cosine."""

MAX_PERSONAS = 5_000
"""Personas of the sample, compared with each other: 12.5 million pairs, which fill the buckets of
all but rare similarities."""

UNREAD = 0.9
"""Confusion from which the embedding model cannot tell apart the texts of a persona's script: its
cosines say nothing about personas."""


def build_persona_pairs(
    hub: pl.DataFrame,
    embeddings: Tables,
    *,
    similarities: Sequence[float],
    tolerance: float,
    per_bucket: int,
    threads: int = 1,
) -> StepResult:
    """Draw pairs of personas at each similarity, by hash; a bucket is short only if the hub is.

    The pairs of a sample of the personas come first. A bucket that they leave short is filled from
    all pairs of the hub. Neither depends on the order of the personas or of the tables.

    Args:
        hub: Personas.
        embeddings: Function that scans the tables of their unit vectors, one at a time.
        similarities: Cosines of the buckets.
        tolerance: Largest distance of a pair's cosine from its bucket.
        per_bucket: Pairs per bucket.
        threads: Number of threads of the search in the whole hub.
    """
    personas = dict(hub.select("persona_id", "persona").iter_rows())
    places = {
        persona: uniform("pairs", persona)
        for table in embeddings()
        for persona in _readable(table).select("persona_id").collect()["persona_id"]
        if persona in personas
    }
    ids = sorted(places, key=lambda persona: (places[persona], persona))
    vectors = _sampled_vectors(ids[:MAX_PERSONAS], embeddings)
    buckets = [
        _sampled_pairs(ids, vectors, bucket, tolerance)[:per_bucket] for bucket in similarities
    ]
    if len(ids) > MAX_PERSONAS and any(len(pairs) < per_bucket for pairs in buckets):
        wanted = {
            bucket: per_bucket - len(pairs)
            for bucket, pairs in zip(similarities, buckets, strict=True)
        }
        units = _unit_vectors(ids, embeddings, vectors.shape[1], threads)
        found = _searched_pairs(ids, units, wanted, tolerance, threads)
        buckets = [first + more for first, more in zip(buckets, found, strict=True)]
    rows = [
        {
            "pair_id": content_id("pair", ids[i], ids[j]),
            "bucket": bucket,
            "similarity": similarity,
            "left_id": ids[i],
            "right_id": ids[j],
            "left": personas[ids[i]],
            "right": personas[ids[j]],
        }
        for bucket, pairs in zip(similarities, buckets, strict=True)
        for i, j, similarity in pairs
    ]
    return StepResult(typed_frame(rows, PAIRS))


def _sampled_vectors(ids: Sequence[str], embeddings: Tables) -> "Matrix":
    """Return the vectors of some personas, float32, shape (n, d)."""
    from persona_assets.dedup.index.vector_index import to_matrix

    sample = pl.DataFrame({"persona_id": ids}, schema={"persona_id": pl.String})
    found = [
        sample.join(_readable(table).select("persona_id", "vector").collect(), on="persona_id")
        for table in embeddings()
    ]
    vectors = pl.concat([pl.DataFrame(schema=EMBEDDINGS).select("persona_id", "vector"), *found])
    return to_matrix(sample.join(vectors, on="persona_id", maintain_order="left")["vector"])


def _sampled_pairs(
    ids: Sequence[str], vectors: "Matrix", bucket: float, tolerance: float
) -> list[Pair]:
    """Return the pairs of the first personas in a bucket, by hash."""
    import numpy as np

    cosines = vectors @ vectors.T if len(vectors) else np.empty((0, 0))
    left, right = np.nonzero(np.triu(np.abs(cosines - bucket) <= tolerance, k=1))
    close = [(int(i), int(j)) for i, j in zip(left, right, strict=True)]
    close.sort(key=lambda pair: uniform("pair", ids[pair[0]], ids[pair[1]]))
    return [(i, j, float(cosines[i, j])) for i, j in close]


def _unit_vectors(
    ids: Sequence[str], embeddings: Tables, dimensions: int, threads: int
) -> "Halves":
    """Return the vectors of all personas in half precision, read table by table."""
    import numpy as np

    from persona_assets.dedup.index.vector_index import to_matrix
    from persona_assets.dedup.semantic.half_precision import unit_vectors

    places = pl.DataFrame({"persona_id": ids}).with_row_index("place")
    units = np.zeros((len(ids), dimensions), np.float16)
    with ThreadPoolExecutor(threads) as pool:
        for table in embeddings():
            vectors = _readable(table).select("persona_id", "vector").collect()
            placed = vectors.join(places, on="persona_id")
            matrix = to_matrix(placed["vector"], dimensions)
            units[placed["place"].to_numpy()] = unit_vectors(matrix, pool)
    return units


def _searched_pairs(
    ids: Sequence[str],
    units: "Halves",
    wanted: Mapping[float, int],
    tolerance: float,
    threads: int,
) -> list[list[Pair]]:
    """Return a number of pairs for each bucket that are not of two sampled personas."""
    import numpy as np

    from persona_assets.dedup.semantic.cosine_ranges import CosineRange, pairs_in_ranges

    hashes = np.array([uniform("pairs", persona) * 2**52 for persona in ids]).astype(np.uint64)
    ranges = [
        CosineRange(bucket - tolerance, bucket + tolerance, count)
        for bucket, count in wanted.items()
    ]
    drawn = pairs_in_ranges(units, hashes, ranges, first=MAX_PERSONAS, threads=threads)
    return [list(zip(*(column.tolist() for column in each), strict=True)) for each in drawn]


def _readable(embeddings: pl.LazyFrame) -> pl.LazyFrame:
    """Return the rows whose script the model reads."""
    return embeddings.filter((pl.col("confusion") < UNREAD).fill_null(True))


def short_buckets(pairs: pl.DataFrame, similarities: Sequence[float], per_bucket: int) -> str:
    """List the similarities with fewer pairs than asked for; empty if there are none."""
    counts_by_bucket = dict(pairs.group_by("bucket").len().iter_rows())
    counts = {bucket: counts_by_bucket.get(bucket, 0) for bucket in similarities}
    return ", ".join(f"{b}: {n} of {per_bucket} pairs" for b, n in counts.items() if n < per_bucket)
