"""Group `model`: accuracy of the fine-tuned models (section 4.1.2)."""

import dagster as dg
import polars as pl

from persona_assets.assets.call_bounds import CallBounds, plus, times
from persona_assets.assets.metadata import picture
from persona_assets.assets.model_calls import answer_equality, materialize_result, open_session
from persona_assets.assets.table_asset import table_asset
from persona_assets.benchmarks.base import DEFAULT, PROBLEMS, Benchmark
from persona_assets.benchmarks.benchmark_file import BenchmarkFile
from persona_assets.grading import VERSION as GRADING_VERSION
from persona_assets.partitions import training_sizes
from persona_assets.plots import charts
from persona_assets.project import Project
from persona_assets.resources.grader import Grader
from persona_assets.resources.models import Models
from persona_assets.resources.tuned_model import TunedModel
from persona_assets.steps import evaluation as steps
from persona_assets.steps.answers import VERSION as ANSWERS_VERSION
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

PROMPTS = ["evaluation@evaluation", "answer_equality"]


def accuracy_calls(bounds: CallBounds, problems: int | None) -> int | None:
    """Return the most calls for solving a number of problems at every training size."""
    answers = times(problems, len(bounds.settings.training_sizes))
    solutions = bounds.question_calls(answers, "evaluation@evaluation")
    return plus(solutions, bounds.judge_calls(answers))


@table_asset(
    group="model",
    table=Table(steps.ACCURACY, "training_size", aggregates=True),
    version=f"{steps.VERSION}.{ANSWERS_VERSION}.{GRADING_VERSION}",
    prompts=PROMPTS,
    settings=["equality"],
    calls=lambda bounds: accuracy_calls(bounds, bounds.rows("math_test")),
    partitions=training_sizes,
)
def synthetic_accuracy(
    context: dg.AssetExecutionContext,
    math_test: pl.LazyFrame,
    fine_tuned_model: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
    grader: dg.ResourceParam[Grader],
) -> dg.MaterializeResult[StepResult]:
    """Accuracy on the synthetic test set (table 1)."""
    problems = math_test.rename({"sample_id": "problem_id"}).collect()
    model = fine_tuned_model.collect()
    return measure_accuracy(context, "synthetic", problems, model, project, models, grader)


@table_asset(
    group="model",
    table=Table(steps.ACCURACY, "training_size", aggregates=True),
    version=f"{steps.VERSION}.{ANSWERS_VERSION}.{GRADING_VERSION}",
    prompts=PROMPTS,
    settings=["equality", "benchmark", "benchmark_limit"],
    calls=lambda bounds: accuracy_calls(bounds, bounds.settings.benchmark_limit),
    partitions=training_sizes,
)
def math_accuracy(
    context: dg.AssetExecutionContext,
    fine_tuned_model: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
    grader: dg.ResourceParam[Grader],
) -> dg.MaterializeResult[StepResult]:
    """Accuracy on the benchmark (table 2): MATH, or the committed sample."""
    limit = project.settings.benchmark_limit
    model = fine_tuned_model.collect()
    return benchmark_accuracy(context, project.benchmark, limit, model, project, models, grader)


@table_asset(
    group="model",
    table=Table(
        steps.CURVE, "training_size", unique=("benchmark", "training_size"), aggregates=True
    ),
    version=f"{steps.VERSION}.1",
)
def scaling_curve(
    synthetic_accuracy: pl.LazyFrame, math_accuracy: pl.LazyFrame
) -> dg.MaterializeResult[StepResult]:
    """Accuracy by number of training problems, with 95 % intervals (figure 9)."""
    result = steps.build_scaling_curve(pl.concat([synthetic_accuracy, math_accuracy]).collect())
    metadata: dict[str, dg.MetadataValue | str] = {
        **picture("curve", charts.draw_scaling_curve(result.rows)),
        "verdict": "\n".join(steps.curve_verdicts(result.rows)),
    }
    return dg.MaterializeResult(value=result, metadata=metadata)


def benchmark_accuracy(
    context: dg.AssetExecutionContext,
    file: BenchmarkFile,
    limit: int | None,
    model: pl.DataFrame,
    project: Project,
    models: Models,
    grader: Grader,
) -> dg.MaterializeResult[StepResult]:
    """Solve problems of a benchmark file with a fine-tuned model and grade its answers.

    Args:
        context: Run of an asset partitioned by training size.
        file: Benchmark.
        limit: Number of problems, drawn by hash; None for all. Its setting, if it has one, belongs
            to the `settings` of the asset's declaration.
        model: Row of `fine_tuned_model`; empty if nothing was trained.
        project: Settings and prompts.
        models: Sessions with the endpoints.
        grader: Algebraic comparison of answers.
    """
    problems = file.problems(limit)
    return measure_accuracy(
        context, file.name, problems, model, project, models, grader, file.benchmark
    )


def measure_accuracy(
    context: dg.AssetExecutionContext,
    name: str,
    problems: pl.DataFrame,
    model: pl.DataFrame,
    project: Project,
    models: Models,
    grader: Grader,
    benchmark: Benchmark = DEFAULT,
) -> dg.MaterializeResult[StepResult]:
    """Solve problems with a fine-tuned model and grade its answers; no model solves none.

    Args:
        context: Run of an asset partitioned by training size.
        name: Name of the problem set, as stored in the table.
        problems: Columns `problem_id`, `problem`, `answer`.
        model: Row of `fine_tuned_model`; empty if nothing was trained.
        project: Settings and prompts.
        models: Sessions with the endpoints.
        grader: Algebraic comparison of answers.
        benchmark: Extraction and grading of answers.
    """
    tuned = TunedModel.from_table(model, project.storage.data_dir)
    with open_session(context, models, tuned) as session:
        result = steps.evaluate(
            problems if tuned else pl.DataFrame(schema=PROBLEMS),
            project.prompt("evaluation@evaluation"),
            session.complete,
            benchmark.grade or answer_equality(project, grader, session),
            extract=benchmark.extract,
            benchmark=name,
            training_size=int(context.partition_key),
            model=tuned.sha256 if tuned else "",
        )
    return materialize_result(result, session, accuracy=steps.accuracy_sentence(result.rows))
