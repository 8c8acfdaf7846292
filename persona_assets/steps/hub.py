"""Near-duplicate removal from candidates to the hub (section 2.3), in two rounds.

numpy, and the parts of `dedup` that need it, are imported inside functions: Dagster loads this
module at every start.
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
"""Embedding of texts: unit vectors, float32, shape (texts, dimensions)."""

DUPLICATES = pl.Schema(
    {
        "persona_id": pl.String(),
        "survivor_id": pl.String(),
        "similarity": pl.Float64(),
        "stage": pl.String(),
    }
)
VECTORS = pl.Schema(
    {
        "vector": pl.List(pl.Float32()),
        "script": pl.String(),
        "confusion": pl.Float64(),
    }
)
"""Columns of embeddings, beside the id of a row.

`confusion` is the highest cosine that the model gives to two unrelated texts of the row's script;
1 for a text without a vector, null for an unprobed script. At thresholds up to that value a text
is unread: a similar vector does not imply a similar meaning.
"""
EMBEDDINGS = pl.Schema({"persona_id": pl.String(), **VECTORS})
"""Columns of the embeddings of personas."""
HUB = HOP


def build_duplicates(joined: "JoinedRows", stage: str, by_content: bool) -> StepResult:
    """Choose the survivors of a join over all shards, and list the duplicates.

    Args:
        joined: Rows of all shards and their similar pairs.
        stage: "lexical" or "semantic".
        by_content: Prefer the lower id instead of the earlier arrival. Ids are hashes of content,
            so the order of shards and rows then decides nothing.

    Returns:
        One row per duplicate, with its survivor.
    """
    import numpy as np

    from persona_assets.dedup.survivors import choose_survivors

    priority = None
    if by_content:
        priority = joined.ids(np.arange(len(joined.sets))).rank("ordinal").to_numpy()
    survivors = choose_survivors(joined.sets, joined.edges, priority)
    duplicates = survivors.dropped()
    rows = pl.DataFrame(
        {
            "persona_id": joined.ids(duplicates),
            "survivor_id": joined.ids(survivors.row[duplicates]),
            "similarity": survivors.similarity[duplicates],
            "stage": pl.repeat(stage, len(duplicates), dtype=pl.String, eager=True),
        },
        schema=DUPLICATES,
    )
    return StepResult(rows)


def build_lexical_survivors(candidates: pl.DataFrame, duplicates: pl.DataFrame) -> StepResult:
    """Keep a shard's candidates that pass the quality filter and are not lexical duplicates."""
    reason = (
        pl.when("kept")
        .then(_duplicate_reason("lexical_duplicate", duplicates))
        .otherwise(pl.format("quality:{}", pl.col("reason")))
    )
    return _split_by_reason(candidates.with_columns(reason=reason), "lexical_survivors")


def build_persona_embeddings(
    survivors: pl.DataFrame, embed: Embed, known: pl.DataFrame | None = None
) -> StepResult:
    """Embed each persona that has no vector yet; see `build_embeddings`.

    Args:
        survivors: Rows of HUB.
        embed: Embedding model.
        known: Earlier rows of EMBEDDINGS by the same model: an id is that of a persona's words.
    """
    ids = survivors.select("persona_id")
    kept = (known if known is not None else EMBEDDINGS.to_frame()).join(ids, "persona_id", "semi")
    new = survivors.join(kept, "persona_id", "anti", maintain_order="left")
    made = build_embeddings(new["persona_id"], new["persona"], embed).rows
    rows = ids.join(pl.concat([kept, made]), "persona_id", maintain_order="left")
    return StepResult(rows, rows_in=len(ids))


def embedded_texts(texts: pl.Series) -> list[str]:
    """Return the texts that are embedded for some texts: each once, and the probes of scripts."""
    different = texts.unique(maintain_order=True).to_list()
    return [*different, *(text for _, text in probes_of(map(script_of, different)))]


def build_embeddings(ids: pl.Series, texts: pl.Series, embed: Embed) -> StepResult:
    """Embed each text; equal texts are embedded once.

    The probes of the texts' scripts are embedded in the same calls. A row depends on its text and
    the model, and on no other row.

    Args:
        ids: Ids of the rows; its name is that of their column.
        texts: Text of each row.
        embed: Embedding model.

    Returns:
        A row of the id and the columns VECTORS for each text.
    """
    different = texts.unique(maintain_order=True).to_list()
    scripts = [script_of(text) for text in different]
    probes = probes_of(scripts)
    vectors = embed([*different, *(text for _, text in probes)])
    confusion = confusions(probes, vectors[len(different) :])
    columns = {
        text: {
            "vector": vector.tolist(),
            "script": script,
            "confusion": confusion.get(script) if vector.any() else 1.0,
        }
        for text, script, vector in zip(different, scripts, vectors, strict=False)
    }
    rows = [{ids.name: row_id, **columns[text]} for row_id, text in zip(ids, texts, strict=True)]
    schema = pl.Schema({ids.name: pl.String(), **VECTORS})
    return StepResult(typed_frame(rows, schema), rows_in=len(ids))


def zero_unread_vectors(embeddings: pl.LazyFrame, threshold: float) -> pl.LazyFrame:
    """Give unread texts a zero vector, which is similar to no other."""
    # A product with 0 would leave signed zeros.
    zeros = pl.col("vector").list.eval(pl.element().is_null().cast(pl.Float32))
    unread = pl.col("confusion") >= threshold
    return embeddings.with_columns(vector=pl.when(unread).then(zeros).otherwise("vector"))


def count_unread(embeddings: Iterable[pl.LazyFrame], threshold: float) -> dict[str, int | str]:
    """Count the texts that the model cannot read, which are never duplicates.

    Args:
        embeddings: Tables with the columns VECTORS.
        threshold: Cosine above which two texts are duplicates.

    Returns:
        Metadata: unread texts in all and by script, and texts of scripts without probes, for which
        readability is unknown.
    """
    unread, unprobed = Counter[str](), 0
    for table in embeddings:
        rows = table.select("script", "confusion").collect()
        unprobed += int((rows["script"] == OTHER).sum())
        counts = rows.filter(pl.col("confusion") >= threshold)["script"].value_counts()
        unread.update(dict(counts.iter_rows()))
    by_script = ", ".join(f"{script} {count}" for script, count in sorted(unread.items()))
    return {
        "unread_texts": unread.total(),
        "unread_scripts": by_script or "none",
        "unprobed_texts": unprobed,
    }


def build_persona_hub(survivors: pl.DataFrame, duplicates: pl.DataFrame) -> StepResult:
    """Keep the lexical survivors of a shard that are not semantic duplicates."""
    reason = _duplicate_reason("semantic_duplicate", duplicates)
    return _split_by_reason(survivors.with_columns(reason=reason), "persona_hub")


def _duplicate_reason(reason: str, duplicates: pl.DataFrame) -> pl.Expr:
    is_duplicate = pl.col("persona_id").is_in(duplicates["persona_id"].implode())
    return pl.when(is_duplicate).then(pl.lit(reason))


def _split_by_reason(rows: pl.DataFrame, stage: str) -> StepResult:
    """Split rows into kept ones, without a reason, and dropped ones."""
    dropped = rows.filter(pl.col("reason").is_not_null()).select("persona_id", "reason")
    kept = rows.filter(pl.col("reason").is_null()).select(HUB.names())
    return StepResult(kept, quarantine(stage, dropped.iter_rows()), len(rows))
