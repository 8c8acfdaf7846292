"""Launcher of runs on this machine: a run whose process is gone is failed, and thus retried.

Dagster's own launcher leaves it to the code server to report the end of a process. After a crash of
the machine, or a kill of the code server, nothing does, and the run stays under way for good.
"""

import socket

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher

from persona_assets.orchestration.instance import HOST, is_dead


class LocalRunLauncher(DefaultRunLauncher):
    """Launcher that `run_monitoring` of dagster.yaml asks for dead processes of this machine."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Launch a run in a process of the code server."""
        self._instance.add_run_tags(context.dagster_run.run_id, {HOST: socket.gethostname()})
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: dead processes are found."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return FAILED for a run whose process existed on this machine and is gone."""
        if is_dead(self._instance, run):
            return CheckRunHealthResult(WorkerStatus.FAILED, "the process is gone")
        return CheckRunHealthResult(WorkerStatus.RUNNING)
