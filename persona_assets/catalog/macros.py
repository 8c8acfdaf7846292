"""Macros of the catalog that follow rows: back to the text, forward to models, on to the hub.

A macro may read only existing views, so its SQL is composed from the existing assets.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from string import Template

from persona_assets.catalog import sql
from persona_assets.catalog.segments import CHILD, DROPPED, DUPLICATE, HELD, MADE, MEMBER
from persona_assets.tables import Table

_MACROS = Template("""
CREATE OR REPLACE MACRO trace(wanted) AS TABLE
WITH $ancestors, chain AS MATERIALIZED (
    SELECT * FROM ($steps) WHERE $too_long
    -- A row of two parents, and an ancestor by two ways, come once.
    QUALIFY row_number() OVER (PARTITION BY asset, row_id ORDER BY step, parent_id, shard) = 1
), contents AS ($contents)
SELECT chain.*, contents.content, m.prompt_versions, m.run_id
FROM chain
JOIN contents ON contents.asset = chain.asset AND contents.row_id = chain.row_id
    AND contents.shard IS NOT DISTINCT FROM chain.shard
JOIN materializations m ON m.asset = chain.asset AND m.shard IS NOT DISTINCT FROM chain.shard
ORDER BY chain.step, chain.asset, chain.row_id;

CREATE OR REPLACE MACRO affected_by(wanted) AS TABLE
WITH RECURSIVE $descendants, found AS MATERIALIZED (
    SELECT DISTINCT e.asset, e.shard, made.row_id, e.kind = $member AS is_member
    FROM made JOIN lineage_entries e ON e.key = md5_number_lower(made.row_id)
    WHERE e.kind IN ($made, $held, $duplicate, $member)
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
WITH RECURSIVE lexical AS MATERIALIZED (
    SELECT min(value) AS id FROM lineage_entries
    WHERE key = md5_number_lower(wanted) AND kind = $duplicate AND stage = 'lexical'
), semantic AS MATERIALIZED (
    SELECT DISTINCT e.value AS id FROM lineage_entries e
    JOIN (SELECT wanted::VARCHAR AS id UNION SELECT id FROM lexical) w
    ON e.key = md5_number_lower(w.id)
    WHERE e.kind = $duplicate AND e.stage = 'semantic'
), chain AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY min(step), row_id) - 1 AS step, row_id FROM (
        SELECT 0 AS step, wanted::VARCHAR AS row_id
        UNION ALL
        SELECT 1, id FROM lexical
        UNION ALL
        SELECT 2, id FROM semantic
    ) WHERE row_id IS NOT NULL GROUP BY row_id
), facts AS MATERIALIZED (
    SELECT DISTINCT chain.row_id, e.* EXCLUDE (key, stamp)
    FROM chain JOIN lineage_entries e ON e.key = md5_number_lower(chain.row_id)
), gone AS (
    SELECT row_id AS id, asset, shard, value AS reason FROM facts WHERE kind = $dropped
), repeated AS (
    SELECT row_id, asset, value AS survivor_id, similarity, stage,
        stage || '_duplicate' AS reason
    FROM facts WHERE kind = $duplicate
), fate AS (
    SELECT DISTINCT row_id, asset, shard, kind = $made OR value IS NULL AS is_kept,
        if(kind = $held, value, NULL) AS reason,
        NULL::VARCHAR AS stage, NULL::VARCHAR AS survivor_id, NULL::DOUBLE AS similarity
    FROM facts WHERE kind IN ($made, $held)
    UNION ALL
    SELECT coalesce(g.id, d.row_id), coalesce(g.asset, d.asset), g.shard, false,
        coalesce(g.reason, d.reason), d.stage, d.survivor_id, d.similarity
    FROM gone g FULL JOIN repeated d ON d.row_id = g.id AND d.reason = g.reason
), depth AS (
    SELECT DISTINCT asset, 0 AS depth FROM materializations
    UNION
    SELECT l.asset, depth.depth + 1
    FROM depth JOIN (SELECT DISTINCT asset, upstream_asset FROM lineage) l
    ON l.upstream_asset = depth.asset
    WHERE depth.depth < $longest
), place AS (
    SELECT asset, max(depth) AS place FROM depth GROUP BY asset
), words AS MATERIALIZED (
    SELECT w.row_id, w.text FROM ($words) w
    SEMI JOIN (SELECT row_id FROM chain UNION SELECT survivor_id FROM fate) wanted_words
    ON wanted_words.row_id = w.row_id
)
SELECT chain.step, f.row_id, f.asset, f.shard, if(f.is_kept, 'kept', 'dropped') AS outcome,
    f.reason, f.stage, f.survivor_id, f.similarity, own.text, survivor.text AS survivor_text
FROM chain JOIN fate f ON f.row_id = chain.row_id
LEFT JOIN place ON place.asset = f.asset
LEFT JOIN words own ON own.row_id = f.row_id
LEFT JOIN words survivor ON survivor.row_id = f.survivor_id
ORDER BY chain.step, place.place, f.asset, f.shard, f.is_kept DESC, f.reason;
""")

_NO_CONTENTS = sql.empty_query(asset="VARCHAR", shard="VARCHAR", row_id="VARCHAR", content="JSON")
_NO_WORDS = sql.empty_query(row_id="VARCHAR", text="VARCHAR")


def macros(tables: Mapping[str, Table], existing: Collection[str], depth: int) -> str:
    """Write the SQL that creates or replaces the macros.

    Args:
        tables: Contract of each table, by asset.
        existing: Assets that have a view.
        depth: Largest number of steps from a row to its farthest ancestor. DuckDB reads all of the
            index in each step of a recursion, and only a few row groups in a plain join.
    """
    # The schema tells an asset from a part of the query of the same name.
    contents = [
        f"SELECT {sql.literal(asset)}, v.shard, {_row_id('v', table)}, to_json(v) "
        f"FROM main.{sql.identifier(asset)} v "
        f"SEMI JOIN (FROM chain WHERE asset = {sql.literal(asset)}) c "
        f"ON c.row_id = {_row_id('v', table)}"
        for asset, table in tables.items()
        if asset in existing and table.makes
    ]
    words = [
        f"SELECT {sql.identifier(table.row_id)}, {sql.identifier(table.text)} "
        f"FROM main.{sql.identifier(asset)}"
        for asset, table in tables.items()
        if asset in existing and table.text and table.makes
    ]
    aggregates = {asset: table for asset, table in tables.items() if table.aggregates}
    return _MACROS.substitute(
        ancestors=_ancestors(depth),
        steps=" UNION ALL ".join(f"FROM step_{number}" for number in range(depth + 1)),
        too_long=_too_long(depth, f"step_from_{depth + 1}"),
        contents=" UNION ALL ".join([_NO_CONTENTS, *contents]),
        descendants=_descendants(depth),
        aggregates=_literals(aggregates),
        whole=_literals(asset for asset, table in aggregates.items() if not table.members),
        made=MADE,
        held=HELD,
        dropped=DROPPED,
        duplicate=DUPLICATE,
        member=MEMBER,
        longest=len(tables),
        words=" UNION ALL ".join([_NO_WORDS, *words]),
    )


def longest_chain(tables: Mapping[str, Table], edges: Collection[tuple[str, str]]) -> int:
    """Return the most links between a row and an ancestor.

    Args:
        tables: Contract of each table, by asset.
        edges: Pairs of an asset and an asset that is made from it.
    """
    sources = defaultdict[str, set[str]](set)
    for source, asset in edges:
        sources[asset].add(source)
    lengths: dict[str, int] = {}

    def length(asset: str) -> int:
        if asset not in lengths:
            lengths[asset] = 0  # An asset that is made from itself ends here.
            makes = asset in tables and tables[asset].makes
            lengths[asset] = max(map(length, sources[asset]), default=0) + makes
        return lengths[asset]

    return max(map(length, list(sources)), default=1)


def _ancestors(depth: int) -> str:
    parts = ["step_from_0 AS MATERIALIZED (SELECT wanted::VARCHAR AS row_id)"]
    for step in range(depth + 1):
        parts.append(
            f"step_{step} AS MATERIALIZED (SELECT DISTINCT {step} AS step, w.row_id, "
            "e.value AS parent_id, e.asset, e.shard "
            f"FROM step_from_{step} w JOIN lineage_entries e ON e.key = md5_number_lower(w.row_id) "
            f"WHERE e.kind = {MADE})"
        )
        parts.append(
            f"step_from_{step + 1} AS MATERIALIZED (SELECT DISTINCT parent_id AS row_id "
            f"FROM step_{step} WHERE parent_id IS NOT NULL)"
        )
    return ", ".join(parts)


def _too_long(depth: int, frontier: str) -> str:
    """Return a condition that fails where rows are left after the last step."""
    remedy = sql.literal(f"a chain of over {depth} links: use `persona-assets trace`, or Catalog")
    return f"CASE WHEN EXISTS (FROM {frontier}) THEN error({remedy}) ELSE true END"


def _descendants(depth: int) -> str:
    parts = [
        "made_0 AS MATERIALIZED (SELECT DISTINCT wanted::VARCHAR AS row_id FROM lineage_entries "
        f"WHERE key = md5_number_lower(wanted) AND kind = {MADE})"
    ]
    parts += [
        f"made_{step + 1} AS MATERIALIZED (SELECT DISTINCT e.value AS row_id FROM made_{step} w "
        f"JOIN lineage_entries e ON e.key = md5_number_lower(w.row_id) WHERE e.kind = {CHILD})"
        for step in range(depth + 1)
    ]
    union = " UNION ".join(f"FROM made_{step}" for step in range(depth + 1))
    union = f"SELECT * FROM ({union}) WHERE {_too_long(depth, f'made_{depth + 1}')}"
    return ", ".join([*parts, f"made AS MATERIALIZED ({union})"])


def _row_id(view: str, table: Table) -> str:
    return f"{view}.{sql.identifier(table.row_id)}::VARCHAR"


def _literals(names: Iterable[str]) -> str:
    """Write the names of assets as an SQL list.

    No asset has an empty name, which stands for an empty list: `NOT IN (NULL)` is never true.
    """
    return ", ".join(map(sql.literal, names)) or sql.literal("")
