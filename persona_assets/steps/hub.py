"""From candidates to the hub (section 2.3): two rounds of near-duplicate removal.

numpy, and what of `dedup` needs it, is imported late: Dagster loads this module at every start.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.steps.personas import HOP
from persona_assets.steps.scripts import OTHER, confusions, probes_of, script_of
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

if TYPE_CHECKING:
    import numpy as np

    from persona_assets.dedup.index.shard_index import JoinedRows

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
EMBEDDINGS = pl.Schema(
    {
        "persona_id": pl.String(),
        "vector": pl.List(pl.Float32()),
        "script": pl.String(),
        "confusion": pl.Float64(),
    }
)
"""`confusion` is the highest cosine that the model gave to two texts of this script that have
nothing in common; 1 for a text to which it gave no vector, and null where nobody tried. At
thresholds up to it a text is unread: what is like it need not mean the same.
"""
HUB = HOP


def build_duplicates(found: "JoinedRows", stage: str, by_content: bool) -> StepResult:
    """Personas that another one stands for, by what a join over all shards found.

    Of two similar ones that stays which arrived first, or, `by_content`, which has the lower id:
    ids are hashes of content, so that then no order of shards and rows decides.
    """
    import numpy as np

    from persona_assets.dedup.survivors import choose_survivors

    priority = None
    if by_content:
        priority = found.ids(np.arange(len(found.sets))).rank("ordinal").to_numpy()
    stay = choose_survivors(found.sets, found.edges, priority)
    gone = stay.dropped()
    rows = pl.DataFrame(
        {
            "persona_id": found.ids(gone),
            "survivor_id": found.ids(stay.row[gone]),
            "similarity": stay.similarity[gone],
            "stage": pl.repeat(stage, len(gone), dtype=pl.String, eager=True),
        },
        schema=DUPLICATES,
    )
    return StepResult(rows)


def build_lexical_survivors(candidates: pl.DataFrame, repeated: pl.DataFrame) -> StepResult:
    """A shard's candidates that pass the quality filter and are no one's lexical duplicate."""
    named = candidates.with_columns(
        reason=pl.when("kept")
        .then(_named("lexical_duplicate", repeated))
        .otherwise(pl.format("quality:{}", pl.col("reason")))
    )
    return _split(named, "lexical_survivors")


def build_persona_embeddings(survivors: pl.DataFrame, embed: Embed) -> StepResult:
    """A vector for each persona; equal personas are embedded once.

    With them, in the same calls, the probes of their scripts are: a row depends on its persona and
    the model, and on no other row.
    """
    personas = survivors["persona"].unique(maintain_order=True).to_list()
    scripts = [script_of(persona) for persona in personas]
    probes = probes_of(scripts)
    vectors = embed([*personas, *(text for _, text in probes)])
    confused = confusions(probes, vectors[len(personas) :])
    made = {
        persona: {
            "vector": vector.tolist(),
            "script": script,
            "confusion": confused.get(script) if vector.any() else 1.0,
        }
        for persona, script, vector in zip(personas, scripts, vectors, strict=False)
    }
    pairs = survivors.select("persona_id", "persona").iter_rows()
    rows = [{"persona_id": row_id, **made[persona]} for row_id, persona in pairs]
    return StepResult(typed_frame(rows, EMBEDDINGS), rows_in=len(survivors))


def zero_unread_vectors(embeddings: pl.LazyFrame, threshold: float) -> pl.LazyFrame:
    """Embeddings in which an unread text has a zero vector, which is like no other."""
    # Not a product with 0: that would leave zeros with a sign.
    zeros = pl.col("vector").list.eval(pl.element().is_null().cast(pl.Float32))
    unread = pl.col("confusion") >= threshold
    return embeddings.with_columns(vector=pl.when(unread).then(zeros).otherwise("vector"))


def count_unread(embeddings: Iterable[pl.LazyFrame], threshold: float) -> dict[str, int | str]:
    """Texts that the model cannot read, which are nobody's duplicates, by script; and texts of
    scripts without probes, of which that is not known.
    """
    lost, unprobed = Counter[str](), 0
    for table in embeddings:
        rows = table.select("script", "confusion").collect()
        unprobed += int((rows["script"] == OTHER).sum())
        counts = rows.filter(pl.col("confusion") >= threshold)["script"].value_counts()
        lost.update(dict(counts.iter_rows()))
    by_script = ", ".join(f"{script} {count}" for script, count in sorted(lost.items()))
    return {
        "unread_texts": lost.total(),
        "unread_scripts": by_script or "none",
        "unprobed_texts": unprobed,
    }


def build_persona_hub(candidates: pl.DataFrame, repeated: pl.DataFrame) -> StepResult:
    """A shard's part of the Persona Hub: the survivors of both rounds."""
    named = candidates.with_columns(reason=_named("semantic_duplicate", repeated))
    return _split(named, "persona_hub")


def _named(kind: str, repeated: pl.DataFrame) -> pl.Expr:
    gone = pl.col("persona_id").is_in(repeated["persona_id"].implode())
    return pl.when(gone).then(pl.lit(kind))


def _split(named: pl.DataFrame, stage: str) -> StepResult:
    gone = named.filter(pl.col("reason").is_not_null())
    rows = named.filter(pl.col("reason").is_null()).select(HUB.names())
    return StepResult(
        rows, quarantine(stage, gone.select("persona_id", "reason").iter_rows()), len(named)
    )
