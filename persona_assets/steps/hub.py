"""From candidates to the hub (section 2.3): two rounds of near-duplicate removal.

numpy, and what of `dedup` needs it, is imported late: Dagster loads this module at every start.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.outcome import Outcome, drops, frame
from persona_assets.steps.personas import HOP

if TYPE_CHECKING:
    import numpy as np

    from persona_assets.dedup.index import Found

VERSION = "2"

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


def duplicates(found: "Found", stage: str, by_content: bool) -> Outcome:
    """Personas that another one stands for, by what a join over all shards found.

    Of two similar ones that stays which arrived first, or, `by_content`, which has the lower id:
    ids are hashes of content, so that then no order of shards and rows decides.
    """
    import numpy as np

    from persona_assets.dedup.survivors import survivors

    priority = None
    if by_content:
        priority = found.ids(np.arange(len(found.sets))).rank("ordinal").to_numpy()
    stay = survivors(found.sets, found.edges, priority)
    gone = stay.gone()
    rows = pl.DataFrame(
        {
            "persona_id": found.ids(gone),
            "survivor_id": found.ids(stay.row[gone]),
            "similarity": stay.similarity[gone],
            "stage": pl.repeat(stage, len(gone), dtype=pl.String, eager=True),
        },
        schema=DUPLICATES,
    )
    return Outcome(rows)


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


def persona_hub(candidates: pl.DataFrame, repeated: pl.DataFrame) -> Outcome:
    """A shard's part of the Persona Hub: the survivors of both rounds."""
    named = candidates.with_columns(reason=_named("semantic_duplicate", repeated))
    return _split(named, "persona_hub")


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


def _named(kind: str, repeated: pl.DataFrame) -> pl.Expr:
    gone = pl.col("persona_id").is_in(repeated["persona_id"].implode())
    return pl.when(gone).then(pl.lit(kind))


def _split(named: pl.DataFrame, stage: str) -> Outcome:
    gone = named.filter(pl.col("reason").is_not_null())
    rows = named.filter(pl.col("reason").is_null()).select(HUB.names())
    return Outcome(rows, drops(stage, gone.select("persona_id", "reason").iter_rows()), len(named))
