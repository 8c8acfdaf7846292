"""The IO manager: stores a step's result as a table with a footer, and reports it to the UI."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeAlias

import dagster as dg
import polars as pl

from persona_assets.asset_names import asset_key, asset_name
from persona_assets.catalog.catalog import Catalog, CatalogError
from persona_assets.column_descriptions import describe_column
from persona_assets.generation.journal.journal import JournalBusy, compact
from persona_assets.partitions import shards
from persona_assets.resources.purging import is_unpurged, purge_table
from persona_assets.storage.footer import Footer, Upstream, data_version
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import (
    PROBE,
    SHARD_COLUMN,
    AccountedTables,
    ShardTables,
    Storage,
)
from persona_assets.tables import Table

PROMPT_VERSIONS = "persona_assets/prompts"
"""Metadata key of an asset's prompts, by name, each with its version."""

QUESTIONS = "persona_assets/questions"
"""Metadata key of the number of questions that the settings give a usual table, by prompt."""

PREVIEW_ROWS = 5
"""Number of rows shown in the UI."""

PREVIEW_CHARS = 120
"""Number of characters after which a value is cut in the UI."""

ID_CHARS = 8
"""Number of characters of an id that a preview shows."""

ShowTable: TypeAlias = Callable[[Footer, pl.DataFrame], None]
"""Function that shows a table to a person: its footer and rows."""


class TableIOManager(dg.IOManager):
    """Load LazyFrames, store StepResults, and refuse rows that break the table's contract.

    Args:
        storage: Tables, journals and completions of the project.
        catalog: Updated after each table.
        tables: Contract of each table, by asset.
        show_table: Called with each table that lands.
    """

    def __init__(
        self,
        storage: Storage,
        catalog: Catalog,
        tables: Mapping[str, Table],
        show_table: ShowTable | None = None,
    ) -> None:
        self._storage = storage
        self._catalog = catalog
        self._tables = tables
        self._show_table = show_table
        self._read: dict[tuple[str, str], list[Upstream]] = defaultdict(list)

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame | ShardTables:
        """Load the shard's table, or the tables of all shards.

        Returns:
            The shard's rows; for an asset over all shards the rows in order of arrival, with a
            column `shard`. An input annotated as ShardTables, or as AccountedTables, receives the
            tables unread.

        Raises:
            MissingTableError: A table is missing; the message names its asset and shard.
        """
        asset = asset_name(context.asset_key)
        keys = list(context.asset_partition_keys) if context.has_asset_partitions else [None]
        is_single = keys == [None] or (
            context.has_partition_key and keys == [context.partition_key]
        )
        unread = context.dagster_type.typing_type in (ShardTables, AccountedTables)
        accounted = context.dagster_type.typing_type is AccountedTables
        read = self._read[context.step_context.run_id, context.step_context.step.key]
        if is_single and not unread:
            version = self._storage.existing_footer(asset, keys[0]).data_version
            read.append(Upstream(asset=asset, shard=keys[0], data_version=version))
            return self._storage.scan(asset, keys[0])
        tables = self._storage.shard_tables(asset, [key for key in keys if key is not None])
        read += [
            Upstream(
                asset=asset,
                shard=table.shard,
                data_version=table.data_version,
                dropped=dict(table.dropped) if accounted else None,
            )
            for table in tables
        ]
        if unread:
            return AccountedTables(tables) if accounted else tables
        if not tables:
            return pl.LazyFrame(schema={**self._tables[asset].schema, SHARD_COLUMN: pl.String})
        return tables.scan()

    def handle_output(self, context: dg.OutputContext, obj: StepResult) -> None:
        """Publish the table, report its data version to Dagster, and add it to the catalog.

        Also moves the table's responses from its journal into its completions. A failure to do so,
        or to update the catalog, is logged and does not fail the table. Completions of withdrawn
        texts that wait to be purged go first.

        Raises:
            ValueError: A key is missing or repeated in the rows.
        """
        asset = asset_name(context.asset_key)
        shard = context.partition_key if context.has_asset_partitions else None
        table = self._tables[asset]
        rows = obj.rows.match_to_schema(table.schema)
        if faulty := table.count_faulty_keys(rows.lazy()):
            key = ", ".join(table.key)
            raise ValueError(f"{faulty} of {len(rows)} rows have no {key} of their own")
        result = replace(obj, rows=rows)
        footer = self._footer(context, asset, shard, result)
        if is_unpurged(self._storage, asset, shard):
            # The table asked for nothing: a session would have purged its completions.
            purge_table(self._storage, asset, shard, keep=())
        path = self._storage.write(result, footer)
        context.step_context.set_data_version(
            context.asset_key, dg.DataVersion(footer.data_version)
        )
        context.add_output_metadata(self._metadata(result, footer, str(path.resolve())))
        journal = self._storage.journal(asset, shard)
        try:
            compact(journal, self._storage.completions(asset, shard))
            # Another process may hold it, to probe; that process moves the records.
            with suppress(JournalBusy):
                compact(self._storage.journal(PROBE, None), self._storage.completions(PROBE, None))
        except (JournalBusy, ValueError, OSError, RecursionError, MemoryError) as error:
            context.log.warning("%s stays as it is until its next run: %s", journal, error)
        try:
            self._catalog.add(path, footer)
        except CatalogError as error:
            context.log.warning("the catalog was not updated (rebuild it from the CLI): %s", error)
        if self._show_table is not None:
            self._show_table(footer, rows)

    def _footer(
        self, context: dg.OutputContext, asset: str, shard: str | None, result: StepResult
    ) -> Footer:
        read = self._read.pop((context.run_id, context.step_context.step.key), [])
        return Footer(
            asset=asset,
            shard=shard,
            run_id=context.run_id,
            code_version=context.asset_spec.code_version or "",
            data_version=data_version(result.rows),
            prompt_versions=context.asset_spec.metadata.get(PROMPT_VERSIONS, {}),
            questions=context.asset_spec.metadata.get(QUESTIONS, {}),
            upstream=tuple(read),
            rows=len(result.rows),
            dropped=result.reasons(),
            arrival=self._arrival(context, shard) if asset == "raw_corpus" and shard else None,
            source=result.source,
            decisions=dict(result.decisions),
            withdrawn=result.withdrawn,
        )

    def _arrival(self, context: dg.OutputContext, shard: str) -> int:
        """Return the position of a shard in order of arrival; a shard keeps its position."""
        previous = self._storage.footer("raw_corpus", shard)
        if previous is not None and previous.arrival is not None:
            return previous.arrival
        keys = context.step_context.instance.get_dynamic_partitions(str(shards.name))
        return list(keys).index(shard) + 1

    def _metadata(self, result: StepResult, footer: Footer, path: str) -> dict[str, Any]:
        """Return the metadata of a table in the order of the UI: rows, figures, technical entries.

        The UI shows entries as they come, those that the asset itself returns before these.
        """
        rows = result.rows
        count = "dagster/row_count" if footer.shard is None else "dagster/partition_row_count"
        return {
            **({"preview": preview(arranged(rows.head(PREVIEW_ROWS)))} if len(rows) else {}),
            count: len(rows),
            "rows_dropped": sum(footer.dropped.values()),
            "dropped_by_reason": dict(footer.dropped),
            **({"repaired_by_name": dict(result.repairs)} if result.repairs else {}),
            "file": dg.MetadataValue.path(path),
            **result.figures,
            # The UI hides it where it shows the asset as a whole; other programs look for it.
            "dagster/uri": dg.MetadataValue.path(path),
            "dagster/column_schema": _column_schema(footer.asset, rows),
            "dagster/column_lineage": self._column_lineage(footer),
        }

    def _column_lineage(self, footer: Footer) -> dg.TableColumnLineage:
        table = self._tables[footer.asset]
        assets = [upstream.asset for upstream in footer.upstream]
        contracts = {asset: self._tables[asset] for asset in assets}
        lineage: dict[str, list[dg.TableColumnDep]] = {}
        for column in table.schema:
            for asset, contract in contracts.items():
                source = contract.row_id if table.makes and column in table.parents else column
                if source in contract.schema:
                    dep = dg.TableColumnDep(asset_key=asset_key(asset), column_name=source)
                    lineage.setdefault(column, []).append(dep)
        return dg.TableColumnLineage(lineage)


def _column_schema(asset: str, rows: pl.DataFrame) -> dg.TableSchema:
    columns = [
        dg.TableColumn(name, str(kind), description=describe_column(asset, name))
        for name, kind in rows.schema.items()
    ]
    return dg.TableSchema(columns=columns)


def arranged(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows as a reader looks at them: the longest text first, ids last and cut short.

    Example:
        >>> rows = pl.DataFrame({"persona_id": ["8bf90af2e1b79d6d"], "hop": [1], "persona": ["A"]})
        >>> arranged(rows).to_dicts()
        [{'persona': 'A', 'hop': 1, 'persona_id': '8bf90af2'}]
    """
    ids = [name for name in rows.columns if name.endswith("_id")]
    words = rows.select(pl.col(pl.String).exclude(ids).str.len_chars().mean().fill_null(0))
    longest = max(words.columns, key=lambda name: float(words[name][0]), default=None)
    first = [] if longest is None else [longest]
    others = [name for name in rows.columns if name not in (*first, *ids)]
    short = [pl.col(name).str.slice(0, ID_CHARS) for name in ids]
    return rows.select(*first, *others, *short)


def preview(rows: pl.DataFrame) -> dg.MetadataValue:
    """Return rows as a table of plain text for the UI, each value on a line, long values cut."""
    records = [
        dg.TableRecord({name: _plain(value) for name, value in row.items()})
        for row in rows.iter_rows(named=True)
    ]
    schema = dg.TableSchema([dg.TableColumn(name, "string") for name in rows.columns])
    return dg.MetadataValue.table(records, schema=schema)


def _plain(value: object) -> str:
    """Return a value as plain text on a line, cut to PREVIEW_CHARS.

    Its spaces do not break: beside other columns a text would be a tower of single words.
    """
    text = "" if value is None else "\N{NO-BREAK SPACE}".join(str(value).split())
    return text if len(text) <= PREVIEW_CHARS else f"{text[:PREVIEW_CHARS]}..."
