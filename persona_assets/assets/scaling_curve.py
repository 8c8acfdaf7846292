"""Group `model`: accuracies side by side, and beside those of the paper (figure 9)."""

from collections.abc import Collection, Mapping

import dagster as dg
import polars as pl

from persona_assets.asset_names import argument, asset_key
from persona_assets.assets.baselines import BASELINE, BASELINES
from persona_assets.assets.metadata import picture
from persona_assets.assets.samples import SHARD_TABLES
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.assets.training import of_trainings
from persona_assets.plots.scaling_curve import Reference, draw_scaling_curve
from persona_assets.project import Project
from persona_assets.resources.io_manager import preview
from persona_assets.settings import NO_PERSONA
from persona_assets.steps import evaluation, training
from persona_assets.steps import paper_results as paper
from persona_assets.steps import scaling_curve as steps
from persona_assets.steps import size_comparison as comparison
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import ShardTables
from persona_assets.tables import Table

PAPER = Reference("paper: MATH, Qwen2-7B", paper.FIGURE_9)


@table_asset(
    group="model",
    table=Table(
        paper.PAPER_RESULTS,
        "model",
        unique=("source", "benchmark", "model", "accuracy"),
        aggregates=True,
    ),
    version=paper.VERSION,
)
def paper_results(scaling_curve: pl.LazyFrame) -> dg.MaterializeResult[StepResult]:
    """Tables 1 and 2 and figure 9 of the paper for reference, and the models trained here."""
    return dg.MaterializeResult(value=paper.build_paper_results(scaling_curve.collect()))


def curves(
    accuracies: Collection[str], with_baselines: bool, variants: Collection[str] = ("",)
) -> list[TableAsset]:
    """Declare the assets that put accuracies side by side.

    Args:
        accuracies: Names of the assets with the accuracies of the fine-tuned models.
        with_baselines: True if other models are measured, too.
        variants: Variants of the tables of the experiment; "" for models of problems of personas.
    """
    names = [f"{name}{variant}" for variant in variants for name in accuracies]
    tables = {
        argument(name): dg.AssetIn(asset_key(name), dagster_type=SHARD_TABLES) for name in names
    }
    baselines = {BASELINES: dg.AssetIn(asset_key(BASELINES))} if with_baselines else {}
    return [scaling_curve(tables, baselines), size_comparison(tables)]


def scaling_curve(
    tables: Mapping[str, dg.AssetIn], baselines: Mapping[str, dg.AssetIn]
) -> TableAsset:
    """Declare the curve of figure 9.

    Args:
        tables: Accuracies of the fine-tuned models.
        baselines: Accuracies of other models, if there are any.
    """

    @table_asset(
        name="scaling_curve",
        group="model",
        table=Table(steps.CURVE, "examples", unique=(*steps.POINT, "seed"), aggregates=True),
        version=f"{steps.VERSION}.1",
        earlier=["2.1"],
        settings=["decontaminate"],
        ins={**tables, **baselines},
        description="Accuracy by number of training problems, with 95 % intervals (figure 9).",
    )
    def curve(
        project: dg.ResourceParam[Project], **tables: ShardTables | pl.LazyFrame
    ) -> dg.MaterializeResult[StepResult]:
        measured = tables.pop(BASELINES, None)
        others = pl.DataFrame(schema=BASELINE)
        if isinstance(measured, pl.LazyFrame):
            others = measured.collect()
        accuracies = _joined(project, tables)
        result = steps.build_scaling_curve(accuracies)
        points = steps.curve_points(result.rows)
        forbidden = set(project.forbidden_problems()["problem_id"])
        drawn = draw_scaling_curve(points, PAPER, _levels(others))
        remarks = steps.curve_remarks(accuracies, forbidden)
        against = comparison.baseline_verdicts(accuracies, others)
        compared = comparison.build_size_comparison(accuracies).rows
        metadata: dict[str, dg.MetadataValue | str] = {
            **picture("curve", drawn),
            "verdict": "\n".join(comparison.curve_verdicts(accuracies, compared)),
            **({"over_seeds": preview(points)} if points["seeds"].max() != 1 else {}),
            **({"against_baselines": "\n".join(against)} if against else {}),
            **({"remarks": "\n".join(remarks)} if remarks else {}),
            "dashed": "The dashed curve is the paper's: another model, on MATH (arXiv 2406.20094).",
        }
        return dg.MaterializeResult(value=result, metadata=metadata)

    return curve


def size_comparison(tables: Mapping[str, dg.AssetIn]) -> TableAsset:
    """Declare the comparison of models by the problems that they all answered.

    Args:
        tables: Accuracies of the fine-tuned models.
    """

    @table_asset(
        name="size_comparison",
        group="model",
        table=Table(comparison.COMPARISON, "before", unique=comparison.KEY, aggregates=True),
        version=comparison.VERSION,
        earlier=["2"],
        ins=dict(tables),
        description="Models of two sizes, or with and without personas, on the same problems: test "
        "of the difference, its interval, and the smallest difference that as many problems show.",
    )
    def compared(
        project: dg.ResourceParam[Project], **tables: ShardTables
    ) -> dg.MaterializeResult[StepResult]:
        result = comparison.build_size_comparison(_joined(project, tables))
        verdicts = "\n".join(comparison.comparison_verdicts(result.rows))
        return dg.MaterializeResult(value=result, metadata={"verdict": verdicts})

    return compared


def _joined(project: Project, tables: Mapping[str, ShardTables | pl.LazyFrame]) -> pl.DataFrame:
    """Return the measurements of all trainings, with the columns `arm` and `seed`."""
    columns = {**evaluation.ACCURACY, **training.RUN}
    measured = [
        of_trainings(project, table, NO_PERSONA if name.endswith(argument(NO_PERSONA)) else "")
        for name, table in tables.items()
        if isinstance(table, ShardTables)
    ]
    return pl.concat([pl.DataFrame(schema=columns), *measured], how="diagonal").select(*columns)


def _levels(baselines: pl.DataFrame) -> dict[str, float]:
    """Return the accuracies of baselines, by model and benchmark."""
    measured = baselines.drop_nulls("accuracy").select("baseline", "benchmark", "accuracy")
    return {f"{name}, {benchmark}": share for name, benchmark, share in measured.iter_rows()}
