"""Comparison of points of the scaling curve on the same problems: sizes, arms and baselines."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import polars as pl

from persona_assets.steps.comparison import Compared, figures, is_supported, power, verdict
from persona_assets.steps.control_problems import FULL, NONE
from persona_assets.steps.measurement import accuracy_sentence
from persona_assets.steps.multiplicity import holm
from persona_assets.steps.scaling_curve import Point, points_of
from persona_assets.steps.seed_comparison import compare
from persona_assets.storage.step_result import StepResult, typed_frame

VERSION = "3"

COMPARISON = pl.Schema(
    {
        "benchmark": pl.String(),
        "arm_before": pl.String(),
        "before": pl.Int64(),
        "arm_after": pl.String(),
        "after": pl.Int64(),
        "seeds": pl.Int64(),
        "n": pl.Int64(),
        "both": pl.Int64(),
        "only_before": pl.Int64(),
        "only_after": pl.Int64(),
        "neither": pl.Int64(),
        "difference": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "p_value": pl.Float64(),
        "p_corrected": pl.Float64(),
        "detectable": pl.Float64(),
        "verdict": pl.String(),
    }
)
"""Two points of a benchmark on the same problems: the numbers of training problems before and
after, their arms, and the difference with its test. `p_corrected` is Holm's, over all rows.
The four counts of problems are null for several seeds, and so is every figure of arms that are not
compared."""

KEY = ("benchmark", "arm_before", "before", "arm_after", "after")
"""Columns that identify a comparison."""

TOLERANCE = 0.01
"""Share by which the numbers of training problems of two arms may differ, as single solutions may
be too long to train on. A doubling of the number is worth a few points, so that a hundredth more is
worth less than a tenth of a point."""


def build_size_comparison(accuracies: pl.DataFrame) -> StepResult:
    """Compare the models of a benchmark on the same problems.

    Sizes are compared with their neighbours and at the two ends, and at each number of problems the
    arms with each other.

    Args:
        accuracies: Columns of `evaluation.ACCURACY`, `arm` and `seed`.

    Returns:
        Columns of COMPARISON. Arms without an equal number of problems have a row without figures,
        whose verdict states why.
    """
    pairs = list(_pairs(points_of(accuracies)))
    compared = [_compare(before, after) for before, after in pairs]
    corrected = holm([pair.p_value if pair else None for pair in compared])
    rows = [
        _row(*points, pair, p) for points, pair, p in zip(pairs, compared, corrected, strict=True)
    ]
    return StepResult(typed_frame(rows, COMPARISON))


def comparison_verdicts(comparisons: pl.DataFrame) -> list[str]:
    """Return the verdict on each pair of points in words.

    Args:
        comparisons: Columns of COMPARISON.
    """
    return [
        f"{row['benchmark']}, {row['before']:,} to {row['after']:,} problems: {row['verdict']}"
        if row["arm_before"] == row["arm_after"]
        else f"{row['benchmark']}: {row['verdict']}"
        for row in comparisons.iter_rows(named=True)
    ]


def curve_verdicts(accuracies: pl.DataFrame, comparisons: pl.DataFrame) -> list[str]:
    """Compare the largest with the smallest number of training problems, and the arms.

    A benchmark with a single point has its accuracy; one without a point, that nothing was
    measured.

    Args:
        accuracies: Columns of `evaluation.ACCURACY`, `arm` and `seed`.
        comparisons: Result of `build_size_comparison`.
    """
    points = points_of(accuracies)
    sentences: list[str] = []
    for benchmark in accuracies["benchmark"].unique().sort():
        own = [point for point in points if point.benchmark == benchmark]
        sizes = [point for point in own if point.arm == FULL]
        of_benchmark = comparisons.filter(benchmark=benchmark)
        if len(sizes) > 1:
            ends = of_benchmark.filter(
                arm_before=FULL,
                arm_after=FULL,
                before=sizes[0].examples,
                after=sizes[-1].examples,
            )
            sentences += comparison_verdicts(ends)
        elif sizes:
            rows = accuracies.filter(benchmark=benchmark, arm=FULL, training_size=sizes[0].sizes[0])
            figure = accuracy_sentence(rows).replace("\n", "; ")
            sentences.append(f"{benchmark}, {sizes[0].examples:,} problems: {figure}")
        else:
            sentences.append(f"{benchmark}: no model was trained")
        sentences += comparison_verdicts(of_benchmark.filter(arm_before=NONE))
    return sentences


def baseline_verdicts(accuracies: pl.DataFrame, baselines: pl.DataFrame) -> list[str]:
    """Compare the largest number of training problems with each baseline, on the same problems.

    Args:
        accuracies: Columns of `evaluation.ACCURACY`, `arm` and `seed`.
        baselines: Measurements of other models, with `baseline` and `benchmark`.
    """
    largest = {point.benchmark: point for point in points_of(accuracies) if point.arm == FULL}
    rows = [row for row in baselines.iter_rows(named=True) if row["benchmark"] in largest]
    points = [largest[row["benchmark"]] for row in rows]
    compared = [
        compare(dict.fromkeys(point.measured, row["results"]), point.results)
        for row, point in zip(rows, points, strict=True)
    ]
    corrected = holm([pair.p_value if pair else None for pair in compared])
    return [
        f"{row['benchmark']}, {row['baseline']} to {point.examples:,} problems: "
        f"{verdict(pair, p)}{_asked_otherwise(row, next(iter(point.measured.values())))}"
        for row, point, pair, p in zip(rows, points, compared, corrected, strict=True)
        if pair is not None
    ]


def _asked_otherwise(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if before["decoding"] == after["decoding"]:
        return ""
    return f" They were asked differently: {before['decoding']} and {after['decoding']}."


def _pairs(points: Sequence[Point]) -> Iterator[tuple[Point, Point]]:
    """Yield the pairs that are compared, by benchmark: sizes, then arms."""
    for benchmark in dict.fromkeys(point.benchmark for point in points):
        own = [point for point in points if point.benchmark == benchmark]
        sizes = [point for point in own if point.arm == FULL]
        yield from pairwise(sizes)
        if len(sizes) > 2:
            yield sizes[0], sizes[-1]
        for control in own:
            if control.arm == NONE and sizes:
                yield control, _counterpart(control, sizes)


def _counterpart(control: Point, sizes: Sequence[Point]) -> Point:
    """Return the size with as many problems as a point of the other arm, else the next larger."""
    nearest = min(sizes, key=lambda size: abs(size.examples - control.examples))
    if _as_many(control, nearest):
        return nearest
    return next((size for size in sizes if size.examples > control.examples), sizes[-1])


def _compare(before: Point, after: Point) -> Compared | None:
    """Compare two points; None for arms whose numbers of problems differ."""
    if before.arm != after.arm and not _as_many(before, after):
        return None
    return compare(before.results, after.results)


def _as_many(before: Point, after: Point) -> bool:
    difference = abs(before.examples - after.examples)
    return difference <= TOLERANCE * max(before.examples, after.examples)


def _row(
    before: Point, after: Point, pair: Compared | None, corrected: float | None
) -> dict[str, Any]:
    low, high = (pair and pair.interval) or (None, None)
    if before.arm == after.arm:
        sentence = verdict(pair, corrected) if pair else "Not compared: no seed in common."
    else:
        sentence = _arm_verdict(before, after, pair, corrected)
    counts = ("both", "only_before", "only_after", "neither")
    return {
        "benchmark": before.benchmark,
        "arm_before": before.arm,
        "before": before.examples,
        "arm_after": after.arm,
        "after": after.examples,
        "seeds": len(before.measured.keys() & after.measured.keys()),
        "n": pair and pair.n,
        **{name: getattr(pair, name, None) for name in counts},
        "difference": pair and pair.difference,
        "low": low,
        "high": high,
        "p_value": pair and pair.p_value,
        "p_corrected": corrected,
        "detectable": pair and pair.detectable,
        "verdict": sentence,
    }


def _arm_verdict(
    before: Point, after: Point, pair: Compared | None, corrected: float | None
) -> str:
    """Return in words how much personas add; the reason where the arms are not compared."""
    if not _as_many(before, after):
        return (
            f"Personas are not compared with none at {before.examples:,} problems without, since "
            f"the model of problems with personas has {after.examples:,}: add "
            f"{min(before.examples, after.examples)} to PERSONA_TRAINING_SIZES."
        )
    if pair is None or pair.interval is None or pair.difference is None:
        return f"Personas are not compared with none at {before.examples:,} problems: no result."
    gain, low, high = (100 * value for value in (pair.difference, *pair.interval))
    number = f"{after.examples:,}"
    if before.examples != after.examples:
        number = f"{after.examples:,} against {before.examples:,}"
    shown = is_supported(pair, corrected)
    verb = "cost" if gain < 0 else "add"
    ends = (low, high) if gain >= 0 else (-high, -low)
    finding = "shown" if shown else "not shown"
    beside = "" if shown else f"; {power(pair)}"
    return (
        f"Personas {verb} {abs(gain):.1f} points ({ends[0]:.1f} to {ends[1]:.1f}) at {number} "
        f"problems: {finding}. {figures(pair, corrected)}{beside}."
    )
