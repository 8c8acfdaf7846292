"""Checks of a project's Dagster instance: its daemon, and runs without a process."""

from collections.abc import Iterator

import dagster as dg

from persona_assets.diagnosis.finding import Finding, fault, note, well
from persona_assets.number_format import plural
from persona_assets.orchestration.instance import UNFINISHED, existing_instance, is_dead
from persona_assets.settings import Settings


def check_instance(settings: Settings) -> Iterator[Finding]:
    """Open the Dagster instance of a project and look at its runs, schedules and daemon."""
    subject = "Dagster instance"
    try:
        instance = existing_instance(settings)
    except (dg.DagsterError, OSError) as error:
        message = " ".join(str(error).split())
        yield fault(subject, message, f"mend {settings.data_dir}/dagster_home/dagster.yaml")
        return
    if instance is None:
        yield note(subject, "there is none yet", "the first persona-assets run or ui makes it")
        return
    try:
        yield from _check_runs(instance, subject)
    finally:
        instance.dispose()


def _check_runs(instance: dg.DagsterInstance, subject: str) -> Iterator[Finding]:
    unfinished = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    dead = sum(is_dead(instance, run) for run in unfinished)
    if dead:
        yield note(
            subject,
            f"{plural(dead, 'run')} of killed commands not ended",
            "the next command ends them",
        )
    if not instance.run_retries_enabled:
        yield note(
            subject,
            "runs that a crash took are not run again",
            "persona-assets ui adds run_retries to a dagster.yaml that lacks it",
        )
    elif not instance.run_launcher.supports_check_run_worker_health:
        yield note(
            subject,
            "its run_launcher does not notice dead processes after a crash of the machine",
            "remove that section from dagster.yaml: persona-assets ui adds another",
        )
    on = [state.name for state in instance.all_instigator_state() if state.is_running]
    statuses = instance.get_daemon_statuses()
    down = sorted(name for name, status in statuses.items() if not status.healthy)
    if on and down:
        yield fault(
            subject,
            f"{', '.join(sorted(on))} are on, and no daemon runs ({', '.join(down)})",
            "persona-assets ui starts it; it must stay on",
        )
    total = instance.get_runs_count()
    yield well(subject, f"{plural(total, 'run')}, {len(unfinished) - dead} under way")
