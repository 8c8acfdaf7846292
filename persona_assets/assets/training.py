"""Group `model`: fine-tuning on synthetic problems (section 4.1.2)."""

from collections.abc import Collection
from dataclasses import asdict, replace
from typing import Any

import dagster as dg
import polars as pl

from persona_assets.asset_names import argument, asset_key
from persona_assets.assets.judged_neighbours import stored_verdicts
from persona_assets.assets.metadata import picture
from persona_assets.assets.problem_vectors import stored_vectors
from persona_assets.assets.samples import SHARD_TABLES
from persona_assets.assets.table_asset import POOL, TableAsset, table_asset
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
from persona_assets.steps.control_problems import FULL, NONE
from persona_assets.steps.neighbours import require_absent_by_meaning
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import ShardTables
from persona_assets.tables import Table
from persona_assets.training.training_run import TrainingRun

MODEL = "fine_tuned_model"
"""Asset of the models; its variant has those of the control arm."""


def fine_tuned_model(variant: str = "") -> TableAsset:
    """Declare the models, a partition per training.

    Args:
        variant: Variant of the tables of the experiment; "" for problems of personas.
    """
    problems = "as many problems without personas" if variant else "this many problems"

    @table_asset(
        name=f"{MODEL}{variant}",
        group="model",
        table=Table(steps.MODEL, "sha256", aggregates=True),
        version=f"{steps.VERSION}.{TRAINER_VERSION}",
        earlier=[f"1.{TRAINER_VERSION}"],
        settings=["training"],
        partitions=training_sizes,
        kinds=["pytorch"],
        pool=POOL,
        ins={"problems": dg.AssetIn(asset_key(f"math_train{variant}"))},
        op_tags=order_of(variant),
        description=f"The base model fine-tuned on {problems}; each set is part of every larger "
        "one.",
    )
    def model(
        context: dg.AssetExecutionContext,
        problems: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
        trainer: dg.ResourceParam[Trainer],
    ) -> dg.MaterializeResult[StepResult]:
        name, run = f"{MODEL}{variant}", TrainingRun.of_key(context.partition_key)
        share = project.settings.training.evaluation_share
        train = problems.collect()
        rows = steps.training_rows(train, run.size, share)
        # The check of `math_train` does not stop a run of this asset alone.
        forbidden = project.forbidden_problems()
        require_absent(forbidden, [row["problem"] for row in rows])
        vectors, verdicts = stored_vectors(project, variant), stored_verdicts(project, variant)
        require_absent_by_meaning(forbidden, train, vectors, verdicts)
        models.close()
        log = TrainingLog(context)
        trained = None
        if rows:
            trained = trainer.train(
                rows,
                project.storage.data_dir / "models" / argument(name),
                log.report,
                name=run.key,
                seed=run.seed,
                evaluation=steps.evaluation_rows(train, share),
                tell=context.log.info,
            )
            _remove_former_model(project, name, run.key, trained)
        result = steps.build_fine_tuned_model(
            asdict(trained) if trained else None,
            rows,
            training_size=run.size,
            base_model=trainer.base_model,
            data_dir=project.storage.data_dir,
        )
        return dg.MaterializeResult(
            value=replace(result, figures=_figures(trained)), metadata=_shown(result, run, trained)
        )

    return model


def training_curve(variants: Collection[str]) -> TableAsset:
    """Declare the loss curves of all trainings.

    Args:
        variants: Variants of the tables of the experiment.
    """
    models = {variant: argument(f"{MODEL}{variant}") for variant in variants}

    @table_asset(
        name="training_curve",
        group="model",
        table=Table(
            steps.CURVE,
            "training_size",
            unique=("arm", "training_size", "seed", "step"),
            aggregates=True,
        ),
        version=steps.CURVE_VERSION,
        earlier=["2"],
        ins={
            name: dg.AssetIn(asset_key(f"{MODEL}{variant}"), dagster_type=SHARD_TABLES)
            for variant, name in models.items()
        },
        description="Loss by tokens seen, of every training, with the loss on rows kept apart.",
    )
    def curve(
        project: dg.ResourceParam[Project], **tables: ShardTables
    ) -> dg.MaterializeResult[StepResult]:
        trained = [of_trainings(project, tables[name], variant) for variant, name in models.items()]
        result = steps.build_training_curve(pl.concat(trained, how="diagonal"))
        return dg.MaterializeResult(
            value=result, metadata=picture("loss", draw_loss_curve(result.rows))
        )

    return curve


def order_of(variant: str) -> dict[str, str]:
    """Return the tags of ops by which the control arm comes last in a run.

    A server holds one model at a time, and would else be started anew for each problem set.
    """
    return {"dagster/priority": "-1"} if variant else {}


def of_trainings(project: Project, tables: ShardTables, variant: str) -> pl.DataFrame:
    """Return the rows of the tables of all trainings, with the columns `arm` and `seed`.

    Args:
        project: Holds the seed of the hyper-parameters.
        tables: Tables by partition key.
        variant: Variant of the tables of the experiment.
    """
    usual = project.settings.training.hyper.seed
    rows = [pl.DataFrame(schema=steps.RUN)]
    for table in tables:
        seed = TrainingRun.of_key(table.shard).seed
        labels = {"arm": NONE if variant else FULL, "seed": usual if seed is None else seed}
        typed = (pl.lit(labels[name], kind).alias(name) for name, kind in steps.RUN.items())
        rows.append(table.scan().collect().with_columns(*typed))
    return pl.concat(rows, how="diagonal")


def _remove_former_model(project: Project, name: str, key: str, trained: TrainedModel) -> None:
    """Remove the model that a training had before, unless another training has it, too."""
    storage = project.storage
    paths = {
        table.shard: storage.data_dir / path
        for table in storage.shard_tables(name)
        for path in table.scan().select("path").collect()["path"]
    }
    former = paths.pop(key, None)
    if former is not None:
        used = [trained.path, *paths.values()]
        remove_model(former.absolute(), [path.absolute() for path in used])


def _shown(
    result: StepResult, run: TrainingRun, trained: TrainedModel | None
) -> dict[str, dg.MetadataValue | str]:
    """Return the metadata at the head of a model: its warning and its loss curve."""
    if trained is None:
        return {}
    [row] = result.rows.rows(named=True)
    curve = steps.build_training_curve(result.rows).rows
    warning = steps.shortfall(run.size, row["examples"])
    return {**({"warning": warning} if warning else {}), **picture("loss", draw_loss_curve(curve))}


def _figures(trained: TrainedModel | None) -> dict[str, Any]:
    """Return the figures of a training that are known."""
    if trained is None:
        return {"training_seconds": 0.0}
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
    return {name: value for name, value in figures.items() if value is not None}
