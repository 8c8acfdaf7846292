"""Use a project as Dagster's daemon does: sensor, schedules, one run; print what each did as JSON.

The project is that of the environment.
"""

import json
import logging
from datetime import UTC, datetime

import dagster as dg

from persona_assets.definitions import defs
from persona_assets.orchestration.instance import open_instance
from persona_assets.settings import Settings

logging.disable()
settings = Settings.load()
with open_instance(settings) as instance:
    repository = defs().get_repository_def()
    resources = repository.get_top_level_resources()
    with dg.SensorEvaluationContext(
        instance.get_ref(),
        last_tick_completion_time=None,
        last_run_key=None,
        cursor=None,
        repository_name=repository.name,
        repository_def=repository,
        resources={"corpus": resources["corpus"]},
    ) as context:
        sensed = repository.get_sensor_def("new_shards").evaluate_tick(context)
    for request in sensed.dynamic_partitions_requests or ():
        instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
    ticks = {}
    for schedule in repository.schedule_defs:
        with dg.ScheduleEvaluationContext(
            instance.get_ref(),
            datetime.now(UTC),
            repository_def=repository,
            resources={name: resources[name] for name in ("corpus", "project")},
        ) as tick:
            ticks[schedule.name] = len(schedule.evaluate_tick(tick).run_requests or ())
    shards = sorted(str(request.partition_key) for request in sensed.run_requests or ())
    result = repository.get_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey("raw_corpus")],
        partition_key=shards[0],
        tags={"dagster/backfill": "one"},
        raise_on_error=False,
    )
    print(json.dumps({"shards": shards, "ticks": ticks, "run": result.success}))
