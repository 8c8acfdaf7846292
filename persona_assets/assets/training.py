"""Group `model`: fine-tuning on synthetic problems (section 4.1.2)."""

from dataclasses import asdict
from typing import Any

import dagster as dg
import polars as pl

from persona_assets.assets.judged_neighbours import stored_verdicts
from persona_assets.assets.metadata import picture
from persona_assets.assets.problem_vectors import stored_vectors
from persona_assets.assets.table_asset import POOL, table_asset
from persona_assets.assets.training_log import TrainingLog
from persona_assets.partitions import training_sizes
from persona_assets.plots.loss_curve import draw_loss_curve
from persona_assets.project import Project
from persona_assets.resources.models import Models
from persona_assets.resources.trained_models import TrainedModel, remove_model
from persona_assets.resources.trainer import Trainer
from persona_assets.resources.training_inputs import VERSION as TRAINER_VERSION
from persona_assets.steps import training as steps
from persona_assets.steps.contamination import require_absent
from persona_assets.steps.neighbours import require_absent_by_meaning
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table


@table_asset(
    group="model",
    table=Table(steps.MODEL, "sha256", aggregates=True),
    version=f"{steps.VERSION}.{TRAINER_VERSION}",
    earlier=[f"1.{TRAINER_VERSION}"],
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
    size, share = int(context.partition_key), project.settings.training.evaluation_share
    train = math_train.collect()
    rows = steps.training_rows(train, size, share)
    # The check of `math_train` does not stop a run of this asset alone.
    forbidden = project.forbidden_problems()
    require_absent(forbidden, [row["problem"] for row in rows])
    judged = stored_verdicts(project)
    require_absent_by_meaning(forbidden, train, stored_vectors(project), judged)
    models.close()
    log = TrainingLog(context)
    trained = None
    if rows:
        trained = trainer.train(
            rows,
            project.storage.data_dir / "models" / "fine_tuned_model",
            log.report,
            name=str(size),
            evaluation=steps.evaluation_rows(train, share),
            tell=context.log.info,
        )
        _remove_former_model(project, context.partition_key, trained)
    result = steps.build_fine_tuned_model(
        asdict(trained) if trained else None,
        rows,
        training_size=size,
        base_model=trainer.base_model,
        data_dir=project.storage.data_dir,
    )
    return dg.MaterializeResult(value=result, metadata=_described(result, trained))


@table_asset(
    group="model",
    table=Table(steps.CURVE, "training_size", unique=("training_size", "step"), aggregates=True),
    version=steps.VERSION,
)
def training_curve(fine_tuned_model: pl.LazyFrame) -> dg.MaterializeResult[StepResult]:
    """Loss by tokens seen, of every training, with the loss on rows kept apart."""
    result = steps.build_training_curve(fine_tuned_model.collect())
    return dg.MaterializeResult(
        value=result, metadata=picture("loss", draw_loss_curve(result.rows))
    )


def _remove_former_model(project: Project, size: str, trained: TrainedModel) -> None:
    """Remove the model that a size had before, unless another size has it, too."""
    storage = project.storage
    tables = {table.shard: table for table in storage.shard_tables("fine_tuned_model")}
    paths = {
        shard: storage.data_dir / path
        for shard, table in tables.items()
        for path in table.scan().select("path").collect()["path"]
    }
    former = paths.pop(size, None)
    if former is not None:
        used = [trained.path, *paths.values()]
        remove_model(former.absolute(), [path.absolute() for path in used])


def _described(result: StepResult, trained: TrainedModel | None) -> dict[str, Any]:
    """Return the metadata of a model: its loss curve, its warning, its figures."""
    if trained is None:
        return {"training_seconds": 0.0}
    [row] = result.rows.rows(named=True)
    curve = steps.build_training_curve(result.rows).rows
    warning = steps.shortfall(row["training_size"], row["examples"])
    figures = {
        "examples": trained.examples,
        "training_seconds": round(trained.seconds, 1),
        "tokens": trained.tokens,
        "tokens_per_second": trained.tokens and round(trained.tokens / trained.seconds, 1),
        "operations_per_second": trained.flops_per_second,
        "utilization": trained.utilization,
        "evaluation_loss": trained.evaluation_loss,
        "device": trained.device,
        "processes": trained.processes,
        "libraries": trained.libraries and dg.MetadataValue.json(dict(trained.libraries)),
        "hyper": trained.hyper and dg.MetadataValue.json(dict(trained.hyper)),
        "inputs": trained.inputs,
        "rows_sha256": trained.rows_sha256,
    }
    return {
        **({"warning": warning} if warning else {}),
        **picture("loss", draw_loss_curve(curve)),
        **{name: value for name, value in figures.items() if value is not None},
    }
