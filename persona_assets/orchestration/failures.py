"""Failures that the Dagster instance has recorded: steps of runs, and asset checks."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import dagster as dg

from persona_assets.asset_names import asset_name
from persona_assets.ids import VARIANT
from persona_assets.orchestration.instance import KILLED, UNFINISHED, is_dead
from persona_assets.orchestration.missed_retries import RETRIED_BY

RECENT = 20
"""Number of newest failed runs that are read."""


class _Error(Protocol):
    """Error that Dagster has stored, with the exception behind it."""

    @property
    def message(self) -> str: ...

    @property
    def cause(self) -> "_Error | None": ...


@dataclass(frozen=True)
class FailedStep:
    """Failure of a run.

    Attributes:
        time: Time of the run's creation.
        run_id: Dagster's id of the run.
        asset: Asset whose step failed; empty if the run failed outside of the steps of assets.
        partition: Partition key; None for unpartitioned assets.
        message: Message of the exception, on one line.
    """

    time: datetime
    run_id: str
    asset: str
    partition: str | None
    message: str


@dataclass(frozen=True)
class FailedCheck:
    """Asset check whose last evaluation failed.

    Attributes:
        asset: Name of the asset.
        check: Name of the check.
        partition: Partition key; None for unpartitioned assets.
        is_error: True for an error, False for a warning.
        message: Description and metadata of the evaluation.
    """

    asset: str
    check: str
    partition: str | None
    is_error: bool
    message: str


def root_message(error: _Error) -> str:
    """Return the message of the exception behind an error of Dagster, on one line."""
    return " ".join((error.cause or error).message.split())


def failed_steps(
    instance: dg.DagsterInstance, assets: Collection[str], limit: int = RECENT
) -> list[FailedStep]:
    """List the failures of recent runs, and the killed runs of this machine, newest first.

    A run that a daemon has retried is left out: its retry tells how it ended.

    Args:
        instance: Dagster instance.
        assets: Names of all assets.
        limit: Largest number of failed runs to read.
    """
    killed = [
        record
        for record in instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED))
        if is_dead(instance, record.dagster_run)
    ]
    failed = instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=limit
    )
    found: list[FailedStep] = []
    for record in (*killed, *failed):
        run = record.dagster_run
        if RETRIED_BY in run.tags:
            continue
        # SQLite returns times without their zone, which is UTC.
        time = record.create_timestamp.replace(tzinfo=UTC)
        partition = run.tags.get("dagster/partition")
        steps = _failed_steps(instance, run.run_id, assets)
        for asset, message in steps or [("", KILLED if record in killed else "The run failed.")]:
            found.append(FailedStep(time, run.run_id, asset, partition, message))
    return sorted(found, key=lambda failure: failure.time, reverse=True)


def failed_checks(
    instance: dg.DagsterInstance, keys: Collection[dg.AssetCheckKey]
) -> list[FailedCheck]:
    """List the asset checks whose last evaluation failed, by asset and name."""
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys))
    found: list[FailedCheck] = []
    for key, record in latest.items():
        event = record.event.dagster_event if record.event else None
        if event is None or event.event_type != dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            continue
        evaluation = event.asset_check_evaluation_data
        if not evaluation.passed:
            numbers = (f"{name}: {value.value}" for name, value in evaluation.metadata.items())
            found.append(
                FailedCheck(
                    asset_name(key.asset_key),
                    key.name,
                    record.partition,
                    evaluation.severity == dg.AssetCheckSeverity.ERROR,
                    "; ".join(filter(None, (evaluation.description, *numbers))),
                )
            )
    return sorted(found, key=lambda check: (check.asset, check.check))


def _failed_steps(
    instance: dg.DagsterInstance, run_id: str, assets: Collection[str]
) -> list[tuple[str, str]]:
    """Return the failed assets of a run with messages; a step of no asset is in its message."""
    steps: list[tuple[str, str]] = []
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.get_dagster_event()
        error = event.step_failure_data.error
        message = root_message(error) if error else "no message"
        name = (event.step_key or "").replace("__", VARIANT)
        steps.append((name, message) if name in assets else ("", f"{event.step_key}: {message}"))
    return steps
