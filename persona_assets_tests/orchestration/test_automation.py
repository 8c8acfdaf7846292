"""The sensor and the schedules: what they ask for is executed, tick by tick, until all is made."""

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
    """One task, one training size, no deep shards: as few runs as a whole graph can have."""
    for file in (fresh.prompts / "tasks").glob("*.md"):
        if file.stem != "math_problems":
            file.unlink()
    fresh.values |= {"tasks": {"math_problems": {"per_shard": 2}}, "training_sizes": [1]}
    return fresh


@dataclass(frozen=True)
class Asked:
    """What a tick asks for, or why it asks for nothing."""

    requests: list[dg.RunRequest]
    skipped: str

    @property
    def partitions(self) -> list[str | None]:
        return [request.partition_key for request in self.requests]


class Daemon:
    """Evaluates sensors and schedules as the daemon does, and executes what they ask for."""

    def __init__(self, project: SampleProject, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.repository = project.defs.get_repository_def()
        self.resources = self.repository.get_top_level_resources()

    def sense(self) -> Asked:
        """The sensor's requests; its new partitions are registered."""
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
        return Asked(list(data.run_requests or ()), str(data.skip_message))

    def tick(self, name: str) -> Asked:
        """A schedule's requests."""
        with dg.ScheduleEvaluationContext(
            self.instance.get_ref(),
            datetime.now(UTC),
            repository_def=self.repository,
            resources={name: self.resources[name] for name in ("corpus", "project")},
        ) as context:
            data = self.repository.get_schedule_def(name).evaluate_tick(context)
        return Asked(list(data.run_requests or ()), str(data.skip_message))

    def execute(self, job: str, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """One requested run, of the job that the sensor or schedule aims at."""
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
        """The job behind the sensor and each schedule."""
        repository = self.repository
        sensor = repository.get_sensor_def("new_shards")
        schedules = {one.name: str(one.job_name) for one in repository.schedule_defs}
        return {sensor.name: str(sensor.job_name), **schedules}


@contextmanager
def daemon(project: SampleProject) -> Iterator[Daemon]:
    """The sample project's daemon, before anything has registered a partition."""
    with open_instance(project.settings) as instance:
        yield Daemon(project, instance)


def test_new_files_become_shards_and_then_the_night_makes_the_rest(small: SampleProject) -> None:
    (small.corpus / "notes.pdf").write_text("no text")
    with daemon(small) as it:
        found = it.sense()
        assert found.partitions == list(TEXTS)
        assert [request.run_key for request in found.requests] == list(TEXTS)
        assert list(it.instance.get_dynamic_partitions("shards")) == list(TEXTS)
        assert it.sense().skipped == f"no new file in {small.corpus}: 2 shards"
        for request in found.requests:
            assert it.execute(it.jobs["new_shards"], request).success
        assert {asset for asset, _ in small.versions()} == {
            "raw_corpus",
            "text_personas",
            *(f"hop_{number}_personas" for number in range(1, 7)),
            "persona_candidates",
        }

        asked: list[tuple[str, list[str | None]]] = []
        tags: list[str] = []
        while True:
            ticks = [(name, it.tick(name)) for name in SCHEDULES]
            due = [(name, found) for name, found in ticks if found.requests]
            if not due:
                break
            # Never both: what the models are trained on is made first.
            [(name, found)] = due
            asked.append((name, found.partitions))
            for request in found.requests:
                tags.append(request.tags[REQUEST])
                assert it.execute(it.jobs[name], request).success
        backfill, training = SCHEDULES
        both: list[str | None] = list(TEXTS)
        assert asked == [
            (backfill, [None]),
            (backfill, both),
            (backfill, [None]),
            (backfill, both),
            (backfill, [None]),
            (training, ["1"]),
            (backfill, [None]),
        ]
        assert len(tags) == len(set(tags))
    assert small.stale() == []
    with small.runner() as runner:
        assert runner.size() == len(small.versions())


def test_nothing_is_asked_for_while_a_run_is_under_way(fresh: SampleProject) -> None:
    with daemon(fresh) as it:
        for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING):
            run = dg.DagsterRun(job_name="other", status=status)
            it.instance.add_run(run)
            assert "runs are under way" in it.tick("nightly_backfill").skipped
            it.instance.delete_run(run.run_id)
        assert it.tick("nightly_backfill").partitions == list(TEXTS)


def test_what_failed_is_asked_for_again_once_something_changed(fresh: SampleProject) -> None:
    fresh.server.meets = lambda prompt, message: "401"
    with daemon(fresh) as it:
        # First the raw texts land and the personas fail, then the personas fail alone.
        for _ in range(2):
            for request in it.tick("nightly_backfill").requests:
                assert not it.execute(it.jobs["nightly_backfill"], request).success
        assert it.tick("nightly_backfill").requests == []
    fresh.server.meets = lambda prompt, message: None
    fresh.edit("text_to_persona", "# User\n", "Be brief.\n\n# User\n")
    with daemon(fresh) as it:
        assert it.tick("nightly_backfill").partitions == list(TEXTS)


def test_a_missing_corpus_is_an_error_that_names_it(fresh: SampleProject) -> None:
    fresh.values["corpus"] = fresh.root / "nowhere"
    with daemon(fresh) as it, pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        it.sense()


def test_runs_of_a_killed_command_are_ended_and_block_no_night(fresh: SampleProject) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = socket.gethostname()
    with daemon(fresh) as it:
        for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED):
            for tag in (f"{here}:{ended.pid}", f"{here}:{os.getpid()}", f"elsewhere:{ended.pid}"):
                it.instance.add_run(dg.DagsterRun(job_name="x", status=status, tags={RUNNER: tag}))
        assert fail_dead_runs(it.instance) == 2
        failed = it.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        assert {run.tags[RUNNER] for run in failed} == {f"{here}:{ended.pid}"}
        assert "runs are under way" in it.tick("nightly_backfill").skipped
        for run in it.instance.get_runs():
            it.instance.delete_run(run.run_id)
        killed = dg.DagsterRunStatus.STARTED
        tags = {RUNNER: f"{here}:{ended.pid}"}
        it.instance.add_run(dg.DagsterRun(job_name="x", status=killed, tags=tags))
        assert it.tick("nightly_backfill").partitions == list(TEXTS)
