"""Group `model`: fine-tuning on synthetic problems (section 4.1.2)."""

from dataclasses import asdict

import dagster as dg
import polars as pl

from persona_assets.assets.problem_vectors import stored_vectors
from persona_assets.assets.table_asset import POOL, table_asset
from persona_assets.partitions import training_sizes
from persona_assets.project import Project
from persona_assets.resources.models import Models
from persona_assets.resources.trainer import VERSION as TRAINER_VERSION
from persona_assets.resources.trainer import Trainer
from persona_assets.steps import training as steps
from persona_assets.steps.contamination import require_absent
from persona_assets.steps.neighbours import require_absent_by_meaning
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table


@table_asset(
    group="model",
    table=Table(steps.MODEL, "sha256", aggregates=True),
    version=f"{steps.VERSION}.{TRAINER_VERSION}",
    settings=["training"],
    partitions=training_sizes,
    kinds=["pytorch"],
    pool=POOL,
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
    # The check of `math_train` does not stop a run of this asset alone.
    require_absent(project.forbidden_problems(), [row["problem"] for row in rows])
    require_absent_by_meaning(
        project.forbidden_problems(), math_train.collect(), stored_vectors(project)
    )
    models.close()
    folder = project.storage.path("fine_tuned_model", context.partition_key, "models")

    def report(step: int, total: int, loss: float) -> None:
        context.log.info(f"step {step} of {total}, loss {loss:.3f}")

    trained = trainer.train(rows, folder.with_suffix(""), report) if rows else None
    result = steps.build_fine_tuned_model(
        asdict(trained) if trained else None,
        training_size=size,
        base_model=trainer.base_model,
        data_dir=project.storage.data_dir,
    )
    seconds = trained.seconds if trained else 0.0
    return dg.MaterializeResult(value=result, metadata={"training_seconds": round(seconds, 1)})
