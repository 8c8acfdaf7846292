"""The sensor and the nightly schedules request exactly the missing tables, tick by tick."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
import pytest

from persona_assets.orchestration.automation import REQUEST
from persona_assets.orchestration.instance import RUNNER, fail_dead_runs, open_instance
from persona_assets_tests.sample_project import TEXTS, SampleProject

SCHEDULES = ("nightly_backfill", "nightly_training")


@pytest.fixture
def small(fresh: SampleProject) -> SampleProject:
    """Project with a single task and training size: the fewest runs of a whole graph."""
    for file in (fresh.prompts / "tasks").glob("*.md"):
        if file.stem != "math_problems":
            file.unlink()
    fresh.values |= {"tasks": {"math_problems": {"per_shard": 2}}, "training_sizes": [1]}
    return fresh


@dataclass(frozen=True)
class Tick:
    """Requests of a tick, or the reason for no request."""

    requests: list[dg.RunRequest]
    skipped: str

    @property
    def partitions(self) -> list[str | None]:
        return [request.partition_key for request in self.requests]


class Daemon:
    """Double of Dagster's daemon: evaluates sensors and schedules, and executes requests."""

    def __init__(self, project: SampleProject, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.repository = project.defs.get_repository_def()
        self.resources = self.repository.get_top_level_resources()

    def sense(self) -> Tick:
        """Evaluate the sensor and register its new partitions."""
        with dg.SensorEvaluationContext(
            self.instance.get_ref(),
            last_tick_completion_time=None,
            last_run_key=None,
            cursor=None,
            repository_name=self.repository.name,
            repository_def=self.repository,
            resources={"corpus": self.resources["corpus"]},
        ) as context:
            data = self.repository.get_sensor_def("new_shards").evaluate_tick(context)
        for request in data.dynamic_partitions_requests or ():
            keys = list(request.partition_keys)
            self.instance.add_dynamic_partitions(request.partitions_def_name, keys)
        return Tick(list(data.run_requests or ()), str(data.skip_message))

    def tick(self, name: str) -> Tick:
        """Evaluate a schedule."""
        with dg.ScheduleEvaluationContext(
            self.instance.get_ref(),
            datetime.now(UTC),
            repository_def=self.repository,
            resources={name: self.resources[name] for name in ("corpus", "project")},
        ) as context:
            data = self.repository.get_schedule_def(name).evaluate_tick(context)
        return Tick(list(data.run_requests or ()), str(data.skip_message))

    def execute(self, job: str, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Execute a requested run of the job of a sensor or schedule."""
        return self.repository.get_job(job).execute_in_process(
            instance=self.instance,
            asset_selection=list(request.asset_selection) if request.asset_selection else None,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )

    @property
    def jobs(self) -> dict[str, str]:
        """Job of the sensor and of each schedule."""
        repository = self.repository
        sensor = repository.get_sensor_def("new_shards")
        schedules = {schedule.name: str(schedule.job_name) for schedule in repository.schedule_defs}
        return {sensor.name: str(sensor.job_name), **schedules}


@contextmanager
def open_daemon(project: SampleProject) -> Iterator[Daemon]:
    """Open the daemon of a project without registered partitions."""
    with open_instance(project.settings) as instance:
        yield Daemon(project, instance)


def test_sensor_adds_new_files_and_the_night_makes_all_other_tables(small: SampleProject) -> None:
    (small.corpus / "notes.pdf").write_text("no text")
    with open_daemon(small) as daemon:
        sensed = daemon.sense()
        assert sensed.partitions == list(TEXTS)
        assert [request.run_key for request in sensed.requests] == list(TEXTS)
        assert list(daemon.instance.get_dynamic_partitions("shards")) == list(TEXTS)
        assert daemon.sense().skipped == f"no new file in {small.corpus}: 2 shards"
        for request in sensed.requests:
            assert daemon.execute(daemon.jobs["new_shards"], request).success
        assert {asset for asset, _ in small.versions()} == {
            "raw_corpus",
            "text_personas",
            *(f"hop_{number}_personas" for number in range(1, 7)),
            "persona_candidates",
        }

        requested: list[tuple[str, list[str | None]]] = []
        tags: list[str] = []
        while True:
            ticks = [(name, daemon.tick(name)) for name in SCHEDULES]
            due = [(name, tick) for name, tick in ticks if tick.requests]
            if not due:
                break
            # At most a single schedule is due: the inputs of the models are made first.
            [(name, tick)] = due
            requested.append((name, tick.partitions))
            for request in tick.requests:
                tags.append(request.tags[REQUEST])
                assert daemon.execute(daemon.jobs[name], request).success
        backfill, training = SCHEDULES
        all_shards: list[str | None] = list(TEXTS)
        assert requested == [
            (backfill, [None]),
            (backfill, all_shards),
            (backfill, [None]),
            (backfill, all_shards),
            (backfill, [None]),
            (backfill, all_shards),
            (backfill, [None]),
            (training, ["1"]),
            (backfill, [None]),
        ]
        assert len(tags) == len(set(tags))
    assert small.stale() == []
    with small.runner() as runner:
        assert runner.size() == len(small.versions())


def test_schedule_requests_nothing_while_a_run_is_unfinished(fresh: SampleProject) -> None:
    with open_daemon(fresh) as daemon:
        for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING):
            run = dg.DagsterRun(job_name="other", status=status)
            daemon.instance.add_run(run)
            assert "runs are under way" in daemon.tick("nightly_backfill").skipped
            daemon.instance.delete_run(run.run_id)
        assert daemon.tick("nightly_backfill").partitions == list(TEXTS)


def test_schedule_requests_a_failed_run_again_once_an_input_changed(fresh: SampleProject) -> None:
    fresh.server.meets = lambda prompt, message: "401"
    with open_daemon(fresh) as daemon:
        # The first runs publish the raw texts and fail at the personas, the second runs fail alone.
        for _ in range(2):
            for request in daemon.tick("nightly_backfill").requests:
                assert not daemon.execute(daemon.jobs["nightly_backfill"], request).success
        assert daemon.tick("nightly_backfill").requests == []
    fresh.server.meets = lambda prompt, message: None
    fresh.edit("text_to_persona", "# User\n", "Be brief.\n\n# User\n")
    with open_daemon(fresh) as daemon:
        assert daemon.tick("nightly_backfill").partitions == list(TEXTS)


def test_sensor_names_a_missing_corpus_folder(fresh: SampleProject) -> None:
    fresh.values["corpus"] = fresh.root / "nowhere"
    with (
        open_daemon(fresh) as daemon,
        pytest.raises(FileNotFoundError, match="nowhere does not exist"),
    ):
        daemon.sense()


def test_runs_of_a_killed_command_are_failed_and_block_no_schedule(fresh: SampleProject) -> None:
    ended = subprocess.Popen([sys.executable, "--version"], stdout=subprocess.DEVNULL)
    ended.wait()
    here = socket.gethostname()
    with open_daemon(fresh) as daemon:
        for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED):
            for tag in (f"{here}:{ended.pid}", f"{here}:{os.getpid()}", f"elsewhere:{ended.pid}"):
                daemon.instance.add_run(
                    dg.DagsterRun(job_name="x", status=status, tags={RUNNER: tag})
                )
        assert fail_dead_runs(daemon.instance) == 2
        failed = daemon.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        assert {run.tags[RUNNER] for run in failed} == {f"{here}:{ended.pid}"}
        assert "runs are under way" in daemon.tick("nightly_backfill").skipped
        for run in daemon.instance.get_runs():
            daemon.instance.delete_run(run.run_id)
        started = dg.DagsterRunStatus.STARTED
        tags = {RUNNER: f"{here}:{ended.pid}"}
        daemon.instance.add_run(dg.DagsterRun(job_name="x", status=started, tags=tags))
        assert daemon.tick("nightly_backfill").partitions == list(TEXTS)
