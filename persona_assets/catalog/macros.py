"""Macros of the catalog that follow rows: back to the text, forward to models, on to the hub.

A macro may read only existing views, so its SQL is composed from the existing assets.
"""

from collections.abc import Collection, Iterable, Mapping
from string import Template

from persona_assets.catalog import sql
from persona_assets.tables import Table

_MACROS = Template("""
CREATE OR REPLACE MACRO trace(wanted) AS TABLE
WITH RECURSIVE chain AS (
    SELECT 0 AS step, * FROM links WHERE row_id = wanted
    UNION ALL
    SELECT chain.step + 1, links.* FROM chain JOIN links ON links.row_id = chain.parent_id
)
SELECT chain.*, m.prompt_versions, m.run_id
FROM chain JOIN materializations m
ON m.asset = chain.asset AND m.shard IS NOT DISTINCT FROM chain.shard
-- A row of two parents, and an ancestor by two ways, come once.
QUALIFY row_number() OVER (PARTITION BY chain.asset, chain.row_id ORDER BY step, parent_id) = 1
ORDER BY step, chain.asset, chain.row_id;

CREATE OR REPLACE MACRO affected_by(wanted) AS TABLE
WITH RECURSIVE made AS (
    SELECT row_id FROM links WHERE row_id = wanted
    UNION
    SELECT links.row_id FROM made JOIN links ON links.parent_id = made.row_id
), found AS (
    SELECT held.* FROM held JOIN made ON made.row_id = held.row_id
), aggregate AS (
    SELECT l.asset, l.shard FROM lineage l JOIN found f
    ON l.upstream_asset = f.asset AND l.upstream_shard IS NOT DISTINCT FROM f.shard
    WHERE l.asset IN ($aggregates)
    UNION
    SELECT l.asset, l.shard FROM lineage l JOIN aggregate a
    ON l.upstream_asset = a.asset AND l.upstream_shard IS NOT DISTINCT FROM a.shard
    WHERE l.asset IN ($aggregates)
)
SELECT asset, shard, row_id FROM found
UNION
SELECT held.asset, held.shard, held.row_id FROM held JOIN aggregate a
ON held.asset = a.asset AND held.shard IS NOT DISTINCT FROM a.shard
ORDER BY ALL;

CREATE OR REPLACE MACRO why(wanted) AS TABLE
WITH RECURSIVE lexical AS (
    SELECT any_value(survivor_id) AS id FROM ($duplicates)
    WHERE stage = 'lexical' AND persona_id = wanted
), semantic AS (
    SELECT list(survivor_id) AS ids FROM ($duplicates) WHERE stage = 'semantic'
    AND (persona_id = wanted OR persona_id = (SELECT id FROM lexical))
), chain AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY min(step)) - 1 AS step, row_id FROM (
        SELECT 0 AS step, wanted::VARCHAR AS row_id
        UNION ALL
        SELECT 1, id FROM lexical
        UNION ALL
        SELECT 2, unnest(ids) FROM semantic
    ) WHERE row_id IS NOT NULL GROUP BY row_id
), gone AS (
    SELECT DISTINCT q.id, q.asset, q.shard, q.reason
    FROM quarantine q SEMI JOIN chain ON chain.row_id = q.id
), repeated AS (
    SELECT d.*, d.stage || '_duplicate' AS reason
    FROM ($duplicates) d SEMI JOIN chain ON chain.row_id = d.persona_id
), fate AS (
    SELECT DISTINCT h.row_id, h.asset, h.shard, r.reason IS NULL AS is_kept, r.reason,
        NULL::VARCHAR AS stage, NULL::VARCHAR AS survivor_id, NULL::DOUBLE AS similarity
    FROM held h SEMI JOIN chain ON chain.row_id = h.row_id
    LEFT JOIN ($rejected) r ON r.row_id = h.row_id AND r.asset = h.asset
    WHERE h.asset NOT IN ($duplicate_assets) AND h.asset NOT IN ($aggregates)
    UNION ALL
    SELECT coalesce(g.id, d.persona_id), coalesce(g.asset, d.asset), g.shard, false,
        coalesce(g.reason, d.reason), d.stage, d.survivor_id, d.similarity
    FROM gone g FULL JOIN repeated d ON d.persona_id = g.id AND d.reason = g.reason
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
    SELECT w.row_id, w.text FROM ($words) w SEMI JOIN chain ON chain.row_id = w.row_id
)
SELECT chain.step, f.row_id, f.asset, f.shard, if(f.is_kept, 'kept', 'dropped') AS outcome,
    f.reason, f.stage, f.survivor_id, f.similarity, own.text, survivor.text AS survivor_text
FROM chain JOIN fate f ON f.row_id = chain.row_id
LEFT JOIN place ON place.asset = f.asset
LEFT JOIN words own ON own.row_id = f.row_id
LEFT JOIN words survivor ON survivor.row_id = f.survivor_id
ORDER BY chain.step, place.place, f.asset, f.shard, f.is_kept DESC, f.reason;
""")

_NO_DUPLICATES = sql.empty_query(
    asset="VARCHAR",
    persona_id="VARCHAR",
    survivor_id="VARCHAR",
    similarity="DOUBLE",
    stage="VARCHAR",
)
_NO_VERDICTS = sql.empty_query(asset="VARCHAR", row_id="VARCHAR", reason="VARCHAR")
_NO_WORDS = sql.empty_query(row_id="VARCHAR", text="VARCHAR")


def macros(tables: Mapping[str, Table], existing: Collection[str]) -> str:
    """Write the SQL that creates or replaces the macros.

    Args:
        tables: Contract of each table, by asset.
        existing: Assets that have a view.
    """
    duplicates = [
        f"SELECT {sql.literal(asset)}, {sql.identifier(table.row_id)}, survivor_id, "
        f"similarity, stage FROM {sql.identifier(asset)}"
        for asset, table in tables.items()
        if asset in existing and table.duplicates
    ]
    verdicts = [
        f"SELECT {sql.literal(asset)}, {sql.identifier(table.row_id)}, reason "
        f"FROM {sql.identifier(asset)} WHERE NOT kept"
        for asset, table in tables.items()
        if asset in existing and table.verdicts
    ]
    words = [
        f"SELECT {sql.identifier(table.row_id)}, {sql.identifier(table.text)} "
        f"FROM {sql.identifier(asset)}"
        for asset, table in tables.items()
        if asset in existing and table.text
    ]
    return _MACROS.substitute(
        aggregates=_literals(asset for asset, table in tables.items() if table.aggregates),
        duplicates=" UNION ALL ".join([_NO_DUPLICATES, *duplicates]),
        duplicate_assets=_literals(asset for asset, table in tables.items() if table.duplicates),
        rejected=" UNION ALL ".join([_NO_VERDICTS, *verdicts]),
        longest=len(tables),
        words=" UNION ALL ".join([_NO_WORDS, *words]),
    )


def _literals(names: Iterable[str]) -> str:
    """Write the names of assets as an SQL list.

    No asset has an empty name, which stands for an empty list: `NOT IN (NULL)` is never true.
    """
    return ", ".join(map(sql.literal, names)) or sql.literal("")
