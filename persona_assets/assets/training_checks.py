"""Asset check of fine-tuned models: a size is the number of examples that were trained on."""

import warnings

import dagster as dg

from persona_assets.assets.table_asset import TableAsset
from persona_assets.project import Project
from persona_assets.steps.training import shortfall
from persona_assets.training.training_run import TrainingRun


def size_check(asset: TableAsset) -> dg.AssetChecksDefinition:
    """Check that a model was trained on as many examples as its size says, and name its twins.

    Args:
        asset: `fine_tuned_model`, or that of the control arm.
    """
    with warnings.catch_warnings():
        # `partitions_def` of a check is a preview; without it a check would load every partition.
        warnings.simplefilter("ignore", dg.PreviewWarning)

        @dg.asset_check(
            asset=asset.definition.key,
            name="size_reached",
            partitions_def=asset.definition.partitions_def,
            description="The model was trained on as many examples as its size, and no other "
            "training has the same model.",
        )
        def size_reached(
            context: dg.AssetCheckExecutionContext, project: dg.ResourceParam[Project]
        ) -> dg.AssetCheckResult:
            run = TrainingRun.of_key(context.partition_key)
            models = {
                table.shard: table.scan().select("examples", "sha256").collect().row(0)
                for table in project.storage.shard_tables(asset.name)
                if table.rows
            }
            examples, sha256 = models.get(run.key, (0, None))
            twins = [
                other for other, model in models.items() if other != run.key and model[1] == sha256
            ]
            reason = shortfall(run.size, examples)
            return dg.AssetCheckResult(
                passed=reason is None and not twins,
                severity=dg.AssetCheckSeverity.WARN,
                description=reason,
                metadata={
                    "examples": examples,
                    "same_model": sorted(twins, key=TrainingRun.of_key),
                },
            )

        return size_reached
