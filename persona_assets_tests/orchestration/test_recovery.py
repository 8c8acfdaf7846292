"""A run whose process is gone is failed and retried, up to a bound; what a step decided is not."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import WorkerStatus

from persona_assets.orchestration.failures import failed_steps
from persona_assets.orchestration.instance import HOST, fail_dead_runs, runner_tags
from persona_assets.orchestration.missed_retries import RETRIED_BY, WILL_RETRY, missed_retries
from persona_assets.orchestration.recovery import add_recovery
from persona_assets.scaffold.shipped_files import shipped_file

SHIPPED = shipped_file("data/dagster.yaml")


@dg.op
def decide() -> None:
    """Fail as a step that refuses its input does."""
    raise dg.Failure("the cap is reached")


@dg.job(executor_def=dg.in_process_executor)
def deciding() -> None:
    decide()


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """Instance of the shipped configuration."""
    home = tmp_path_factory.mktemp("home")
    (home / "dagster.yaml").write_text(SHIPPED.read_text())
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def started(
    instance: dg.DagsterInstance, pid: int, host: str | None = None, parent: str | None = None
) -> dg.DagsterRun:
    """Return a run that a process has begun to execute, as the code server records it."""
    group = {"dagster/parent_run_id": parent, "dagster/root_run_id": parent} if parent else {}
    run = instance.create_run_for_job(
        deciding,
        tags={HOST: host or socket.gethostname(), **group},
        status=dg.DagsterRunStatus.STARTED,
        parent_run_id=parent,
        root_run_id=parent,
    )
    instance.report_engine_event("Started process", run, EngineEventData.in_process(pid))
    return run


def reload(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def dead() -> int:
    """Number of a process that was killed."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    process.kill()
    process.wait()
    return process.pid


def test_run_of_a_dead_process_is_found_and_retried_up_to_a_bound(
    instance: dg.DagsterInstance, dead: int
) -> None:
    first = started(instance, dead)
    check = instance.run_launcher.check_run_worker_health(first)
    assert check.status == WorkerStatus.FAILED
    assert fail_dead_runs(instance) == 1
    assert reload(instance, first).tags[WILL_RETRY] == "true"
    # The daemon counts the runs of the group.
    for attempt in range(2, 5):
        retry = started(instance, dead, parent=first.run_id)
        assert fail_dead_runs(instance) == 1
        assert reload(instance, retry).tags[WILL_RETRY] == str(attempt <= 3).lower()


def test_run_of_a_live_process_or_of_another_machine_is_left_alone(
    instance: dg.DagsterInstance, dead: int
) -> None:
    runs = [started(instance, os.getpid()), started(instance, dead, host="elsewhere")]
    checks = [instance.run_launcher.check_run_worker_health(run).status for run in runs]
    assert checks == [WorkerStatus.RUNNING] * 2
    assert fail_dead_runs(instance) == 0
    for run in runs:
        instance.delete_run(run.run_id)


def test_process_that_took_over_the_number_after_a_restart_is_another(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as past:
        hour_ago = time.time() - 3600
        past.setattr("time.time", lambda: hour_ago)
        run = started(instance, os.getpid())
    if not Path("/proc/self/stat").exists():
        pytest.skip("this system does not tell when a process started")
    assert instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.FAILED
    instance.delete_run(run.run_id)


def test_decision_of_a_step_and_run_of_a_command_are_not_retried(
    instance: dg.DagsterInstance,
) -> None:
    result = deciding.execute_in_process(instance=instance, raise_on_error=False)
    assert reload(instance, result.dagster_run).tags[WILL_RETRY] == "false"
    assert runner_tags()["dagster/max_retries"] == "0"


def test_failure_that_was_retried_is_not_listed(instance: dg.DagsterInstance, dead: int) -> None:
    run = started(instance, dead)
    fail_dead_runs(instance)
    assert run.run_id in {failure.run_id for failure in failed_steps(instance, set())}
    instance.add_run_tags(run.run_id, {"dagster/auto_retry_run_id": "another"})
    assert run.run_id not in {failure.run_id for failure in failed_steps(instance, set())}


def test_retry_that_dagster_missed_is_set_off_once(
    instance: dg.DagsterInstance, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look() -> list[str]:
        with dg.build_sensor_context(instance=instance) as context:
            missed_retries(context)
        events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        return [event.message for event in events]

    run = started(instance, dead)
    fail_dead_runs(instance)
    # The daemon may still be about to retry it.
    assert len(look()) == 1
    monkeypatch.setattr(f"{missed_retries.__module__}.PAUSE", timedelta())
    instance.add_run_tags(run.run_id, {RETRIED_BY: "another"})
    assert len(look()) == 1
    instance.delete_run(run.run_id)
    run = started(instance, dead)
    fail_dead_runs(instance)
    assert len(look()) == 2
    assert reload(instance, run).tags[WILL_RETRY] == "true"
    assert len(look()) == 2


def test_configuration_of_an_earlier_version_gets_the_missing_sections_once(
    tmp_path: Path,
) -> None:
    file = tmp_path / "dagster.yaml"
    earlier = (
        "# Mine.\nconcurrency:\n  pools:\n    default_limit: 8\nrun_retries: {enabled: false}\n"
    )
    file.write_text(earlier)
    assert add_recovery(file) == ["run_launcher"]
    text = file.read_text()
    assert text.startswith(earlier)
    assert yaml.safe_load(text)["run_retries"] == {"enabled": False}
    assert add_recovery(file) == []
    assert file.read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["dagster.yaml"]
    file.write_text("# Nothing but this line.\n")
    assert add_recovery(file) == ["run_launcher", "run_retries"]
    shipped = yaml.safe_load(SHIPPED.read_text())
    assert yaml.safe_load(file.read_text()) == {
        name: shipped[name] for name in ("run_launcher", "run_retries")
    }
