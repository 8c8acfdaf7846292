"""Launcher of runs on this machine: a run whose process is gone is failed, and thus retried.

Dagster's own launcher leaves it to the code server to report the end of a process. After a crash of
the machine, or a kill of the code server, nothing does, and the run stays under way for good.
"""

import socket
from collections.abc import Iterator

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher

from persona_assets.orchestration.instance import RUNNER, is_dead
from persona_assets.storage.locks import process_lives

HOST = "persona_assets/host"
"""Tag of a run: name of the machine whose daemon launched it."""


class LocalRunLauncher(DefaultRunLauncher):
    """Launcher that `run_monitoring` of dagster.yaml asks for dead processes of this machine."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Launch a run in a process of the code server."""
        run = context.dagster_run
        self._instance.add_run_tags(run.run_id, {HOST: socket.gethostname()})
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: dead processes are found."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return FAILED for a run whose process existed on this machine and is gone."""
        if RUNNER in run.tags:
            gone = is_dead(run)
        else:
            host = run.tags.get(HOST, "")
            lives = [process_lives(host, *process) for process in self._processes(run)]
            # A run that was resumed has several.
            gone = bool(lives) and all(each is False for each in lives)
        if gone:
            return CheckRunHealthResult(WorkerStatus.FAILED, "the process is gone")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def _processes(self, run: dg.DagsterRun) -> Iterator[tuple[str, float]]:
        """Yield the number of each process that began to execute a run, and a time of its life."""
        for entry in self._instance.all_logs(
            run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT
        ):
            pid = entry.get_dagster_event().engine_event_data.metadata.get("pid")
            if pid is not None:
                yield str(pid.value), entry.timestamp
