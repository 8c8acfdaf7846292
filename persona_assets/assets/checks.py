"""Asset checks: contract of every table, share of dropped rows, soundness of duplicates.

Training problems and held-out problems are also checked against each other.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping

import dagster as dg
import polars as pl

from persona_assets.assets.judged_neighbours import stored_verdicts
from persona_assets.assets.problem_vectors import stored_vectors
from persona_assets.assets.rejections import has_too_many_rejected, rejected_share
from persona_assets.assets.samples import (
    DUPLICATE,
    EMBEDDED,
    GROUP,
    compared,
    least_cosine,
    tasks_by_group,
)
from persona_assets.assets.table_asset import POOL, TableAsset
from persona_assets.assets.training import MODEL
from persona_assets.assets.training_checks import size_check
from persona_assets.local_models.embedder import int8_margin
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.settings import NO_PERSONA, Settings
from persona_assets.steps.audit import TOLERANCE, audit_lexical, audit_semantic, count_shared
from persona_assets.steps.hub import zero_unread_vectors
from persona_assets.steps.math_data import contained_problems, held_out_problems
from persona_assets.steps.samples import sample_text

SIDES = {"math_train": False, "math_test": True}
"""Tables of math problems, each with the value of `held_out` of its rows."""

AUDITED = {
    "lexical_duplicates": "persona_candidates",
    "semantic_duplicates": "persona_embeddings",
}
"""Tables of duplicates, each with the table of the rows that were joined."""


def asset_checks(assets: Iterable[TableAsset]) -> list[dg.AssetChecksDefinition]:
    """Return the checks of a graph, derived from the declarations of its assets."""
    found: list[dg.AssetChecksDefinition] = []
    with warnings.catch_warnings():
        # `partitions_def` of a check is a preview; without it a check would load every partition.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        for asset in assets:
            found.append(contract_check(asset))
            if asset.definition.op.pool == POOL:
                found.append(quarantine_check(asset))
            if asset.reads.prompts and asset.definition.partitions_def is shards:
                found.append(rejection_check(asset))
            if asset.name in AUDITED:
                found.append(survivor_check(asset))
            if asset.spec.group_name == GROUP and asset.table.duplicates:
                check = (
                    sample_survivor_check
                    if asset.name.startswith(DUPLICATE)
                    else similar_survivor_check
                )
                found.append(check(asset))
            if asset.name.removesuffix(NO_PERSONA) in SIDES:
                found.append(held_out_check(asset))
                found.append(decontaminated_check(asset))
            if asset.name.removesuffix(NO_PERSONA) == MODEL:
                found.append(size_check(asset))
    return found


def contract_check(asset: TableAsset) -> dg.AssetChecksDefinition:
    """Check the columns of a table on disk, and that its keys are present and unique."""

    @dg.asset_check(
        asset=asset.definition.key,
        name="contract",
        blocking=True,
        partitions_def=asset.definition.partitions_def,
        description="The table has the columns of its contract; no row id is missing or repeated.",
    )
    def contract(
        context: dg.AssetCheckExecutionContext, project: dg.ResourceParam[Project]
    ) -> dg.AssetCheckResult:
        table = asset.table
        rows = project.storage.scan(asset.name, _partition(context))
        schema = rows.collect_schema()
        if schema != table.schema:
            return dg.AssetCheckResult(
                passed=False, metadata={"expected": str(table.schema), "found": str(schema)}
            )
        faulty = table.count_faulty_keys(rows)
        return dg.AssetCheckResult(passed=faulty == 0, metadata={"faulty_ids": faulty})

    return contract


def quarantine_check(asset: TableAsset) -> dg.AssetChecksDefinition:
    """Check the share of dropped rows against the setting `max_quarantine_share`."""

    @dg.asset_check(
        asset=asset.definition.key,
        name="quarantine_share",
        partitions_def=asset.definition.partitions_def,
        description="The share of rows dropped is at most the setting max_quarantine_share.",
    )
    def quarantine_share(
        context: dg.AssetCheckExecutionContext, project: dg.ResourceParam[Project]
    ) -> dg.AssetCheckResult:
        footer = project.storage.existing_footer(asset.name, _partition(context))
        dropped = sum(footer.dropped.values())
        share = dropped / max(dropped + footer.rows, 1)
        return dg.AssetCheckResult(
            passed=share <= project.settings.max_quarantine_share,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"share": share, "dropped": dropped, "rows": footer.rows},
        )

    return quarantine_share


def rejection_check(asset: TableAsset) -> dg.AssetChecksDefinition:
    """Check the share of dropped rows against the setting `max_rejected_share`."""

    @dg.asset_check(
        asset=asset.definition.key,
        name="rejected_share",
        blocking=True,
        partitions_def=asset.definition.partitions_def,
        description="The share of rows rejected is at most the setting max_rejected_share, by the "
        "lower end of its 95 % interval; otherwise no paid step reads the rows that are left.",
    )
    def rejected(
        context: dg.AssetCheckExecutionContext, project: dg.ResourceParam[Project]
    ) -> dg.AssetCheckResult:
        footer = project.storage.existing_footer(asset.name, _partition(context))
        return dg.AssetCheckResult(
            passed=not has_too_many_rejected(footer, project.settings.max_rejected_share),
            metadata={"rejected": str(rejected_share(footer)), **footer.dropped},
        )

    return rejected


def survivor_check(asset: TableAsset) -> dg.AssetChecksDefinition:
    """Check that duplicates resemble their survivor, and survivors no other row.

    All rows are checked for the first, and a sample of both is compared again with all rows.
    """

    def audit(project: Project) -> dg.AssetCheckResult:
        storage, settings = project.storage, project.settings
        duplicates = storage.scan(asset.name, None).collect()
        lexical = asset.name == "lexical_duplicates"
        joined = AUDITED[asset.name]
        tables = [table.scan() for table in storage.shard_tables(joined)]
        if lexical:
            broken = audit_lexical(tables, duplicates, settings.lexical_threshold)
        else:
            broken = _audit_vectors(tables, duplicates, settings.semantic_threshold, settings)
        return _survivors_verdict(broken, lexical and settings.lexical_method != "minhash")

    return _survivors_check(asset, "persona", audit)


def sample_survivor_check(asset: TableAsset) -> dg.AssetChecksDefinition:
    """Check that duplicate samples resemble their survivor, and survivors no other sample.

    All rows are checked for the first, and a sample of both is compared again with all rows.
    """

    def audit(project: Project) -> dg.AssetCheckResult:
        storage, settings = project.storage, project.settings
        tasks = tasks_by_group(project.prompts)[asset.name.removeprefix(DUPLICATE)]
        samples = [
            table.scan().select(
                persona_id="sample_id", persona=sample_text(task.unique_fields), kept=True
            )
            for task in compared(tasks, settings.tasks)
            for table in storage.shard_tables(task.name)
        ]
        duplicates = storage.scan(asset.name, None).rename({"sample_id": "persona_id"}).collect()
        threshold = min(settings.task(task.name).unique_threshold for task in tasks)
        broken = audit_lexical(samples, duplicates, threshold)
        return _survivors_verdict(broken, settings.lexical_method != "minhash")

    return _survivors_check(asset, "sample", audit)


def similar_survivor_check(asset: TableAsset) -> dg.AssetChecksDefinition:
    """Check that duplicate samples mean what their survivor means, and survivors no other sample.

    As for personas, a sample of both is compared again with all rows.
    """

    def audit(project: Project) -> dg.AssetCheckResult:
        storage, settings = project.storage, project.settings
        by_id = {"sample_id": "persona_id"}
        embedded = [name for name in asset.inputs if name.startswith(EMBEDDED)]
        vectors = [
            table.scan().rename(by_id) for name in embedded for table in storage.shard_tables(name)
        ]
        duplicates = storage.scan(asset.name, None).rename(by_id).collect()
        threshold = least_cosine([name.removeprefix(EMBEDDED) for name in embedded], settings)
        broken = _audit_vectors(vectors, duplicates, threshold, settings)
        return _survivors_verdict(broken, all_pairs=False)

    return _survivors_check(asset, "sample", audit)


def _survivors_check(
    asset: TableAsset, row: str, audit: Callable[[Project], dg.AssetCheckResult]
) -> dg.AssetChecksDefinition:
    """Declare the check of a table of duplicates.

    Args:
        asset: Table of duplicates.
        row: Name of its rows.
        audit: Comparison of the table with the rows that were joined.
    """

    @dg.asset_check(
        asset=asset.definition.key,
        name="survivors_stand",
        blocking=True,
        description=f"Every duplicate is like a {row} that stays, and, in a sample, no two that "
        "stay are alike.",
    )
    def survivors_stand(project: dg.ResourceParam[Project]) -> dg.AssetCheckResult:
        return audit(project)

    return survivors_stand


def _audit_vectors(
    tables: Iterable[pl.LazyFrame], duplicates: pl.DataFrame, threshold: float, settings: Settings
) -> dict[str, int]:
    """Count violations in a table of duplicates by meaning; unread texts are nobody's duplicates.

    Args:
        tables: Vectors of all shards.
        duplicates: Table of duplicates.
        threshold: Cosine above which rows are duplicates.
        settings: Settings of the project.
    """
    read = [zero_unread_vectors(table, threshold) for table in tables]
    # Pairs decided by fp32 are compared with the stored int8 vectors.
    int8 = settings.embedding_precision == "int8"
    tolerance = int8_margin(threshold) if int8 else TOLERANCE
    return audit_semantic(read, duplicates, threshold, tolerance)


def _survivors_verdict(broken: Mapping[str, int], all_pairs: bool) -> dg.AssetCheckResult:
    """Return the verdict on counts of broken promises.

    Args:
        broken: Number of violations by name.
        all_pairs: True if the join promises all pairs; another may miss some without being broken.
    """
    fatal = (name for name in broken if all_pairs or name != "similar_survivors")
    is_fatal = any(broken[name] for name in fatal)
    return dg.AssetCheckResult(
        passed=not any(broken.values()),
        severity=dg.AssetCheckSeverity.ERROR if is_fatal else dg.AssetCheckSeverity.WARN,
        metadata=dict(broken),
    )


def held_out_check(asset: TableAsset) -> dg.AssetChecksDefinition:
    """Check that no problem of a table is a near-duplicate of one on the other side.

    A training problem is compared with all problems that are held out, a test problem with all that
    are not, whether or not the other table contains them.
    """
    is_test = _is_test(asset)

    @dg.asset_check(
        asset=asset.definition.key,
        name="held_out_apart",
        blocking=True,
        description="No problem to train on is a near-duplicate of one that is held out.",
    )
    def held_out_apart(project: dg.ResourceParam[Project]) -> dg.AssetCheckResult:
        storage, task = project.storage, project.settings.task("math_problems")
        own = storage.scan(asset.name, None).select("problem").collect()["problem"]
        columns = pl.DataFrame(schema={"problem": pl.String()})
        others = (
            table.scan().filter(pl.col("held_out") != is_test).select("problem").collect()
            for table in storage.shard_tables("math_solutions")
        )
        other = pl.concat([columns, *others])["problem"].unique(maintain_order=True)
        shared = count_shared(own, other, task.unique_threshold)
        severity = dg.AssetCheckSeverity.ERROR if task.unique else dg.AssetCheckSeverity.WARN
        return dg.AssetCheckResult(
            passed=shared == 0,
            severity=severity,
            metadata={"problems": len(own), "shared_problems": shared},
        )

    return held_out_apart


def decontaminated_check(asset: TableAsset) -> dg.AssetChecksDefinition:
    """Check that no problem contains a benchmark problem, nor a training problem a held-out one."""

    @dg.asset_check(
        asset=asset.definition.key,
        name="decontaminated",
        blocking=True,
        description="No problem contains one of the setting decontaminate; no problem to train on "
        "contains one that is held out.",
    )
    def decontaminated(project: dg.ResourceParam[Project]) -> dg.AssetCheckResult:
        storage, forbidden = project.storage, [project.forbidden_problems()]
        if not _is_test(asset):
            forbidden += [
                held_out_problems(table.scan().collect())
                for table in storage.shard_tables("math_solutions")
            ]
        problems = storage.scan(asset.name, None).select("sample_id", "problem").collect()
        variant = NO_PERSONA if asset.name.endswith(NO_PERSONA) else ""
        vectors, verdicts = stored_vectors(project, variant), stored_verdicts(project, variant)
        search = contained_problems(problems, pl.concat(forbidden), vectors, verdicts)
        found = [containment.reason for containment in search if containment]
        return dg.AssetCheckResult(
            passed=not found,
            metadata={"problems": len(problems), "contaminated": len(found), "first": found[:10]},
        )

    return decontaminated


def _is_test(asset: TableAsset) -> bool:
    return SIDES[asset.name.removesuffix(NO_PERSONA)]


def _partition(context: dg.AssetCheckExecutionContext) -> str | None:
    return context.partition_key if context.has_partition_key else None
