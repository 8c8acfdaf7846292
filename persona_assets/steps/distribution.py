"""Distribution of a choice over samples, by stratum of their personas (section 5.1.2).

A share has its 95 % Wilson score interval. Personas are what a corpus implies and a model invents:
an interval tells how far another draw from the same hub would differ, and nothing of a population.
"""

from collections.abc import Sequence

import polars as pl

from persona_assets.steps.grading import score_interval
from persona_assets.storage.step_result import StepResult, typed_frame

VERSION = "1"

DISTRIBUTION = pl.Schema(
    {
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

`personas` are those of the stratum in the hub, `n` its samples, `count` those with the value.
"""

ALL = "all"
"""Stratum of the whole hub: its shares weigh each stratum by its personas in the hub."""

STRATA = ("hop", "language")
"""Columns of personas that form the strata, where the task does not set its own."""

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

    The shares of the hub weigh each sample by the personas that it stands for; their intervals are
    those of the effective number of samples, (sum of weights)^2 / sum of squared weights (Kish,
    "Survey Sampling", 1965).

    Args:
        samples: Samples of all shards, with `persona_id` and the field.
        hub: Rows of `persona_hub` of all shards.
        field: Field of the samples.
        values: All its values, in order.
        strata: Columns of the hub that form the strata.

    Returns:
        Rows of DISTRIBUTION: the hub first, then the strata that have samples, largest first.
    """
    parts = [pl.format(f"{name} {{}}", pl.col(name)) for name in strata]
    label = pl.concat_str(parts, separator=", ", ignore_nulls=True)
    named = hub.select("persona_id", stratum=label)
    personas = dict(named["stratum"].value_counts().iter_rows())
    chosen = samples.select("persona_id", value=field).join(named, "persona_id")
    counts = {
        (stratum, value): count
        for stratum, value, count in chosen.group_by("stratum", "value").len().iter_rows()
    }
    sizes = dict(chosen["stratum"].value_counts().iter_rows())
    order = sorted(sizes, key=lambda stratum: (-personas[stratum], stratum))
    weights = {stratum: personas[stratum] / sizes[stratum] for stratum in order}
    total = float(sum(personas[stratum] for stratum in order))
    squares = sum(weight**2 * sizes[stratum] for stratum, weight in weights.items())
    effective = total**2 / squares if squares else 0.0
    rows = [
        _row(
            ALL,
            value,
            len(hub),
            len(chosen),
            sum(counts.get((stratum, value), 0) for stratum in order),
            sum(weights[stratum] * counts.get((stratum, value), 0) for stratum in order) / total,
            effective,
        )
        for value in values
        if order
    ]
    for stratum in order:
        n = sizes[stratum]
        found = [counts.get((stratum, value), 0) for value in values]
        rows += [
            _row(stratum, value, personas[stratum], n, count, count / n, n)
            for value, count in zip(values, found, strict=True)
        ]
    return StepResult(typed_frame(rows, DISTRIBUTION))


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
        >>> rows = [("all", "for", 9, 4, 3, 0.75, 0.3, 0.954)]
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
