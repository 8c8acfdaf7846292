"""Figures on the graders of answers: agreement of each two, and the accuracy by each."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import polars as pl

from persona_assets.steps.agreement_statistics import (
    Contingency,
    Stratum,
    contingency,
    stratified_share,
)
from persona_assets.steps.grader_comparison import DECLARED, GRADERS
from persona_assets.steps.grading import Accuracy, accuracy
from persona_assets.storage.step_result import StepResult, typed_frame

VERSION = "1"

ALL = "all"
"""Name under which all problem sets are taken together."""

AGREEMENT = pl.Schema(
    {
        "benchmark": pl.String(),
        "first": pl.String(),
        "second": pl.String(),
        "n": pl.Int64(),
        "both": pl.Int64(),
        "first_only": pl.Int64(),
        "second_only": pl.Int64(),
        "neither": pl.Int64(),
        "left_out": pl.Int64(),
        "agreement": pl.Float64(),
        "agreement_low": pl.Float64(),
        "agreement_high": pl.Float64(),
        "kappa": pl.Float64(),
        "kappa_low": pl.Float64(),
        "kappa_high": pl.Float64(),
        "ac1": pl.Float64(),
        "prevalence": pl.Float64(),
    }
)
ACCURACIES = pl.Schema(
    {
        "benchmark": pl.String(),
        "training_size": pl.Int64(),
        "model": pl.String(),
        "grader": pl.String(),
        "n": pl.Int64(),
        "graded": pl.Int64(),
        "accuracy": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
    }
)


def build_grader_agreement(verdicts: pl.DataFrame) -> StepResult:
    """Count the verdicts of each two graders, by problem set and over all of them.

    The items are distinct pairs of answers: what many models answered counts once. Pairs with the
    judge are those of its sample, which is drawn from all pairs; those that it grades only because
    the algebra is undecided are left out.

    Args:
        verdicts: Table of the schema VERDICTS.

    Returns:
        Rows of the schema AGREEMENT; `left_out` counts pairs that lack a verdict. No rows without
        answers.
    """
    given = verdicts.filter(pl.col("given").is_not_null())
    names = given["benchmark"].unique(maintain_order=True).to_list()
    frames = {ALL: given} if names else {}
    if len(names) > 1:
        frames |= {name: given.filter(benchmark=name) for name in names}
    rows = [
        _agreement_row(name, first, second, frame.unique(["expected", "given"]))
        for name, frame in frames.items()
        for first, second in combinations(GRADERS, 2)
    ]
    return StepResult(typed_frame(rows, AGREEMENT))


def _agreement_row(benchmark: str, first: str, second: str, pairs: pl.DataFrame) -> dict[str, Any]:
    if "judge" in (first, second):
        pairs = pairs.filter(asked="sample")
    counts = contingency(pairs.select(first, second).rows())
    agreement, kappa = counts.agreement, counts.kappa
    return {
        "benchmark": benchmark,
        "first": first,
        "second": second,
        "n": counts.n,
        "both": counts.both,
        "first_only": counts.first,
        "second_only": counts.second,
        "neither": counts.neither,
        "left_out": len(pairs) - counts.n,
        "agreement": agreement.accuracy,
        "agreement_low": agreement.low,
        "agreement_high": agreement.high,
        "kappa": kappa.estimate if kappa else None,
        "kappa_low": kappa.low if kappa else None,
        "kappa_high": kappa.high if kappa else None,
        "ac1": counts.ac1,
        "prevalence": counts.prevalence,
    }


def build_grader_accuracy(verdicts: pl.DataFrame) -> StepResult:
    """Measure the accuracy of each model by each grader, and as published.

    Text and algebra grade all answers; those that a grader leaves undecided are left out, as in the
    published accuracy. The judge's accuracy is estimated from the answers that it graded, which are
    weighted by the verdict of the algebra (see `stratified_share`): it is null where the judge
    graded none of the answers with one of these verdicts.

    Args:
        verdicts: Table of the schema VERDICTS.

    Returns:
        Rows of the schema ACCURACIES: `n` answers, of which the grader saw `graded`.
    """
    rows: list[dict[str, Any]] = []
    cell = ["benchmark", "training_size", "model"]
    for values, answers in verdicts.group_by(cell, maintain_order=True):
        named = dict(zip(cell, values, strict=True))
        for grader in (DECLARED, "string", "symbolic"):
            figure = _accuracy(answers[grader])
            rows.append({**named, "grader": grader, "graded": figure.n, **_figures(figure)})
        rows.append({**named, "grader": "judge", **_judged_accuracy(answers)})
    return StepResult(typed_frame(rows, ACCURACIES))


def _accuracy(verdicts: pl.Series) -> Accuracy:
    return accuracy(int(verdicts.sum() or 0), verdicts.count())


def _figures(figure: Accuracy) -> dict[str, Any]:
    names = ("n", "accuracy", "low", "high")
    return {name: getattr(figure, name) for name in names}


def _judged_accuracy(answers: pl.DataFrame) -> dict[str, Any]:
    is_given = pl.col("given").is_not_null()
    answers = answers.filter(is_given | pl.col(DECLARED).is_not_null())
    strata = [
        answers.filter(~is_given),
        *(
            answers.filter(is_given, pl.col("symbolic").eq_missing(it))
            for it in (True, False, None)
        ),
    ]
    graded = [_accuracy(stratum["judge"]) for stratum in strata]
    share = stratified_share(
        [Stratum(len(it), of.n, of.correct) for it, of in zip(strata, graded, strict=True)]
    )
    low_high = (None, None, None) if share is None else share
    return {
        "n": len(answers),
        "graded": sum(figure.n for figure in graded),
        **dict(zip(("accuracy", "low", "high"), low_high, strict=True)),
    }


def agreement_sentences(agreement: pl.DataFrame) -> list[str]:
    """Describe the agreement of each two graders, a line each."""
    return [
        f"{row['benchmark']}, {row['first']} and {row['second']}: {_counts(row)}; "
        f"both yes {row['both']:,}, {row['first']} alone {row['first_only']:,}, "
        f"{row['second']} alone {row['second_only']:,}, both no {row['neither']:,}"
        for row in agreement.iter_rows(named=True)
    ]


def _counts(row: Mapping[str, Any]) -> Contingency:
    return Contingency(row["both"], row["first_only"], row["second_only"], row["neither"])


def accuracy_sentences(accuracies: pl.DataFrame) -> list[str]:
    """Describe the accuracy by each grader, a line per problem set and model."""
    lines: list[str] = []
    cell = ["benchmark", "training_size", "model"]
    for (benchmark, size, _), rows in accuracies.group_by(cell, maintain_order=True):
        figures = "; ".join(_figure_sentence(row) for row in rows.iter_rows(named=True))
        lines.append(f"{benchmark}, {size:,} training problems: {figures}")
    return lines


def _figure_sentence(row: Mapping[str, Any]) -> str:
    if row["accuracy"] is None:
        return f"{row['grader']} not measured"
    share, low, high = (100 * row[name] for name in ("accuracy", "low", "high"))
    n = f"n = {row['n']:,}" if row["graded"] == row["n"] else f"{row['graded']:,} of {row['n']:,}"
    return f"{row['grader']} {share:.1f} % ({low:.1f} to {high:.1f}, {n})"


def headline(equality: str) -> str:
    """Return the sentence that declares the grader of the published accuracies.

    Args:
        equality: Setting of that name.
    """
    grader = {
        "judge": "symbolic, and the judge where the algebra is undecided",
        "math_verify": "symbolic",
    }
    return (
        f"The published accuracy is that of the column declared: {grader[equality]}, as "
        f"PERSONA_EQUALITY={equality} states, or the rule of a benchmark that has its own. The "
        "other graders stand beside it and change no figure."
    )


def disagreements(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Return the distinct answers on which graders differ, for a person to read."""
    columns = ["benchmark", "problem_id", "expected", "given", *GRADERS, "completion_id"]
    differing = verdicts.filter(pl.col("agree").eq(False))
    return differing.unique(["expected", "given"], maintain_order=True).select(columns)
