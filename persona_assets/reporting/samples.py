"""Samples with their chain: the text, the personas and their relations, models, prices."""

import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import polars as pl

from persona_assets.catalog.catalog import Catalog, CatalogError
from persona_assets.languages import UNKNOWN, base_language
from persona_assets.number_format import format_money
from persona_assets.reporting.blocks import ChainStep, SampleCard, shorten
from persona_assets.reporting.facts import Facts
from persona_assets.steps.judging import JUDGEMENT
from persona_assets.tables import Table

SAMPLES = 3
"""Number of samples of a task."""

MOST_TEXT = 600
"""Number of characters of a text that a step shows."""

MOST_FIELD = 200
"""Number of characters of another column that a step shows."""

HIDDEN = {"shard", "completion_id", "language"}
"""Columns that a step shows elsewhere or not at all."""

UNKNOWN_PRICE = "unknown"

_ID, _COMPLETION = "sample_id", "completion_id"

Prices = Mapping[str, Decimal | None]
"""US dollars by completion; None for an unknown price."""


def sample_cards(facts: Facts, table: str) -> list[SampleCard]:
    """Draw samples of a task by the ids, which are hashes, and trace each back to its text.

    Args:
        facts: Facts of the project.
        table: Last table of the task.
    """
    ids = facts.rows(table, [_ID])
    if ids is None or facts.catalog is None:
        return []
    drawn = ids[_ID].sort().head(SAMPLES)
    rows = facts.rows(table, where=pl.col(_ID).is_in(drawn.to_list()))
    shown = [] if rows is None else rows.sort(_ID).to_dicts()
    chains = {row[_ID]: _chain(facts.catalog, row[_ID]) for row in shown}
    steps = [step for chain in chains.values() for step in chain]
    prices = _prices(facts, {key for step in steps if (key := step["content"].get(_COMPLETION))})
    contracts = {name: asset.table for name, asset in facts.assets.items()}
    return [_card(row, chains[row[_ID]], prices, contracts) for row in shown]


def _chain(catalog: Catalog, sample_id: str) -> list[dict[str, Any]]:
    """Return a sample and its ancestors with their content; none if no table made the sample."""
    try:
        chain = catalog.trace(sample_id).to_dicts()
    except CatalogError:
        # The table was replaced since, and the tables of this sample with it.
        return []
    return [{**step, "content": json.loads(step["content"])} for step in chain]


def _prices(facts: Facts, completions: Collection[str]) -> Prices:
    """Return the cost of completions, each where it was paid for."""
    rows = facts.query(
        "SELECT key, CASE WHEN count(cost_usd) = count(*) THEN sum(cost_usd) END AS usd "
        "FROM completions WHERE list_contains(?, key) AND NOT coalesce(reused, false) GROUP BY key",
        [list(completions)],
    )
    return {row["key"]: row["usd"] for row in rows}


def _card(
    row: Mapping[str, Any],
    chain: list[dict[str, Any]],
    prices: Prices,
    contracts: Mapping[str, Table],
) -> SampleCard:
    calls = {key for step in chain if (key := step["content"].get(_COMPLETION))}
    known = [prices.get(key) for key in calls]
    total = [price for price in known if price is not None]
    price = format_money(sum(total, Decimal(0))) if len(total) == len(known) else UNKNOWN_PRICE
    steps = [chain_step(step, prices, contracts[step["asset"]]) for step in chain]
    return SampleCard(row[_ID], _verdict(row), price, steps)


def _verdict(row: Mapping[str, Any]) -> str:
    """Return the verdict on a published sample in words."""
    repairs = row.get("repairs") or []
    parts = [f"repaired: {', '.join(repairs)}" if repairs else "as the model wrote it"]
    if JUDGEMENT in row:
        judgement = row[JUDGEMENT] or {}
        scores = [
            f"{name} {_shown(value)}"
            for name, value in judgement.items()
            if name not in ("model", _COMPLETION) and value is not None
        ]
        parts.append(f"judged: {', '.join(scores)}" if scores else "not drawn for the judge")
    return f"published, {'; '.join(parts)}"


def chain_step(
    step: Mapping[str, Any],
    prices: Prices,
    table: Table,
    most_text: int = MOST_TEXT,
    most_field: int = MOST_FIELD,
) -> ChainStep:
    """Describe a row of a chain.

    Args:
        step: Row of `trace`, its content as a mapping.
        prices: US dollars by completion.
        table: Contract of the row's table.
        most_text: Number of characters of its text.
        most_field: Number of characters of another column.
    """
    content: Mapping[str, Any] = step["content"]
    hidden = {*HIDDEN, table.row_id, table.text, *table.parents}
    fields = [
        (name, _shown(value, most_field))
        for name, value in content.items()
        if name not in hidden and value not in (None, "", [])
    ]
    language = content.get("language")
    key = content.get(_COMPLETION)
    price = prices.get(key) if key else None
    return ChainStep(
        asset=step["asset"],
        shard=step["shard"] or "",
        row_id=step["row_id"],
        text=shorten(str(content.get(table.text or "") or ""), most_text),
        language=None if not language or base_language(language) == UNKNOWN else language,
        fields=fields,
        price="" if not key else UNKNOWN_PRICE if price is None else format_money(price),
    )


def _shown(value: object, most: int = MOST_FIELD) -> str:
    """Return a value on a line of at most `most` characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return shorten(text, most)
