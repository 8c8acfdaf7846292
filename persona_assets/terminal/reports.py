"""What `plan` and `cost` print."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal

import polars as pl
from rich.markup import escape

from persona_assets.planning.cost import CapUsage
from persona_assets.planning.estimate import LEVEL
from persona_assets.planning.plan import Forecast, Plan
from persona_assets.settings import Settings
from persona_assets.terminal.figures import (
    OUT,
    between,
    columns,
    count,
    duration,
    money,
    plural,
    price,
)

_COUNTS = {
    "calls": "calls",
    "failed": "failed",
    "uncertain": "uncertain",
    "input_tokens": "input",
    "cached_tokens": "cached",
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
    "unpriced": "unknown price",
}


def print_cost(rows: pl.DataFrame, by: str, caps: Sequence[CapUsage]) -> None:
    """What was asked and what it cost (see cost.usage), and the caps."""
    table = columns(by, *_COUNTS.values(), "US dollars", left=1)
    for row in rows.iter_rows(named=True):
        is_total = row["name"] is None
        table.add_row(
            "total" if is_total else escape(row["name"]),
            *(f"{row[name]:,}" for name in _COUNTS),
            price(row["cost_usd"], row["unpriced"]),
            style="bold" if is_total else "",
        )
    OUT.print(table)
    if rows["uncertain"].sum():
        OUT.print(
            "\nuncertain: attempts that may have been billed although no answer came; they are not "
            "in the dollars.",
            soft_wrap=True,
        )
    if not caps:
        return
    OUT.print()
    table = columns("cap", "setting", "limit", "spent", "held", left=2)
    for cap in caps:
        figures = (money(it) for it in (cap.limit, cap.spent, cap.held))
        table.add_row(escape(cap.scope), cap.setting, *figures)
    OUT.print(table)
    OUT.print(
        "\nUS dollars. held: for calls in flight; what a process held when it died may have been "
        "billed and stays held.",
        soft_wrap=True,
    )


def print_plan(made: Plan, settings: Settings) -> None:
    """What a run would ask and cost: estimates, each with its interval below it."""
    if not made.assets:
        OUT.print("everything is fresh: a run asks nothing")
        return
    heads = ("tables", "calls", "tokens in", "tokens out", "US dollars", "time", "at most calls")
    table = columns("asset", *heads, "pilot", left=1)
    for it in (*made.assets, made.total):
        table.add_row(
            it.asset,
            f"{it.tables:,}",
            between(it.calls, count),
            between(it.input_tokens, count),
            between(it.output_tokens, count),
            _cost(it),
            between(it.hours, duration) or ("batch" if it.batch else ""),
            "no limit" if it.most is None else f"{it.most:,}",
            "" if it is made.total else _pilot(it),
            style="bold" if it is made.total else "",
        )
    OUT.print(table)
    for note in _notes(made, settings):
        OUT.print(f"\n{note}", soft_wrap=True, markup=False)


def print_plan_json(plan: Plan) -> None:
    """The plan as one JSON object; `level` is that of its intervals."""
    print(json.dumps({"level": LEVEL, **asdict(plan)}))


def _notes(plan: Plan, settings: Settings) -> Iterator[str]:
    if plan.total.calls is not None:
        yield (
            f"Below an estimate: where the truth lies with a probability of {100 * LEVEL:.0f} %, "
            "if what is to come is like the pilot. about: a single call, text or run tells nothing "
            "of the spread. Time: runs one after the other, at the pilot's pace."
        )
    if plan.total.batch:
        yield "batch: by way of the Batch API, up to 24 h a batch."
    if plan.total.prices:
        yield (
            f"Nobody knows the price of some models: set {', '.join(plan.total.prices)} (US "
            "dollars for a million tokens)."
        )
    elif any(it.at_least for it in plan.assets):
        yield "Some answers of the pilot do not say their tokens: their cost is left out."
    every = "for all runs of a command"
    budgets = {"a run": settings.run_budget, every: settings.backfill_budget}
    if caps := [f"{money(cap)} {what}" for what, cap in budgets.items() if cap is not None]:
        yield f"Capped, in US dollars, at {' and '.join(caps)}."
    lacking = [it.asset for it in plan.assets if not it.pilot_tables]
    if lacking:
        yield (
            f"No pilot yet: {', '.join(lacking)}. Nothing is known of them but the most calls, and "
            "the total leaves them out."
        )
    if plan.next and plan.next.after:
        yield (
            f"For {', '.join(plan.next.assets)} every shard has to come first, since "
            f"{', '.join(plan.next.after)} are made of all:\n    {plan.next.command}"
        )
    elif plan.next:
        yield (
            "One shard as a pilot; its answers are real and are never paid for again. Then plan "
            f"again:\n    {plan.next.command}"
        )


def _cost(forecast: Forecast) -> str:
    if forecast.cost is None:
        return "unknown" if forecast.pilot_tables and forecast.at_least else ""
    text = between(forecast.cost, lambda amount: money(Decimal(amount)))
    return f">= {text}" if forecast.at_least else text


def _pilot(forecast: Forecast) -> str:
    if not forecast.pilot_tables:
        return "none"
    if forecast.pilot_texts is None:
        return plural(forecast.pilot_tables, "table")
    return f"{plural(forecast.pilot_texts, 'text')} of {plural(forecast.pilot_tables, 'shard')}"
