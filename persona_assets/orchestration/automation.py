"""Automation: a sensor that adds new corpus files, and nightly schedules that refresh stale tables.

Both are stopped until a user starts them in the UI. Neither keeps state: each compares the corpus,
the footers of the tables and Dagster's runs, and requests runs for missing tables.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import dagster as dg

from persona_assets.asset_names import asset_key, asset_name
from persona_assets.orchestration.instance import (
    BACKFILL,
    UNFINISHED,
    fail_dead_runs,
    partition_keys,
    register_partitions,
)
from persona_assets.orchestration.staleness import Graph, Staleness
from persona_assets.partitions import shards, training_sizes
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus

REQUEST = "persona_assets/request"
"""Tag of a run requested by a schedule: fingerprint of the tables to make."""

FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
"""Statuses of a run that ended without its tables."""

NIGHT = "*/2 1-5 * * *"
"""Every two minutes from 1 to 6 o'clock: each tick requests the next phase with stale tables."""

NIGHT_LENGTH = timedelta(hours=12)
"""Age up to which a failure counts as a failure of the same night."""

_SHARD_GROUPS = dg.AssetSelection.groups("corpus", "personas", "personas/hops")


@dg.sensor(
    target=_SHARD_GROUPS,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
)
def new_shards(
    context: dg.SensorEvaluationContext, corpus: dg.ResourceParam[Corpus]
) -> dg.SensorResult | dg.SkipReason:
    """Add a shard for each new file in the corpus, and request its tables from text to personas."""
    known = set(context.instance.get_dynamic_partitions(str(shards.name)))
    files = corpus.files()
    if unread := files.describe_unread():
        context.log.info(unread)
    new = [shard for shard in files.shards if shard not in known]
    if not new:
        return dg.SkipReason(f"no new file in {corpus.root}: {len(known)} shards")
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=shard, partition_key=shard) for shard in new],
        dynamic_partitions_requests=[shards.build_add_request(new)],
    )


def nightly_schedules(assets: Sequence[dg.AssetsDefinition]) -> list[dg.ScheduleDefinition]:
    """Build the schedules `nightly_backfill` (shards) and `nightly_training` (training sizes).

    Dagster allows a schedule a single partition set besides unpartitioned assets.
    """
    specs = [spec for asset in assets for spec in asset.specs]
    by_size = [asset for asset in assets if asset.partitions_def == training_sizes]
    others = [asset for asset in assets if asset.partitions_def != training_sizes]
    return [
        _nightly("nightly_backfill", "shards and assets over all shards", others, specs),
        _nightly("nightly_training", "models and their accuracies", by_size, specs),
    ]


def _nightly(
    name: str, contents: str, assets: Sequence[dg.AssetsDefinition], specs: Sequence[dg.AssetSpec]
) -> dg.ScheduleDefinition:
    targets = {asset_name(asset.key) for asset in assets}

    @dg.schedule(
        name=name,
        cron_schedule=NIGHT,
        target=dg.AssetSelection.assets(*assets),
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=(
            f"Refreshes missing and stale tables ({contents}), decided from their footers: a "
            "phase at each tick. A failed run is requested again the next night, or when an input "
            "changes."
        ),
    )
    def schedule(
        context: dg.ScheduleEvaluationContext,
        project: dg.ResourceParam[Project],
        corpus: dg.ResourceParam[Corpus],
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        instance = context.instance
        arrivals = register_partitions(instance, project.settings, corpus, project.storage)
        for note in arrivals.notes():
            context.log.info(note)
        fail_dead_runs(instance)
        if instance.get_runs_count(dg.RunsFilter(statuses=UNFINISHED)):
            yield dg.SkipReason("runs are under way: the next tick looks again")
            return
        graph = Graph(specs, partition_keys(instance))
        for work in Staleness(graph, project.storage, corpus).first_stale():
            tags = {REQUEST: work.fingerprint}
            evening = context.scheduled_execution_time - NIGHT_LENGTH
            failed = instance.get_runs_count(
                dg.RunsFilter(tags=tags, statuses=FAILED, created_after=evening)
            )
            if targets.issuperset(work.reasons) and not failed:
                yield dg.RunRequest(
                    run_key=work.fingerprint,
                    partition_key=work.partition,
                    asset_selection=[asset_key(name) for name in work.reasons],
                    tags={**tags, BACKFILL: f"{name}-{context.scheduled_execution_time.date()}"},
                )

    return schedule
