"""Group `model`: accuracy of the fine-tuned models, a table per problem set (section 4.1.2)."""

from collections.abc import Collection

import dagster as dg
import polars as pl

from persona_assets.asset_names import asset_key
from persona_assets.assets.call_bounds import CallBounds, least, plus, times
from persona_assets.assets.measuring import (
    PROMPT,
    PROMPTS,
    benchmark_accuracy,
    check_samples,
    measure_accuracy,
)
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.assets.training import MODEL, order_of
from persona_assets.benchmarks.problem_sets import BENCHMARK_ACCURACY, SYNTHETIC_ACCURACY
from persona_assets.grading import VERSION as GRADING_VERSION
from persona_assets.partitions import training_sizes
from persona_assets.project import OF_SET, Project
from persona_assets.resources.grader import Grader
from persona_assets.resources.models import Models
from persona_assets.steps import evaluation as steps
from persona_assets.steps.answers import VERSION as ANSWERS_VERSION
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

READING_VERSION = f"{ANSWERS_VERSION}.{GRADING_VERSION}"
"""Version of the reading and grading of a reply."""


def accuracies(names: Collection[str], variant: str = "") -> list[TableAsset]:
    """Declare the accuracy on each problem set.

    Args:
        names: Names of the assets, as in `Project.problem_sets`.
        variant: Variant of the tables of the experiment; "" for models of problems of personas.
    """
    return [
        synthetic_accuracy(variant) if name == SYNTHETIC_ACCURACY else file_accuracy(name, variant)
        for name in names
    ]


def synthetic_accuracy(variant: str = "") -> TableAsset:
    """Declare the accuracy on the synthetic test set (table 1)."""

    @table_asset(
        name=f"{SYNTHETIC_ACCURACY}{variant}",
        group="model",
        table=Table(steps.ACCURACY, "training_size", aggregates=True),
        version=f"{steps.VERSION}.{READING_VERSION}",
        # It had no outcomes.
        earlier=[f"1.{READING_VERSION}"],
        prompts=PROMPTS,
        settings=["equality", "evaluation_samples"],
        calls=lambda bounds: accuracy_calls(bounds, bounds.rows("math_test")),
        partitions=training_sizes,
        ins={"tuned": dg.AssetIn(asset_key(f"{MODEL}{variant}"))},
        op_tags=order_of(variant),
        description=f"Accuracy on the synthetic test set (table 1){_of_arm(variant)}.",
    )
    def accuracy(
        context: dg.AssetExecutionContext,
        math_test: pl.LazyFrame,
        tuned: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
        grader: dg.ResourceParam[Grader],
    ) -> dg.MaterializeResult[StepResult]:
        problems = math_test.rename({"sample_id": "problem_id"}).collect()
        model = tuned.collect()
        return measure_accuracy(context, steps.SYNTHETIC, problems, model, project, models, grader)

    return accuracy


def file_accuracy(name: str, variant: str = "") -> TableAsset:
    """Declare the accuracy on the problems of a file (table 2).

    Args:
        name: Name of the asset, as in `Project.problem_sets`.
        variant: Variant of the tables of the experiment.
    """
    described = {BENCHMARK_ACCURACY: "the benchmark (table 2): MATH, or the committed sample"}
    problems = described.get(name, f"{name.removesuffix('_accuracy')}, a further benchmark")

    @table_asset(
        name=f"{name}{variant}",
        group="model",
        table=Table(steps.ACCURACY, "training_size", aggregates=True),
        version=f"{steps.VERSION}.{READING_VERSION}",
        earlier=[f"1.{READING_VERSION}"],
        prompts=PROMPTS,
        settings=[
            "equality",
            file_setting(name),
            "benchmark_limit",
            "benchmark_draw",
            "evaluation_samples",
        ],
        calls=lambda bounds: accuracy_calls(bounds, file_problems(bounds.project, name)),
        partitions=training_sizes,
        ins={"tuned": dg.AssetIn(asset_key(f"{MODEL}{variant}"))},
        op_tags=order_of(variant),
        description=f"Accuracy on {problems}{_of_arm(variant)}.",
    )
    def accuracy(
        context: dg.AssetExecutionContext,
        tuned: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
        grader: dg.ResourceParam[Grader],
    ) -> dg.MaterializeResult[StepResult]:
        file, limit = project.problem_file(name), project.settings.benchmark_limit
        model = tuned.collect()
        return benchmark_accuracy(context, file, limit, model, project, models, grader)

    return accuracy


def _of_arm(variant: str) -> str:
    return ", of models trained on problems without personas" if variant else ""


def file_setting(name: str) -> str:
    """Return the setting under which an accuracy reads its file."""
    return "benchmark" if name == BENCHMARK_ACCURACY else f"{OF_SET}.{name}"


def accuracy_calls(
    bounds: CallBounds, problems: int | None, models: int | None = None, prompt: str = PROMPT
) -> int | None:
    """Return the most calls for solving a number of problems by a number of models.

    Args:
        bounds: Bounds of the project.
        problems: Number of problems; None if a setting leaves it open.
        models: Number of models; None for a model per training.
        prompt: Prompt with the role of the models.

    Raises:
        SettingsError: Several replies per problem would all be the same.
    """
    check_samples(bounds.project, prompt)
    count = len(bounds.settings.training_runs) if models is None else models
    answers = times(problems, count)
    replies = times(answers, bounds.settings.evaluation_samples)
    return plus(bounds.question_calls(replies, prompt), bounds.judge_calls(answers))


def file_problems(project: Project, name: str) -> int | None:
    """Return the most problems of a file that are used."""
    return least(project.settings.benchmark_limit, project.problem_file(name).lines)
