"""Group `model`: fine-tune on synthetic problems and measure what it brought (section 4.1.2)."""

from dataclasses import asdict

import dagster as dg
import polars as pl

from persona_assets.assets.model_calls import (
    POOL,
    answer_equality,
    materialize_result,
    open_session,
)
from persona_assets.assets.pictures import picture
from persona_assets.assets.reads import reads
from persona_assets.partitions import training_sizes
from persona_assets.plots import charts
from persona_assets.project import Project
from persona_assets.resources.benchmark import PROBLEMS
from persona_assets.resources.grader import Grader
from persona_assets.resources.models import Models
from persona_assets.resources.session import TunedModel
from persona_assets.resources.trainer import VERSION as TRAINER_VERSION
from persona_assets.resources.trainer import Trainer
from persona_assets.steps import evaluation as steps
from persona_assets.storage.step_result import StepResult

PROMPTS = ["evaluation@evaluation", "answer_equality"]


@dg.asset(
    partitions_def=training_sizes,
    group_name="model",
    kinds={"pytorch", "parquet"},
    pool=POOL,
    metadata=reads(f"{steps.VERSION}.{TRAINER_VERSION}", settings=["training"]),
)
def fine_tuned_model(
    context: dg.AssetExecutionContext,
    math_train: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
    trainer: dg.ResourceParam[Trainer],
) -> dg.MaterializeResult[StepResult]:
    """The base model fine-tuned on this many problems; each set is part of every larger one."""
    size = int(context.partition_key)
    rows = steps.training_rows(math_train.collect(), size)
    models.close()
    folder = project.storage.path("fine_tuned_model", context.partition_key, "models")

    def report(step: int, total: int, loss: float) -> None:
        context.log.info(f"step {step} of {total}, loss {loss:.3f}")

    trained = trainer.train(rows, folder.with_suffix(""), report) if rows else None
    outcome = steps.build_fine_tuned_model(
        asdict(trained) if trained else None,
        training_size=size,
        base_model=trainer.base_model,
        data_dir=project.storage.data_dir,
    )
    seconds = trained.seconds if trained else 0.0
    return dg.MaterializeResult(value=outcome, metadata={"training_seconds": round(seconds, 1)})


@dg.asset(
    partitions_def=training_sizes,
    group_name="model",
    kinds={"llm", "parquet"},
    pool=POOL,
    metadata=reads(steps.VERSION, prompts=PROMPTS, settings=["equality"]),
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
    return _accuracy(context, "synthetic", problems, model, project, models, grader)


@dg.asset(
    partitions_def=training_sizes,
    group_name="model",
    kinds={"llm", "parquet"},
    pool=POOL,
    metadata=reads(
        steps.VERSION,
        prompts=PROMPTS,
        settings=["equality", "benchmark", "benchmark_limit"],
    ),
)
def math_accuracy(
    context: dg.AssetExecutionContext,
    fine_tuned_model: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
    grader: dg.ResourceParam[Grader],
) -> dg.MaterializeResult[StepResult]:
    """Accuracy on the benchmark (table 2): MATH, or the committed sample."""
    problems = project.benchmark.problems(project.settings.benchmark_limit)
    model = fine_tuned_model.collect()
    return _accuracy(context, project.benchmark.name, problems, model, project, models, grader)


@dg.asset(group_name="model", kinds={"parquet"}, metadata=reads(f"{steps.VERSION}.1"))
def scaling_curve(
    synthetic_accuracy: pl.LazyFrame, math_accuracy: pl.LazyFrame
) -> dg.MaterializeResult[StepResult]:
    """Accuracy by number of training problems, with 95 % intervals (figure 9)."""
    outcome = steps.build_scaling_curve(pl.concat([synthetic_accuracy, math_accuracy]).collect())
    metadata: dict[str, dg.MetadataValue | str] = {
        **picture("curve", charts.draw_scaling_curve(outcome.rows)),
        "verdict": "\n".join(steps.curve_verdicts(outcome.rows)),
    }
    return dg.MaterializeResult(value=outcome, metadata=metadata)


def _accuracy(
    context: dg.AssetExecutionContext,
    benchmark: str,
    problems: pl.DataFrame,
    model: pl.DataFrame,
    project: Project,
    models: Models,
    grader: Grader,
) -> dg.MaterializeResult[StepResult]:
    tuned = TunedModel.from_table(model, project.storage.data_dir)
    with open_session(context, models, tuned) as asked:
        outcome = steps.evaluate(
            problems if tuned else pl.DataFrame(schema=PROBLEMS),
            project.prompt("evaluation@evaluation"),
            asked.complete,
            answer_equality(project, grader, asked),
            benchmark=benchmark,
            training_size=int(context.partition_key),
            model=tuned.sha256 if tuned else "",
        )
    return materialize_result(outcome, asked, accuracy=steps.accuracy_sentence(outcome.rows))
