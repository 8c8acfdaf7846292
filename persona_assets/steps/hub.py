"""From candidates to the hub (section 2.3): two rounds of near-duplicate removal.

numpy, and what of `dedup` needs it, is imported late: Dagster loads this module at every start.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import polars as pl

from persona_assets.outcome import Outcome, drops, frame
from persona_assets.steps.personas import HOP

if TYPE_CHECKING:
    import numpy as np

    from persona_assets.dedup.survivors import Edges

VERSION = "1"

Embed = Callable[[Sequence[str]], "np.ndarray"]
"""Texts in, one unit vector each out: float32 of shape (texts, dimensions)."""

DUPLICATES = pl.Schema(
    {
        "persona_id": pl.String(),
        "survivor_id": pl.String(),
        "similarity": pl.Float64(),
        "stage": pl.String(),
    }
)
EMBEDDINGS = pl.Schema({"persona_id": pl.String(), "vector": pl.List(pl.Float32())})
HUB = HOP


def lexical_duplicates(
    candidates: pl.DataFrame, threshold: Fraction, method: Literal["exact", "minhash"]
) -> Outcome:
    """Personas that share at least `threshold` of their words with one that came before them.

    Rows of `candidates` are in order of arrival; those the quality filter rejected take no part.
    """
    from persona_assets.dedup.lexical import lexical_edges

    kept = candidates.filter("kept")
    edges = lexical_edges(kept["persona"].to_list(), threshold, method)
    return Outcome(_duplicates(kept["persona_id"].to_list(), edges, "lexical"))


def lexical_survivors(candidates: pl.DataFrame, repeated: pl.DataFrame) -> Outcome:
    """A shard's candidates that pass the quality filter and are no one's lexical duplicate."""
    named = candidates.with_columns(
        reason=pl.when("kept")
        .then(_named("lexical_duplicate", repeated))
        .otherwise(pl.format("quality:{}", pl.col("reason")))
    )
    return _split(named, "lexical_survivors")


def persona_embeddings(survivors: pl.DataFrame, embed: Embed) -> Outcome:
    """A vector for each persona; equal personas are embedded once."""
    personas = survivors["persona"].unique(maintain_order=True)
    vectors = dict(zip(personas, embed(personas.to_list()), strict=True))
    rows = [
        {"persona_id": row["persona_id"], "vector": vectors[row["persona"]].tolist()}
        for row in survivors.iter_rows(named=True)
    ]
    return Outcome(frame(rows, EMBEDDINGS), rows_in=len(survivors))


def semantic_duplicates(embeddings: pl.DataFrame, threshold: float) -> Outcome:
    """Personas whose vector has a cosine above `threshold` with one that came before them."""
    from persona_assets.dedup.cosine import cosine_edges

    edges = cosine_edges(matrix(embeddings["vector"]), threshold)
    return Outcome(_duplicates(embeddings["persona_id"].to_list(), edges, "semantic"))


def persona_hub(candidates: pl.DataFrame, repeated: pl.DataFrame) -> Outcome:
    """A shard's part of the Persona Hub: the survivors of both rounds."""
    named = candidates.with_columns(reason=_named("semantic_duplicate", repeated))
    return _split(named, "persona_hub")


def duplicate_pairs(
    hub: pl.DataFrame, embeddings: pl.DataFrame, lexical: Fraction, semantic: float
) -> list[tuple[str, str]]:
    """Ids of the pairs of a hub that should not both be in it; none in a sound hub."""
    from persona_assets.dedup.cosine import cosine_edges
    from persona_assets.dedup.lexical import lexical_edges

    ids = hub["persona_id"].to_list()
    near = lexical_edges(hub["persona"].to_list(), lexical, "exact")
    placed = hub.join(embeddings, on="persona_id", how="inner", maintain_order="left")
    meant = cosine_edges(matrix(placed["vector"]), semantic)
    named = placed["persona_id"].to_list()
    return [
        *((ids[i], ids[j]) for i, j in zip(near.left, near.right, strict=True)),
        *((named[i], named[j]) for i, j in zip(meant.left, meant.right, strict=True)),
    ]


def matrix(vectors: pl.Series) -> "np.ndarray":
    """A column of vectors as a float32 array of shape (rows, dimensions).

    Raises ValueError for vectors of different dimensions, which are of different models.
    """
    import numpy as np

    if vectors.is_empty():
        return np.empty((0, 0), np.float32)
    dimensions = vectors.list.len().unique().sort().to_list()
    if len(dimensions) > 1:
        raise ValueError(
            f"vectors have {' and '.join(map(str, dimensions))} dimensions: materialize "
            "persona_embeddings of all shards with one model"
        )
    flat = vectors.explode().to_numpy().astype(np.float32, copy=False)
    return flat.reshape(len(vectors), -1)


def _duplicates(ids: Sequence[str], edges: "Edges", stage: str) -> pl.DataFrame:
    from persona_assets.dedup.survivors import duplicates, survivors

    rows = [(*row, stage) for row in duplicates(ids, edges, survivors(len(ids), edges))]
    return pl.DataFrame(rows, schema=DUPLICATES, orient="row")


def _named(kind: str, repeated: pl.DataFrame) -> pl.Expr:
    gone = pl.col("persona_id").is_in(repeated["persona_id"].implode())
    return pl.when(gone).then(pl.lit(kind))


def _split(named: pl.DataFrame, stage: str) -> Outcome:
    gone = named.filter(pl.col("reason").is_not_null())
    rows = named.filter(pl.col("reason").is_null()).select(HUB.names())
    return Outcome(rows, drops(stage, gone.select("persona_id", "reason").iter_rows()), len(named))
