"""Sections on counts: the project at a glance, rows per step, yields per hop."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

import polars as pl

from persona_assets.assets.groups import GROUPS
from persona_assets.assets.judged import finished_samples
from persona_assets.assets.personas import HOPS
from persona_assets.number_format import format_percent, format_price
from persona_assets.plots.bars import draw_bars
from persona_assets.reporting.blocks import Block, Drawing, Section, build_table
from persona_assets.reporting.facts import Facts
from persona_assets.steps.grading import accuracy

MOST_REASONS = 8
"""Number of reasons that a row lists."""

SURVIVORS = {
    "persona_candidates": "pass the rules",
    "lexical_survivors": "differ by words",
    "persona_hub": "in the hub",
}
"""Tables that keep some personas of each hop, with the heads of their columns."""


def glance_section(facts: Facts) -> Section:
    """Write the numbers of the project as a whole."""
    settings, condition = facts.project.settings, facts.condition
    tasks = facts.project.prompts.tasks
    last = [finished_samples(facts.project.prompts, settings.tasks, name) for name in tasks]
    published = [count for name in last if (count := facts.count(name)) is not None]
    total = next((row for row in facts.usage("model") if row["name"] is None), None)
    open_failures = sum(
        (failure.asset, failure.partition) in condition.stale for failure in condition.failures
    )
    rows = [
        ("shards of the corpus", condition.shards),
        ("texts", facts.count("raw_corpus")),
        ("personas in the hub", facts.count("persona_hub")),
        ("samples of all tasks", sum(published) if published else None),
        ("tables", sum(map(len, facts.footers.values()))),
        ("model calls", total["calls"] if total else 0),
        ("US dollars", format_price(total["cost_usd"], total["unpriced"]) if total else "0"),
        ("missing or stale tables", len(condition.stale)),
        ("failures that still stand", open_failures),
    ]
    shown = [(name, "none yet" if value is None else value) for name, value in rows]
    return Section("glance", "At a glance", [build_table("The project", ("what", "n"), shown)])


def steps_section(facts: Facts) -> Section:
    """Write rows and drops by reason of each asset, inputs first."""
    if not facts.provenance.tables:
        return Section("steps", "Counts per step", ["No table yet: nothing was run."])
    groups = {name: asset.spec.group_name or "" for name, asset in facts.assets.items()}
    tables = sorted(facts.provenance.tables, key=lambda table: _place(groups.get(table.asset)))
    rows = [
        (
            table.asset,
            groups.get(table.asset, "no longer in the project"),
            len(facts.footers[table.asset]),
            table.rows,
            sum(table.dropped.values()),
            _reasons(table.dropped),
        )
        for table in tables
    ]
    heads = ("step", "group", "tables", "rows", "dropped", "dropped by reason")
    return Section(
        "steps",
        "Counts per step",
        [
            "Rows of all shards, in the order of the work. Dropped "
            "rows stay in the quarantine, each with its reason.",
            build_table("Rows per step", heads, rows, "group", heads[-1]),
        ],
    )


def hops_section(facts: Facts) -> Section:
    """Write the personas of each hop from the model's answers to the hub."""
    title = "Yields per hop"
    made = _by_hop(facts, "persona_candidates")
    if made is None:
        return Section("hops", title, ["No personas yet: persona_candidates has no table."])
    kept = {name: _by_hop(facts, name) for name in SURVIVORS}
    kept["persona_candidates"] = _by_hop(facts, "persona_candidates", only_kept=True)
    in_hub = kept["persona_hub"]
    usage = {row["name"]: row for row in facts.usage("asset")}
    rows: list[tuple[object, ...]] = []
    for hop, asset in enumerate(["text_personas", *HOPS]):
        if asset not in facts.footers:
            continue
        # A hub that is older than the candidates may hold more of them than there are now.
        is_counted = in_hub is not None and in_hub[hop] <= made[hop]
        personas = in_hub[hop] if in_hub is not None else None
        share = accuracy(personas or 0, made[hop]) if is_counted else None
        paid = usage.get(asset, {})
        rows.append(
            (
                f"{hop} ({'texts' if hop == 0 else 'personas'} to personas)",
                sum(footer.rows for footer in facts.footers[asset]),
                *(None if counts is None else counts[hop] for counts in kept.values()),
                format_percent(share.accuracy, share.low, share.high) if share else None,
                paid.get("calls", 0),
                _price_each(paid.get("cost_usd"), paid.get("unpriced", 0), personas),
            )
        )
    heads = (
        "hop",
        "personas",
        *SURVIVORS.values(),
        "share in the hub",
        "calls",
        "US dollars per persona of the hub",
    )
    blocks: list[Block] = [
        "Hop 0 asks who reads, writes, likes or dislikes a text; each further hop asks who is "
        "close to the personas before. Shares have 95 % intervals (Wilson). A price per persona "
        "counts the calls of its own hop alone.",
        build_table("Personas per hop", heads, rows),
    ]
    if in_hub is not None:
        bars = {f"hop {hop}": float(in_hub[hop]) for hop in sorted(in_hub)}
        picture = draw_bars(bars, "Personas of the hub by hop", "hop", "personas")
        alt = "Bar chart of the personas in the hub by hop; the table above has the numbers."
        blocks.append(Drawing("hops", alt, "Personas of the hub by hop.", picture))
    return Section("hops", title, blocks)


def _place(group: str | None) -> int:
    order = list(GROUPS)
    return order.index(group) if group in GROUPS else len(order)


def _by_hop(facts: Facts, asset: str, only_kept: bool = False) -> Counter[int] | None:
    rows = facts.rows(asset, ["hop", "kept"] if only_kept else ["hop"])
    if rows is None:
        return None
    found = rows.filter(pl.col("kept")) if only_kept else rows
    return Counter(found["hop"].drop_nulls().to_list())


def _price_each(cost: Decimal | None, unpriced: int, personas: int | None) -> str | None:
    return format_price(cost / personas if cost else cost, unpriced) if personas else None


def _reasons(dropped: Mapping[str, int]) -> str:
    shown = [f"{reason} {count:,}" for reason, count in list(dropped.items())[:MOST_REASONS]]
    more = len(dropped) - len(shown)
    return ", ".join([*shown, *([f"{more} more reasons"] if more else [])])
