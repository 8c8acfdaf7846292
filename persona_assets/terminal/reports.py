"""Output of `plan` and `cost`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal

import polars as pl
from rich.markup import escape

from persona_assets.number_format import format_count, format_money, format_price, plural
from persona_assets.planning.cost import CapUsage
from persona_assets.planning.estimate import LEVEL
from persona_assets.planning.plan import Forecast, Plan
from persona_assets.settings import Settings
from persona_assets.terminal.figures import OUT, figure_table, format_duration, format_interval
from persona_assets.terminal.spending import describe_caps, describe_probes

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
    """Print calls, tokens and cost (see `cost.usage`), and the caps.

    Args:
        rows: Usage by name; the row of name None is the total.
        by: Head of the name column.
        caps: Caps with the amounts spent and held.
    """
    table = figure_table(by, *_COUNTS.values(), "US dollars", left=1)
    for row in rows.iter_rows(named=True):
        is_total = row["name"] is None
        table.add_row(
            "total" if is_total else escape(row["name"]),
            *(f"{row[name]:,}" for name in _COUNTS),
            format_price(row["cost_usd"], row["unpriced"]),
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
    table = figure_table("cap", "setting", "limit", "spent", "held", left=2)
    for cap in caps:
        amounts = (format_money(amount) for amount in (cap.limit, cap.spent, cap.held))
        table.add_row(escape(cap.scope), cap.setting, *amounts)
    OUT.print(table)
    OUT.print(
        "\nUS dollars. held: for calls in flight; what a process held when it died may have been "
        "billed and stays held.",
        soft_wrap=True,
    )


def print_plan(plan: Plan, settings: Settings, *, is_stale: bool = False) -> None:
    """Print the calls, tokens, cost and time of a run: estimates with intervals.

    Args:
        plan: Forecast.
        settings: Settings of the project.
        is_stale: True if tables have to be made, perhaps without a call.
    """
    if not plan.assets and is_stale:
        OUT.print(
            "stale tables are made again (persona-assets status), and no new call is foreseen; a "
            "duplicate that returns may need some",
            soft_wrap=True,
        )
        return
    if not plan.assets:
        OUT.print("everything is fresh: a run asks nothing")
        return
    heads = ("tables", "calls", "tokens in", "tokens out", "US dollars", "time", "at most calls")
    table = figure_table("asset", *heads, "pilot", left=1)
    for forecast in (*plan.assets, plan.total):
        table.add_row(
            forecast.asset,
            f"{forecast.tables:,}",
            format_interval(forecast.calls, format_count),
            format_interval(forecast.input_tokens, format_count),
            format_interval(forecast.output_tokens, format_count),
            _cost(forecast),
            format_interval(forecast.hours, format_duration) or ("batch" if forecast.batch else ""),
            "no limit" if forecast.most is None else f"{forecast.most:,}",
            "" if forecast is plan.total else _pilot(forecast),
            style="bold" if forecast is plan.total else "",
        )
    OUT.print(table)
    for note in _notes(plan, settings):
        OUT.print(f"\n{note}", soft_wrap=True, markup=False)


def print_plan_json(plan: Plan, notes: Sequence[str] = ()) -> None:
    """Print a plan as a JSON object.

    `level` is the confidence level of its intervals, `notes` tells new shards and unread files.
    """
    print(json.dumps({"level": LEVEL, "notes": list(notes), **asdict(plan)}, default=float))


def _notes(plan: Plan, settings: Settings) -> Iterator[str]:
    if plan.total.calls is not None:
        yield (
            f"Below an estimate: interval that holds the true value with a probability of "
            f"{100 * LEVEL:.0f} %, if the rest resembles the pilot. about: a single call, text or "
            "run shows no spread. Time: runs one after the other, at the pilot's pace."
        )
    if plan.total.batch:
        yield "batch: by way of the Batch API, up to 24 h a batch."
    if plan.total.prices:
        yield (
            f"The price of some models is unknown: set {', '.join(plan.total.prices)} (US dollars "
            "for a million tokens)."
        )
    elif any(forecast.at_least for forecast in plan.assets):
        yield "Some answers of the pilot do not report their tokens: their cost is left out."
    if probes := describe_probes(plan.probes):
        yield f"{probes}."
    if caps := describe_caps(settings):
        yield f"{caps[0].upper()}{caps[1:]}."
    outdated = [forecast.asset for forecast in plan.assets if forecast.pilot_outdated]
    if outdated:
        yield (
            f"The pilot of {', '.join(outdated)} is from before an edit of prompts or settings; "
            "persona-assets try shows what a task's new prompt gives and costs."
        )
    unknown = [forecast.asset for forecast in plan.assets if not forecast.pilot_tables]
    if unknown:
        yield (
            f"No pilot yet: {', '.join(unknown)}. Only their most calls are known, and the total "
            "leaves them out."
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
    text = format_interval(forecast.cost, lambda amount: format_money(Decimal(amount)))
    return f">= {text}" if forecast.at_least else text


def _pilot(forecast: Forecast) -> str:
    if not forecast.pilot_tables:
        return "none"
    earlier = ", earlier prompt" if forecast.pilot_outdated else ""
    if forecast.pilot_texts is None:
        return f"{plural(forecast.pilot_tables, 'table')}{earlier}"
    texts, tables = plural(forecast.pilot_texts, "text"), plural(forecast.pilot_tables, "shard")
    return f"{texts} of {tables}{earlier}"
