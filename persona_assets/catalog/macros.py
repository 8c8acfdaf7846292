"""Macros of the catalog that follow rows: back to the text, forward to models, on to the hub.

DuckDB plans a query anew each time, and opens files to do so. So a macro names the index once, in a
recursion, and each group of tables once, with the columns of their contracts.

A recursion over a semi-join reads only the row groups that can hold the ids of a step; over an
inner join it would read all of the index. So a first recursion collects all entries within reach,
and what is exact (stale entries, steps, ways) is computed from these few rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import Template
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.catalog import sql
from persona_assets.catalog.project_folder import ProjectFolder
from persona_assets.catalog.segments import (
    CHILD,
    DROPPED,
    DUPLICATE,
    HELD,
    MADE,
    MEMBER,
    PART_SHIFT,
    PARTS,
)
from persona_assets.storage.storage import SHARD_COLUMN
from persona_assets.tables import Table

if TYPE_CHECKING:
    import duckdb

_MACROS = Template("""
CREATE OR REPLACE MACRO trace(wanted) AS TABLE
WITH RECURSIVE $ancestors, step AS (
    SELECT 0 AS step, wanted::VARCHAR AS row_id
    UNION
    SELECT s.step + 1, f.value FROM step s JOIN fact f ON f.key = md5_number_lower(s.row_id)
    -- Rows in a circle, which no step makes, end here.
    WHERE f.value IS NOT NULL AND s.step < (SELECT count(*) FROM fact)
), chain AS MATERIALIZED (
    SELECT s.step, s.row_id, f.value AS parent_id, f.asset, f.shard, f.file
    FROM step s JOIN fact f ON f.key = md5_number_lower(s.row_id)
    -- A row of two parents, and an ancestor by two ways, come once.
    QUALIFY row_number() OVER (PARTITION BY asset, row_id ORDER BY step, parent_id, shard) = 1
), contents AS ($contents)
SELECT c.step, c.row_id, c.parent_id, c.asset, c.shard, t.content, m.prompt_versions, m.run_id
FROM chain c
JOIN contents t ON t.file = c.file AND t.row_id = c.row_id
JOIN materializations m ON m.asset = c.asset AND m.shard IS NOT DISTINCT FROM c.shard
ORDER BY c.step, c.asset, c.row_id;

CREATE OR REPLACE MACRO affected_by(wanted) AS TABLE
WITH RECURSIVE $descendants, made AS (
    SELECT wanted::VARCHAR AS row_id
    WHERE EXISTS (FROM fact WHERE key = md5_number_lower(wanted) AND kind = $made)
    UNION
    SELECT f.value FROM made JOIN fact f ON f.key = md5_number_lower(made.row_id)
    WHERE f.kind = $child
), found AS MATERIALIZED (
    SELECT DISTINCT f.asset, f.shard, made.row_id, f.kind = $member AS is_member
    FROM made JOIN fact f ON f.key = md5_number_lower(made.row_id)
    WHERE f.kind IN ($made, $held, $duplicate, $member)
), aggregate AS (
    SELECT asset, shard FROM found
    UNION
    SELECT l.asset, l.shard FROM lineage l JOIN aggregate a
    ON l.upstream_asset = a.asset AND l.upstream_shard IS NOT DISTINCT FROM a.shard
    WHERE l.asset IN ($whole)
)
SELECT asset, shard, row_id FROM found WHERE NOT is_member
UNION
SELECT asset, shard, NULL FROM aggregate WHERE asset IN ($aggregates)
ORDER BY ALL;

CREATE OR REPLACE MACRO why(wanted) AS TABLE
WITH RECURSIVE $survivors, pair AS MATERIALIZED (
    SELECT key, asset, value->>'survivor_id' AS survivor_id, value->>'stage' AS stage,
        (value->>'similarity')::DOUBLE AS similarity
    FROM fact WHERE kind = $duplicate
), lexical AS (
    SELECT min(survivor_id) AS id FROM pair
    WHERE key = md5_number_lower(wanted) AND stage = 'lexical'
), chain AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY min(step), row_id) - 1 AS step, row_id FROM (
        SELECT 0 AS step, wanted::VARCHAR AS row_id
        UNION ALL
        SELECT 1, id FROM lexical
        UNION ALL
        SELECT 2, pair.survivor_id
        FROM pair JOIN (SELECT wanted::VARCHAR AS id UNION SELECT id FROM lexical) w
        ON pair.key = md5_number_lower(w.id)
        WHERE pair.stage = 'semantic'
    ) WHERE row_id IS NOT NULL GROUP BY row_id
), gone AS (
    SELECT c.row_id AS id, f.asset, f.shard, f.value AS reason
    FROM chain c JOIN fact f ON f.key = md5_number_lower(c.row_id) WHERE f.kind = $dropped
), repeated AS (
    SELECT c.row_id, p.* EXCLUDE (key), p.stage || '_duplicate' AS reason
    FROM chain c JOIN pair p ON p.key = md5_number_lower(c.row_id)
), fate AS MATERIALIZED (
    SELECT DISTINCT c.row_id, f.asset, f.shard, f.kind = $made OR f.value IS NULL AS is_kept,
        if(f.kind = $held, f.value, NULL) AS reason,
        NULL::VARCHAR AS stage, NULL::VARCHAR AS survivor_id, NULL::DOUBLE AS similarity
    FROM chain c JOIN fact f ON f.key = md5_number_lower(c.row_id) WHERE f.kind IN ($made, $held)
    UNION ALL
    SELECT coalesce(g.id, d.row_id), coalesce(g.asset, d.asset), g.shard, false,
        coalesce(g.reason, d.reason), d.stage, d.survivor_id, d.similarity
    FROM gone g FULL JOIN repeated d ON d.row_id = g.id AND d.reason = g.reason
), worded AS (
    SELECT DISTINCT ids.row_id, f.asset, f.file
    FROM (SELECT row_id FROM chain UNION SELECT survivor_id FROM fate) ids
    JOIN fact f ON f.key = md5_number_lower(ids.row_id)
    WHERE f.kind = $made
), words AS MATERIALIZED (
    SELECT row_id, min(text) AS text FROM ($words) GROUP BY row_id
), upstream AS MATERIALIZED (
    SELECT DISTINCT asset, upstream_asset FROM lineage
), depth AS (
    SELECT DISTINCT asset, 0 AS depth FROM materializations
    UNION
    SELECT u.asset, depth.depth + 1 FROM depth JOIN upstream u ON u.upstream_asset = depth.asset
    WHERE depth.depth < $longest
), place AS (
    SELECT asset, max(depth) AS place FROM depth GROUP BY asset
)
SELECT chain.step, f.row_id, f.asset, f.shard, if(f.is_kept, 'kept', 'dropped') AS outcome,
    f.reason, f.stage, f.survivor_id, f.similarity, own.text, survivor.text AS survivor_text
FROM chain JOIN fate f ON f.row_id = chain.row_id
LEFT JOIN place p ON p.asset = f.asset
LEFT JOIN words own ON own.row_id = f.row_id
LEFT JOIN words survivor ON survivor.row_id = f.survivor_id
ORDER BY chain.step, p.place, f.asset, f.shard, f.is_kept DESC, f.reason;
""")

_NO_CONTENTS = sql.empty_query(file="VARCHAR", row_id="VARCHAR", content="JSON")
_NO_WORDS = sql.empty_query(row_id="VARCHAR", text="VARCHAR")


class Macros:
    """SQL that creates or replaces the macros.

    Args:
        tables: Contract of each table, by asset.
        existing: Files of each asset that has files, as SQL.
        folder: Folder of the project.
    """

    def __init__(
        self, tables: Mapping[str, Table], existing: Mapping[str, str], folder: ProjectFolder
    ) -> None:
        self._tables = tables
        self._makers = {
            asset: table for asset, table in tables.items() if table.makes and asset in existing
        }
        self._files = existing
        self._folder = folder

    def create(self, cursor: "duckdb.DuckDBPyConnection") -> None:
        """Create or replace the macros.

        Args:
            cursor: Cursor of the catalog.
        """
        aggregates = {asset: table for asset, table in self._tables.items() if table.aggregates}
        types = {asset: _sql_types(cursor, table) for asset, table in self._makers.items()}
        texts = {
            asset: {name: types[asset][name] for name in (table.row_id, str(table.text))}
            for asset, table in self._makers.items()
            if table.text
        }
        cursor.execute(
            _MACROS.substitute(
                ancestors=self._reach(MADE, "e.value", CHILD, HELD, DROPPED, DUPLICATE, MEMBER),
                descendants=self._reach(CHILD, "e.value", DROPPED),
                survivors=self._reach(DUPLICATE, "e.value->>'survivor_id'", CHILD, MEMBER),
                contents=" UNION ALL ".join([_NO_CONTENTS, *self._contents(types)]),
                words=" UNION ALL ".join([_NO_WORDS, *self._words(texts)]),
                aggregates=_literals(aggregates),
                whole=_literals(asset for asset, table in aggregates.items() if not table.members),
                made=MADE,
                child=CHILD,
                held=HELD,
                dropped=DROPPED,
                duplicate=DUPLICATE,
                member=MEMBER,
                longest=len(self._tables),
            )
        )

    def _reach(self, followed: int, neighbour: str, *left_out: int) -> str:
        """Return a table `fact` with the current entries of all rows within reach.

        Args:
            followed: Kind of the entries that lead to other rows.
            neighbour: Id of the other row, as SQL on such an entry.
            *left_out: Kinds of entries that are not in the table.
        """
        return f"""reach AS (
    SELECT md5_number_lower(wanted) AS next, NULL::UBIGINT AS key, NULL::UBIGINT AS stamp,
        NULL::UTINYINT AS kind, NULL::VARCHAR AS value
    WHERE {self._folder.is_here()}
    UNION
    SELECT CASE WHEN e.kind = {followed} THEN md5_number_lower({neighbour}) END, e.* EXCLUDE (part)
    FROM (
        SELECT key, stamp, kind, value, part
        FROM read_parquet({self._folder.glob("lineage/*/*.parquet")}, hive_partitioning = true,
            hive_types = {{'part': UTINYINT}})
        UNION ALL
        SELECT *, (key >> {PART_SHIFT})::UTINYINT FROM lineage_recent
    ) e
    -- DuckDB opens every file for a step without ids: so an id that is missing has no part.
    SEMI JOIN (
        SELECT coalesce(next, 0) AS next, coalesce(next >> {PART_SHIFT}, {PARTS})::UTINYINT AS part
        FROM reach
    ) r ON e.key = r.next AND e.part = r.part
    WHERE {" AND ".join(f"e.kind <> {kind}" for kind in left_out)}
), fact AS MATERIALIZED (
    SELECT DISTINCT r.key, r.kind, r.value, i.asset, i.shard,
        {self._folder.root()} || '/' || i.path AS file
    FROM reach r JOIN lineage_tables i ON i.stamp = r.stamp
)"""

    def _contents(self, types: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
        for assets in _groups(self._makers, types):
            cases = []
            for asset in assets:
                fields = [f"{sql.literal(SHARD_COLUMN)}: c.shard"]
                fields += [f"{sql.literal(it)}: t.{sql.identifier(it)}" for it in types[asset]]
                cases.append(f"WHEN {sql.literal(asset)} THEN to_json({{{', '.join(fields)}}})")
            yield (
                f"SELECT c.file, c.row_id, CASE c.asset {' '.join(cases)} END "
                f"FROM {self._rows(assets, types, 'chain')}"
            )

    def _words(self, types: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
        for assets in _groups(self._makers, types):
            cases = [
                f"WHEN {sql.literal(asset)} "
                f"THEN t.{sql.identifier(str(self._makers[asset].text))}::VARCHAR"
                for asset in assets
            ]
            yield (
                f"SELECT c.row_id, CASE c.asset {' '.join(cases)} END "
                f"FROM {self._rows(assets, types, 'worded')}"
            )

    def _rows(
        self, assets: Sequence[str], types: Mapping[str, Mapping[str, str]], wanted: str
    ) -> str:
        """Return the join of the wanted rows `c` of some assets and their rows `t` in the files."""
        row_id = self._makers[assets[0]].row_id
        columns = {name: kind for asset in assets for name, kind in types[asset].items()}
        # With a schema, DuckDB opens no file to plan the query, and a file may lack columns.
        fields = ", ".join(
            f"{sql.literal(name)}: {{name: {sql.literal(name)}, type: {sql.literal(kind)}, "
            "default_value: NULL}"
            for name, kind in {**columns, row_id: "VARCHAR"}.items()
        )
        files = ", ".join(self._files[asset] for asset in assets)
        # DuckDB takes a list for a single row: else it would read all files, to look up the wanted
        # rows in them, in place of the files of the wanted rows. It also opens files if no row is
        # wanted: so a row of another asset stands for none, in no file.
        file = f"if(asset IN ({_literals(assets)}), file, '')"
        return (
            f"read_parquet([{files}], filename = true, schema = MAP {{{fields}}}) t "
            f"JOIN (SELECT unnest(list(w), recursive := true) FROM "
            f"(SELECT * REPLACE ({file} AS file) FROM {wanted}) w) c "
            f"ON t.filename = c.file AND t.{sql.identifier(row_id)} = c.row_id"
        )


def _sql_types(cursor: "duckdb.DuckDBPyConnection", table: Table) -> Mapping[str, str]:
    """Return the type of each column of a contract, in SQL."""
    empty = cursor.from_arrow(pl.DataFrame(schema=table.schema).to_arrow())
    return dict(zip(empty.columns, map(str, empty.types), strict=True))


def _groups(
    tables: Mapping[str, Table], types: Mapping[str, Mapping[str, str]]
) -> Iterable[list[str]]:
    """Group assets with the same column for ids, and no column of two types."""
    groups: list[tuple[str, dict[str, tuple[str, str]], list[str]]] = []
    for asset, columns in types.items():
        row_id = tables[asset].row_id
        # The names of columns in DuckDB have no case.
        own = {name.lower(): (name, kind) for name, kind in columns.items()}
        for of, shared, assets in groups:
            if of == row_id and all(shared.get(it, own[it]) == own[it] for it in own):
                shared.update(own)
                assets.append(asset)
                break
        else:
            groups.append((row_id, own, [asset]))
    return [assets for _, _, assets in groups]


def _literals(names: Iterable[str]) -> str:
    """Write the names of assets as an SQL list.

    No asset has an empty name, which stands for an empty list: `NOT IN (NULL)` is never true.
    """
    return ", ".join(map(sql.literal, names)) or sql.literal("")
