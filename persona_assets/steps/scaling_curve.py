"""The scaling curve: accuracy by number of training problems (section 4.1.2, figure 9)."""

from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Any

import polars as pl

from persona_assets.steps.comparison import Paired
from persona_assets.steps.evaluation import SYNTHETIC
from persona_assets.steps.measurement import accuracy_sentence
from persona_assets.storage.step_result import StepResult, typed_frame

VERSION = "2"

CURVE = pl.Schema(
    {
        "benchmark": pl.String(),
        "examples": pl.Int64(),
        "training_sizes": pl.List(pl.Int64()),
        "model": pl.String(),
        "decoding": pl.String(),
        "n": pl.Int64(),
        "correct": pl.Int64(),
        "accuracy": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
    }
)
"""Points of the curve: `examples` is the number of problems that a model was trained on, and
`training_sizes` are the sizes that were asked for and led to that number."""

COMPARISON = pl.Schema(
    {
        "benchmark": pl.String(),
        "before": pl.Int64(),
        "after": pl.Int64(),
        "n": pl.Int64(),
        "both": pl.Int64(),
        "only_before": pl.Int64(),
        "only_after": pl.Int64(),
        "neither": pl.Int64(),
        "difference": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "p_value": pl.Float64(),
        "detectable": pl.Float64(),
        "verdict": pl.String(),
    }
)
"""Two points of a benchmark on the same problems; see `comparison.Paired`."""


def build_scaling_curve(accuracies: pl.DataFrame) -> StepResult:
    """Collect accuracies by benchmark and number of training problems.

    Training sizes beyond the number of problems lead to the same set and are one point, that of the
    smallest size. A size without a model has no point.

    Args:
        accuracies: Columns of `evaluation.ACCURACY`.

    Returns:
        Columns of CURVE, by benchmark and number.
    """
    points = _points(accuracies)
    return StepResult(points.select(CURVE.names()).match_to_schema(CURVE))


def build_size_comparison(accuracies: pl.DataFrame) -> StepResult:
    """Compare the models of a benchmark on the same problems: neighbours, and the two ends.

    Args:
        accuracies: Columns of `evaluation.ACCURACY`.

    Returns:
        Columns of COMPARISON.
    """
    rows: list[dict[str, Any]] = []
    for (benchmark,), points in _points(accuracies).group_by("benchmark", maintain_order=True):
        measured = list(points.iter_rows(named=True))
        ends = [(measured[0], measured[-1])] if len(measured) > 2 else []
        for before, after in [*pairwise(measured), *ends]:
            rows.append({"benchmark": benchmark, **_compared(before, after)})
    return StepResult(typed_frame(rows, COMPARISON))


def comparison_verdicts(comparisons: pl.DataFrame) -> list[str]:
    """Return the verdict on each pair of points in words.

    Args:
        comparisons: Columns of COMPARISON.
    """
    return [
        f"{row['benchmark']}, {row['before']:,} to {row['after']:,} problems: {row['verdict']}"
        for row in comparisons.iter_rows(named=True)
    ]


def curve_verdicts(accuracies: pl.DataFrame) -> list[str]:
    """Compare the largest with the smallest number of training problems, by benchmark.

    A benchmark with a single point has its accuracy; one without a point, that nothing was
    measured.

    Args:
        accuracies: Columns of `evaluation.ACCURACY`.
    """
    curve = _points(accuracies)
    sentences: list[str] = []
    for benchmark in accuracies["benchmark"].unique().sort():
        points = list(curve.filter(pl.col("benchmark") == benchmark).iter_rows(named=True))
        if len(points) > 1:
            ends = {"benchmark": benchmark, **_compared(points[0], points[-1])}
            sentences += comparison_verdicts(typed_frame([ends], COMPARISON))
        elif points:
            figure = accuracy_sentence(curve.filter(pl.col("benchmark") == benchmark))
            sentences.append(f"{benchmark}, {points[0]['examples']:,} problems: {figure}")
        else:
            sentences.append(f"{benchmark}: no model was trained")
    return sentences


def baseline_verdicts(accuracies: pl.DataFrame, baselines: pl.DataFrame) -> list[str]:
    """Compare the largest number of training problems with each baseline, on the same problems.

    Args:
        accuracies: Columns of `evaluation.ACCURACY`.
        baselines: Measurements of other models, with `baseline` and `benchmark`.
    """
    largest = _points(accuracies).group_by("benchmark", maintain_order=True).last()
    tuned = {row["benchmark"]: row for row in largest.iter_rows(named=True)}
    return [
        f"{row['benchmark']}, {row['baseline']} to {after['examples']:,} problems: "
        f"{Paired.of(row['results'], after['results'])}{_asked_otherwise(row, after)}"
        for row in baselines.iter_rows(named=True)
        if (after := tuned.get(row["benchmark"])) is not None
    ]


def _asked_otherwise(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if before["decoding"] == after["decoding"]:
        return ""
    return f" They were asked differently: {before['decoding']} and {after['decoding']}."


def curve_remarks(accuracies: pl.DataFrame, forbidden: Collection[str]) -> list[str]:
    """Return remarks that a reader of the curve must know.

    Args:
        accuracies: Columns of `evaluation.ACCURACY`.
        forbidden: Ids of the benchmark problems that no training problem contains.

    Returns:
        A sentence per set of training problems that several sizes share, per weights that several
        sets share, and per benchmark that the training problems were not decontaminated of.
    """
    return [*_merged(accuracies), *_same_weights(accuracies), *_unguarded(accuracies, forbidden)]


def _merged(accuracies: pl.DataFrame) -> Iterator[str]:
    sizes = _points(accuracies).select("examples", "training_sizes").unique("examples")
    for examples, asked in sizes.sort("examples").iter_rows():
        if len(asked) > 1:
            listed = " and ".join(f"{size:,}" for size in asked)
            yield f"The sizes {listed} are one point: there were {examples:,} problems to train on."
        elif asked[0] != examples:
            yield f"The size {asked[0]:,} stands at {examples:,}, the number trained on."


def _same_weights(accuracies: pl.DataFrame) -> Iterator[str]:
    models = _points(accuracies).group_by("model", maintain_order=True)
    for _, points in models.agg(pl.col("examples").unique().sort()).iter_rows():
        if len(points) > 1:
            listed = " and ".join(f"{examples:,}" for examples in points)
            yield (
                f"The models of {listed} problems have the same weights: training changed nothing, "
                "or each size was measured on one model."
            )


def _unguarded(accuracies: pl.DataFrame, forbidden: Collection[str]) -> Iterator[str]:
    for (benchmark,), rows in accuracies.sort("benchmark").group_by(
        "benchmark", maintain_order=True
    ):
        ids = {result["problem_id"] for results in rows["results"] for result in results}
        if benchmark != SYNTHETIC and (missing := ids.difference(forbidden)):
            yield (
                f"{benchmark}: the training problems were not decontaminated of {len(missing):,} "
                f"of its {len(ids):,} problems; add its file to PERSONA_DECONTAMINATE."
            )


def _points(accuracies: pl.DataFrame) -> pl.DataFrame:
    """Return one measurement per benchmark and number of training problems, in their order."""
    trained = accuracies.drop_nulls("examples").sort("benchmark", "examples", "training_size")
    return trained.group_by("benchmark", "examples", maintain_order=True).agg(
        pl.col("training_size").alias("training_sizes"),
        pl.exclude("benchmark", "examples", "training_size").first(),
    )


def _compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    pair = Paired.of(before["results"], after["results"])
    low, high = pair.interval or (None, None)
    return {
        "before": before["examples"],
        "after": after["examples"],
        "n": pair.n,
        "both": pair.both,
        "only_before": pair.only_before,
        "only_after": pair.only_after,
        "neither": pair.neither,
        "difference": pair.difference,
        "low": low,
        "high": high,
        "p_value": pair.p_value,
        "detectable": pair.detectable,
        "verdict": str(pair),
    }
