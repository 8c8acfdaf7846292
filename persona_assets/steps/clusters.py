"""Clusters of the hub: size, words that set each apart from the others, and examples."""

from collections.abc import Iterable

import polars as pl

from persona_assets.dedup.text.words import words
from persona_assets.storage.step_result import StepResult

VERSION = "1"

CLUSTERS = pl.Schema(
    {
        "cluster": pl.Int64(),
        "label": pl.String(),
        "size": pl.Int64(),
        "share": pl.Float64(),
        "words": pl.List(pl.String()),
        "x": pl.Float64(),
        "y": pl.Float64(),
        "example_ids": pl.List(pl.String()),
        "examples": pl.List(pl.String()),
    }
)
"""Columns of clusters. `x` and `y` are the medians of the members, `share` is that of all places.
"""

WORDS = 6
"""Number of words of a cluster."""

LABEL_WORDS = 2
"""Number of its words in its label."""

TIMES = 2
"""Least share of a cluster's personas that have a word over the share of the others."""

EXAMPLES = 3
"""Number of examples: the personas nearest to the centre."""


def build_clusters(shards: Iterable[tuple[pl.DataFrame, pl.DataFrame]]) -> StepResult:
    """Describe the clusters of a map.

    Args:
        shards: Rows of `persona_map` and of `persona_hub` of each shard.

    Returns:
        A row per cluster that has personas.
    """
    places: list[pl.DataFrame] = [pl.DataFrame(schema=_PLACES)]
    counts: list[pl.DataFrame] = [pl.DataFrame(schema=_COUNTS)]
    examples: list[pl.DataFrame] = [pl.DataFrame(schema=_EXAMPLES)]
    for placed, hub in shards:
        rows = placed.join(hub.select("persona_id", "persona"), on="persona_id")
        places.append(rows.select(*_PLACES))
        counts.append(_count_words(rows))
        # The nearest of all shards are among the nearest of each.
        examples.append(_nearest(rows.select(*_EXAMPLES)))
    sizes = pl.concat(places).group_by("cluster").agg(pl.len(), pl.median("x", "y").round(4))
    named = label_words(pl.concat(counts), sizes.select("cluster", size="len"))
    shown = _nearest(pl.concat(examples)).group_by("cluster", maintain_order=True)
    total = pl.col("len").sum()
    rows = (
        sizes.join(named, on="cluster", how="left")
        .join(shown.agg(example_ids="persona_id", examples="persona"), on="cluster")
        .with_columns(pl.col("words").fill_null([]))
        .with_columns(label=_label(), share=pl.col("len") / total, size=pl.col("len").cast(int))
        .sort("size", "cluster", descending=[True, False])
    )
    return StepResult(rows.select(CLUSTERS.names()).match_to_schema(CLUSTERS))


def label_words(counts: pl.DataFrame, sizes: pl.DataFrame) -> pl.DataFrame:
    """Return the words that set each cluster apart, by class-based TF-IDF.

    A word weighs (share of the cluster's personas that have it) * log(1 + A / personas that have
    it), where A is the mean number of words of a cluster (Grootendorst, "BERTopic", 2022, equation
    3). Left out are words that are less than TIMES as frequent in the cluster as in the others,
    such as `who`: a hub of a single cluster has no words that set it apart.

    Args:
        counts: Number of `personas` by `cluster` and `word`.
        sizes: `size` of each `cluster`.

    Returns:
        Columns `cluster` and `words`, at most WORDS of them, the heaviest first.
    """
    mean_words = counts["personas"].sum() / max(len(sizes), 1)
    every = pl.col("personas").sum().over("word")
    share = pl.col("personas") / pl.col("size")
    share_of_others = (every - pl.col("personas")) / (sizes["size"].sum() - pl.col("size"))
    return (
        counts.group_by("cluster", "word")
        .agg(pl.sum("personas"))
        .join(sizes, on="cluster")
        .with_columns(
            weight=share * (mean_words / every).log1p(), is_own=share > TIMES * share_of_others
        )
        .filter("is_own")
        .sort("weight", "word", descending=[True, False])
        .group_by("cluster", maintain_order=True)
        .agg(words=pl.col("word").head(WORDS))
    )


_PLACES = pl.Schema({name: CLUSTERS[name] for name in ("cluster", "x", "y")})
_COUNTS = pl.Schema({"cluster": pl.Int64(), "word": pl.String(), "personas": pl.UInt32()})
_EXAMPLES = pl.Schema(
    {
        "cluster": pl.Int64(),
        "cosine": pl.Float64(),
        "persona_id": pl.String(),
        "persona": pl.String(),
    }
)


def _count_words(rows: pl.DataFrame) -> pl.DataFrame:
    """Count the personas that have a word, by cluster; a single letter is no word."""
    found = pl.Series("word", [sorted(words(text)) for text in rows["persona"]], pl.List(pl.String))
    each = rows.select("cluster", found).explode("word").filter(pl.col("word").str.len_chars() > 1)
    return each.group_by("cluster", "word").agg(personas=pl.len()).match_to_schema(_COUNTS)


def _nearest(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the personas that are nearest to the centre of their cluster, nearest first."""
    ordered = rows.sort("cosine", "persona_id", descending=[True, False])
    return ordered.group_by("cluster", maintain_order=True).head(EXAMPLES)


def _label() -> pl.Expr:
    """Return the number of a cluster and its first words, such as `3: nurse, ward`."""
    number = pl.col("cluster").cast(pl.String)
    first = pl.col("words").list.head(LABEL_WORDS).list.join(", ")
    return pl.when(first == "").then(number).otherwise(pl.format("{}: {}", number, first))
