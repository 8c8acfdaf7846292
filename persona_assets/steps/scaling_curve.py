"""The scaling curve: accuracy by number of training problems (section 4.1.2, figure 9).

Does not belong here: whether two points differ, see `size_comparison`.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import polars as pl

from persona_assets.steps.control_problems import FULL, NONE
from persona_assets.steps.evaluation import SYNTHETIC
from persona_assets.steps.grading import score_interval
from persona_assets.storage.step_result import StepResult

VERSION = "3"

CURVE = pl.Schema(
    {
        "benchmark": pl.String(),
        "arm": pl.String(),
        "examples": pl.Int64(),
        "seed": pl.Int64(),
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
"""Models of the curve: `examples` is the number of problems that a model was trained on, and
`training_sizes` are the sizes that were asked for and led to that number; `arm` is `full_persona`
or, for problems made without personas, `no_persona`."""

POINT = ("benchmark", "arm", "examples")
"""Columns that identify a point of the curve: a model, or one per seed."""

POINTS = pl.Schema(
    {
        "benchmark": pl.String(),
        "arm": pl.String(),
        "examples": pl.Int64(),
        "seeds": pl.Int64(),
        "n": pl.Int64(),
        "accuracy": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "sd": pl.Float64(),
        "least": pl.Float64(),
        "most": pl.Float64(),
    }
)
"""Points of the curve: mean accuracy over seeds, with its score interval for n problems and, over
seeds, the standard deviation, the least and the most; null for a single seed."""


class Point(NamedTuple):
    """Models that were trained on as many problems of an arm, a model per seed.

    Attributes:
        benchmark: Name of the problem set.
        arm: Arm of the experiment.
        examples: Number of training problems.
        sizes: Sizes that were asked for.
        measured: Measurement by seed, columns of `evaluation.ACCURACY`.
    """

    benchmark: str
    arm: str
    examples: int
    sizes: tuple[int, ...]
    measured: Mapping[int, Mapping[str, Any]]

    @property
    def results(self) -> dict[int, Any]:
        """Results by seed."""
        return {seed: row["results"] for seed, row in self.measured.items()}


def build_scaling_curve(accuracies: pl.DataFrame) -> StepResult:
    """Collect accuracies by benchmark, arm, number of training problems and seed.

    Training sizes beyond the number of problems lead to the same set and are one point, that of the
    smallest size. A size without a model has no point.

    Args:
        accuracies: Columns of `evaluation.ACCURACY`, `arm` and `seed`.

    Returns:
        Columns of CURVE.
    """
    return StepResult(_models(accuracies).select(CURVE.names()).match_to_schema(CURVE))


def curve_points(curve: pl.DataFrame) -> pl.DataFrame:
    """Return the points of a curve, means over seeds.

    Args:
        curve: Columns of CURVE.

    Returns:
        Columns of POINTS. The interval is that of a single model's accuracy: it covers the draw of
        the problems, which all seeds share.
    """
    share, several = pl.col("accuracy"), pl.len() > 1
    points = curve.group_by(POINT, maintain_order=True).agg(
        pl.len().alias("seeds"),
        pl.col("n").min(),
        share.mean(),
        pl.when(several).then(share.std()).alias("sd"),
        pl.when(several).then(share.min()).alias("least"),
        pl.when(several).then(share.max()).alias("most"),
    )
    ends = [
        (None, None) if share is None else score_interval(share, n)
        for share, n in points.select("accuracy", "n").iter_rows()
    ]
    bounds = {name: [end[side] for end in ends] for side, name in enumerate(("low", "high"))}
    return points.with_columns(
        *(pl.Series(name, values, pl.Float64()) for name, values in bounds.items())
    ).select(pl.col(name).cast(kind) for name, kind in POINTS.items())


def points_of(accuracies: pl.DataFrame) -> list[Point]:
    """Return the points of the curve with the results of their models, in their order."""
    models = _models(accuracies)
    return [
        Point(
            str(benchmark),
            str(arm),
            int(str(examples)),
            tuple(rows["training_sizes"][0]),
            {row["seed"]: row for row in rows.iter_rows(named=True)},
        )
        for (benchmark, arm, examples), rows in models.group_by(POINT, maintain_order=True)
    ]


def curve_remarks(accuracies: pl.DataFrame, forbidden: Collection[str]) -> list[str]:
    """Return remarks that a reader of the curve must know.

    Args:
        accuracies: Columns of `evaluation.ACCURACY`, `arm` and `seed`.
        forbidden: Ids of the benchmark problems that no training problem contains.

    Returns:
        A sentence per set of training problems that several sizes share, per weights that several
        trainings share, per benchmark that the training problems were not decontaminated of, and on
        a test set that is closer to one arm.
    """
    return [
        *_merged(accuracies),
        *_same_weights(accuracies),
        *_unguarded(accuracies, forbidden),
        *_closer(accuracies),
    ]


def _merged(accuracies: pl.DataFrame) -> Iterator[str]:
    sizes = _models(accuracies).select("arm", "examples", "training_sizes")
    for arm, examples, asked in sizes.unique(["arm", "examples"]).sort("arm", "examples").rows():
        kind = " without personas" if arm == NONE else ""
        if len(asked) > 1:
            listed = " and ".join(f"{size:,}" for size in asked)
            yield (
                f"The sizes {listed} are one point: there were {examples:,} problems{kind} to "
                "train on."
            )
        elif asked[0] != examples:
            yield f"The size {asked[0]:,} stands at {examples:,}, the number trained on{kind}."


def _same_weights(accuracies: pl.DataFrame) -> Iterator[str]:
    trainings = _models(accuracies).select("model", "arm", "examples", "seed").unique()
    several = trainings["seed"].n_unique() > 1
    ordered = trainings.sort("arm", "examples", "seed")
    for _, rows in ordered.group_by("model", maintain_order=True):
        if len(rows) > 1:
            names = (
                f"{examples:,}{' without personas' if arm == NONE else ''}"
                f"{f' (seed {seed})' if several else ''}"
                for arm, examples, seed in rows.select("arm", "examples", "seed").iter_rows()
            )
            yield (
                f"The models of {' and '.join(names)} problems have the same weights: training "
                "changed nothing, or each training was measured on one model."
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


def _closer(accuracies: pl.DataFrame) -> Iterator[str]:
    if NONE in accuracies["arm"] and SYNTHETIC in accuracies["benchmark"]:
        yield (
            f"{SYNTHETIC}: its problems were made with personas, which favours the models that "
            "were trained on such problems; the other problem sets favour neither."
        )


def _models(accuracies: pl.DataFrame) -> pl.DataFrame:
    """Return a measurement per benchmark, arm, number of training problems and seed."""
    place = pl.col("arm").replace_strict({FULL: 0, NONE: 1}, return_dtype=pl.Int64)
    trained = accuracies.drop_nulls("examples").sort(
        "benchmark", place, "examples", "seed", "training_size"
    )
    keys = [*POINT, "seed"]
    return trained.group_by(keys, maintain_order=True).agg(
        pl.col("training_size").alias("training_sizes"),
        pl.exclude(*keys, "training_size").first(),
    )
