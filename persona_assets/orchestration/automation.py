"""What runs by itself: new corpus files become shards, and at night what is stale is made again.

Both are stopped until they are switched on in the UI. Neither keeps state: each looks at the
corpus, at the tables' footers and at Dagster's runs, and asks for what is missing.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import dagster as dg

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
"""Tag of a run that automation asked for: the fingerprint of what it has to make."""

FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]

NIGHT = "*/2 1-5 * * *"
"""Every two minutes from one to six: each tick asks for the next phase that has stale tables."""

NIGHT_LENGTH = timedelta(hours=12)
"""How long ago a failure still counts as one of this night."""

_SHARD_GROUPS = dg.AssetSelection.groups("corpus", "personas")


@dg.sensor(
    target=_SHARD_GROUPS,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
)
def new_shards(
    context: dg.SensorEvaluationContext, corpus: dg.ResourceParam[Corpus]
) -> dg.SensorResult | dg.SkipReason:
    """Makes a shard of each new file in the corpus and takes it from its text to its personas."""
    known = set(context.instance.get_dynamic_partitions(str(shards.name)))
    new = [shard for shard in corpus.shards() if shard not in known]
    if not new:
        return dg.SkipReason(f"no new file in {corpus.root}: {len(known)} shards")
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=shard, partition_key=shard) for shard in new],
        dynamic_partitions_requests=[shards.build_add_request(new)],
    )


def nightly_schedules(assets: Sequence[dg.AssetsDefinition]) -> list[dg.ScheduleDefinition]:
    """`nightly_backfill` and `nightly_training`: a schedule has one partition set besides none."""
    specs = [spec for asset in assets for spec in asset.specs]
    trained = [asset for asset in assets if asset.partitions_def == training_sizes]
    others = [asset for asset in assets if asset.partitions_def != training_sizes]
    return [
        _nightly("nightly_backfill", "shards and what is made of all of them", others, specs),
        _nightly("nightly_training", "models and their accuracies", trained, specs),
    ]


def _nightly(
    name: str, what: str, assets: Sequence[dg.AssetsDefinition], specs: Sequence[dg.AssetSpec]
) -> dg.ScheduleDefinition:
    targets = {asset.key.to_user_string() for asset in assets}

    @dg.schedule(
        name=name,
        cron_schedule=NIGHT,
        target=dg.AssetSelection.assets(*assets),
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=(
            f"Makes what is missing or stale by the tables' footers, {what}: a phase at each tick. "
            "What failed is asked for again the next night, or when something about it has changed."
        ),
    )
    def schedule(
        context: dg.ScheduleEvaluationContext,
        project: dg.ResourceParam[Project],
        corpus: dg.ResourceParam[Corpus],
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        instance = context.instance
        register_partitions(instance, project.settings, corpus, project.storage)
        fail_dead_runs(instance)
        if instance.get_runs_count(dg.RunsFilter(statuses=UNFINISHED)):
            yield dg.SkipReason("runs are under way: the next tick looks again")
            return
        graph = Graph(specs, partition_keys(instance))
        for work in Staleness(graph, project.storage, corpus).first():
            tags = {REQUEST: work.fingerprint}
            tonight = context.scheduled_execution_time - NIGHT_LENGTH
            failed = instance.get_runs_count(
                dg.RunsFilter(tags=tags, statuses=FAILED, created_after=tonight)
            )
            if targets.issuperset(work.reasons) and not failed:
                yield dg.RunRequest(
                    run_key=work.fingerprint,
                    partition_key=work.partition,
                    asset_selection=[dg.AssetKey(name) for name in work.reasons],
                    tags={**tags, BACKFILL: f"{name}-{context.scheduled_execution_time.date()}"},
                )

    return schedule
