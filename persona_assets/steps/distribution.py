"""Distribution of a choice over samples, by stratum of their personas (section 5.1.2).

A share has its 95 % Wilson score interval. Personas are what a corpus implies and a model invents:
an interval tells how far another draw from the same hub would differ, and nothing of a population.
"""

from collections.abc import Iterator, Sequence

import polars as pl

from persona_assets.steps.grading import score_interval
from persona_assets.storage.step_result import StepResult, typed_frame

VERSION = "2"

DISTRIBUTION = pl.Schema(
    {
        "strata": pl.String(),
        "stratum": pl.String(),
        "value": pl.String(),
        "personas": pl.Int64(),
        "n": pl.Int64(),
        "count": pl.Int64(),
        "share": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
    }
)
"""Columns of a distribution: a row per stratum and value, and per value of the whole hub.

`strata` names the columns that divide the hub into such strata: `all`, `hop, language`, `cluster`.
`personas` are those of the stratum in the hub, `n` its samples, `count` those with the value.
"""

ALL = "all"
"""Stratum of the whole hub: its shares weigh each stratum by its personas in the hub."""

STRATA = ("hop", "language")
"""Columns of personas that form the strata, where the task does not set its own."""

CLUSTER = "cluster"
"""Column of personas with the label of their cluster on the map."""

OFF_THE_MAP = "none"
"""Label of personas whose vector has no meaning."""

CAUTION = (
    "Personas are no sample of a population: compare strata and wordings with these shares, and do "
    "not forecast what people think."
)
"""Sentence below each distribution."""


def build_distribution(
    samples: pl.DataFrame,
    hub: pl.DataFrame,
    field: str,
    values: Sequence[str],
    strata: Sequence[str] = STRATA,
) -> StepResult:
    """Count the values of a field by stratum, and estimate their shares in the whole hub.

    Shares weigh each sample by the personas that it stands for: those of its stratum over the
    samples of the stratum. Intervals are those of the effective number of samples, (sum of
    weights)^2 / sum of squared weights (Kish, "Survey Sampling", 1965).

    Args:
        samples: Samples of all shards, with `persona_id` and the field.
        hub: Rows of `persona_hub` of all shards; with a column `cluster`, see `with_clusters`, the
            clusters form strata of their own besides.
        field: Field of the samples.
        values: All its values, in order.
        strata: Columns of the hub over which the samples were spread.

    Returns:
        Rows of DISTRIBUTION: the hub first, then the strata that have samples, largest first.
    """
    drawn = ", ".join(strata)
    divisions = {ALL: pl.lit(ALL), drawn: _label(strata)}
    if CLUSTER in hub.columns and (hub[CLUSTER] != OFF_THE_MAP).any():
        divisions[CLUSTER] = _label([CLUSTER])
    named = hub.select("persona_id", **divisions)
    chosen = samples.select("persona_id", value=field).join(named, on="persona_id")
    sizes = named.group_by(drawn).agg(personas=pl.len())
    weights = pl.col("personas") / pl.len().over(drawn)
    chosen = chosen.join(sizes, on=drawn).with_columns(weight=weights)
    rows = [
        {"strata": division, **row}
        for division in divisions
        for row in _shares(named[division], chosen.rename({division: "stratum"}), values)
    ]
    return StepResult(typed_frame(rows, DISTRIBUTION))


def with_clusters(hub: pl.DataFrame, placed: pl.DataFrame, clusters: pl.DataFrame) -> pl.DataFrame:
    """Add the column `cluster` with the label of each persona's cluster.

    Args:
        hub: Rows of `persona_hub`.
        placed: Rows of `persona_map`.
        clusters: Rows of `persona_clusters`.
    """
    labels = placed.select("persona_id", "cluster").join(
        clusters.select("cluster", "label"), on="cluster", how="left"
    )
    known = labels.select("persona_id", pl.col("label").alias(CLUSTER))
    joined = hub.join(known, on="persona_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col(CLUSTER).fill_null(OFF_THE_MAP))


def _label(strata: Sequence[str]) -> pl.Expr:
    """Return the name of a stratum, such as `hop 0, language en`."""
    parts = [pl.format(f"{name} {{}}", pl.col(name)) for name in strata]
    return pl.concat_str(parts, separator=", ", ignore_nulls=True)


def _shares(
    strata: pl.Series, chosen: pl.DataFrame, values: Sequence[str]
) -> Iterator[dict[str, object]]:
    """Yield the shares of the values in each stratum that has samples, largest first.

    Args:
        strata: Stratum of each persona of the hub.
        chosen: Columns `stratum`, `value` and `weight` of each sample.
        values: All values.
    """
    personas = dict(strata.value_counts().iter_rows())
    each = {
        (stratum, value): (count, weight)
        for stratum, value, count, weight in chosen.group_by("stratum", "value")
        .agg(pl.len(), pl.sum("weight"))
        .iter_rows()
    }
    totals = {
        stratum: (n, total, squares)
        for stratum, n, total, squares in chosen.group_by("stratum")
        .agg(pl.len(), pl.sum("weight"), (pl.col("weight") ** 2).sum().alias("squares"))
        .iter_rows()
    }
    for stratum in sorted(totals, key=lambda name: (-personas[name], name)):
        n, total, squares = totals[stratum]
        for value in values:
            count, weight = each.get((stratum, value), (0, 0.0))
            share = weight / total
            yield _row(stratum, value, personas[stratum], n, count, share, total**2 / squares)


def _row(
    stratum: str, value: str, personas: int, n: int, count: int, share: float, effective: float
) -> dict[str, object]:
    low, high = score_interval(min(share, 1.0), effective)
    return {
        "stratum": stratum,
        "value": value,
        "personas": personas,
        "n": n,
        "count": count,
        "share": min(share, 1.0),
        "low": low,
        "high": high,
    }


def sentence(distribution: pl.DataFrame) -> str:
    """Return the shares of the whole hub in a sentence.

    Example:
        >>> rows = [("all", "all", "for", 9, 4, 3, 0.75, 0.3, 0.954)]
        >>> sentence(pl.DataFrame(rows, schema=DISTRIBUTION, orient="row"))
        'for 75 % (30 to 95); n = 4'
    """
    whole = distribution.filter(pl.col("stratum") == ALL)
    if whole.is_empty():
        return "no samples"
    told = ", ".join(
        f"{row['value']} {100 * row['share']:.0f} % ({100 * row['low']:.0f} to "
        f"{100 * row['high']:.0f})"
        for row in whole.iter_rows(named=True)
    )
    return f"{told}; n = {whole['n'][0]:,}"
