"""Asset checks: tables keep their contract, the hub holds no duplicate pair, losses stay small."""

import warnings
from collections.abc import Iterable

import dagster as dg

from persona_assets.assets.calls import POOL
from persona_assets.assets.hub import persona_hub
from persona_assets.project import Project
from persona_assets.steps import hub as steps
from persona_assets.tables import tables


def checks(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetChecksDefinition]:
    """The checks of a graph: a schema for every asset, a share of losses where a model is asked."""
    found: list[dg.AssetChecksDefinition] = []
    with warnings.catch_warnings():
        # `partitions_def` of a check is a preview; without it a check would load every partition.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        for asset in assets:
            found.append(contract_check(asset))
            if asset.op.pool == POOL:
                found.append(quarantine_check(asset))
            if asset.key == persona_hub.key:
                found.append(duplicate_check(asset))
    return found


def contract_check(asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    """Whether the table on disk has the columns of its contract, and no row id twice or missing."""

    @dg.asset_check(
        asset=asset.key,
        name="contract",
        blocking=True,
        partitions_def=asset.partitions_def,
        description="The table has the columns of its contract; no row id is missing or repeated.",
    )
    def contract(
        context: dg.AssetCheckExecutionContext, project: dg.ResourceParam[Project]
    ) -> dg.AssetCheckResult:
        name = asset.key.to_user_string()
        table = tables(project.prompts)[name]
        rows = project.storage.scan(name, _partition(context))
        schema = rows.collect_schema()
        if schema != table.schema:
            return dg.AssetCheckResult(
                passed=False, metadata={"expected": str(table.schema), "found": str(schema)}
            )
        faulty = table.faulty(rows)
        return dg.AssetCheckResult(passed=faulty == 0, metadata={"faulty_ids": faulty})

    return contract


def quarantine_check(asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    """Whether the share of dropped rows stays below the setting `max_quarantine_share`."""

    @dg.asset_check(
        asset=asset.key,
        name="quarantine_share",
        partitions_def=asset.partitions_def,
        description="The share of rows dropped is at most the setting max_quarantine_share.",
    )
    def quarantine_share(
        context: dg.AssetCheckExecutionContext, project: dg.ResourceParam[Project]
    ) -> dg.AssetCheckResult:
        footer = project.storage.existing_footer(asset.key.to_user_string(), _partition(context))
        dropped = sum(footer.dropped.values())
        share = dropped / max(dropped + footer.rows, 1)
        return dg.AssetCheckResult(
            passed=share <= project.settings.max_quarantine_share,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"share": share, "dropped": dropped, "rows": footer.rows},
        )

    return quarantine_share


def duplicate_check(asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    """Whether a shard's hub is free of pairs with itself and with the shards before it."""

    @dg.asset_check(
        asset=asset.key,
        name="no_duplicate_pair",
        blocking=True,
        partitions_def=asset.partitions_def,
        description="No persona repeats one of this shard's hub or of a shard that arrived before.",
    )
    def no_duplicate_pair(
        context: dg.AssetCheckExecutionContext, project: dg.ResourceParam[Project]
    ) -> dg.AssetCheckResult:
        storage, settings = project.storage, project.settings
        shard = context.partition_key
        arrived = storage.shards("persona_hub")
        known = arrived[: arrived.index(shard) + 1]
        hub = storage.scan_shards("persona_hub", known).collect()
        vectors = storage.scan_shards("persona_embeddings", known).collect()
        pairs = steps.duplicate_pairs(
            hub, vectors, settings.lexical_threshold, settings.semantic_threshold
        )
        return dg.AssetCheckResult(passed=not pairs, metadata={"pairs": len(pairs)})

    return no_duplicate_pair


def _partition(context: dg.AssetCheckExecutionContext) -> str | None:
    return context.partition_key if context.has_partition_key else None
