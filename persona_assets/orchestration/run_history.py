"""Dagster's history of runs: the previews of rows that it keeps, and their removal."""

import sqlite3
from collections.abc import Collection, Iterable
from contextlib import closing
from pathlib import Path

import dagster as dg

from persona_assets.asset_names import asset_key, asset_name
from persona_assets.orchestration.instance import UNFINISHED, fail_dead_runs
from persona_assets.storage.storage import Storage
from persona_assets.storage.withdrawals import TableName

_PAGE = 1000
_DATA_VERSION = "dagster/data_version"


class RunsUnderWayError(ValueError):
    """A run is under way; the message says what to do."""


def require_no_runs(instance: dg.DagsterInstance) -> int:
    """Make sure that no run writes tables; runs of killed commands are marked as failed.

    Returns:
        Number of all runs so far.

    Raises:
        RunsUnderWayError: A run is under way.
    """
    fail_dead_runs(instance)
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED), limit=1)
    if runs:
        raise RunsUnderWayError(
            f"run {runs[0].run_id} is under way and writes tables: wait for its end, or end it, "
            "and repeat this command"
        )
    return instance.get_runs_count()


def forget_runs(
    instance: dg.DagsterInstance, storage: Storage, tables: Collection[TableName]
) -> int:
    """Remove the runs that made some tables from the history, with their previews of rows.

    Tables of these runs that are not among them, and that exist, are reported anew without a
    preview. Staleness is decided from footers and stays as it is.

    Args:
        instance: Dagster instance of the project.
        storage: Tables of the project.
        tables: Asset and partition of each table.

    Returns:
        Number of runs removed.
    """
    by_asset: dict[str, list[str | None]] = {}
    for asset, partition in tables:
        by_asset.setdefault(asset, []).append(partition)
    runs = {run for item in by_asset.items() for run in _runs_of(instance, *item)}
    others = {table for run in runs for table in _made_by(instance, run)} - set(tables)
    for run in sorted(runs):
        instance.delete_run(run)
    _report(instance, storage, others)
    _vacuum(Path(instance.root_directory))
    return len(runs)


def _runs_of(
    instance: dg.DagsterInstance, asset: str, partitions: list[str | None]
) -> Iterable[str]:
    named = [partition for partition in partitions if partition is not None]
    wanted = dg.AssetRecordsFilter(asset_key=asset_key(asset), asset_partitions=named or None)
    cursor = None
    while True:
        page = instance.fetch_materializations(wanted, limit=_PAGE, cursor=cursor)
        yield from (record.run_id for record in page.records)
        if not page.has_more:
            return
        cursor = page.cursor


def _made_by(instance: dg.DagsterInstance, run_id: str) -> Iterable[TableName]:
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        event = entry.get_dagster_event()
        if event.asset_key is not None:
            yield asset_name(event.asset_key), event.partition


def _report(instance: dg.DagsterInstance, storage: Storage, tables: Iterable[TableName]) -> None:
    for asset, partition in sorted(tables, key=lambda table: (table[0], table[1] or "")):
        footer = storage.footer(asset, partition)
        if footer is not None:
            rows = "dagster/row_count" if partition is None else "dagster/partition_row_count"
            instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    asset_key(asset),
                    partition=partition,
                    metadata={rows: footer.rows},
                    tags={_DATA_VERSION: footer.data_version},
                )
            )


def _vacuum(home: Path) -> None:
    """Overwrite what SQLite has deleted: its bytes stay in free pages otherwise.

    Raises:
        RunsUnderWayError: Another process, such as the UI, uses a database.
    """
    for path in sorted(home.rglob("*.db")):
        try:
            with closing(sqlite3.connect(path)) as database:
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            raise RunsUnderWayError(
                f"{path} is in use ({error}): end the UI and its daemon, and repeat this command"
            ) from None
