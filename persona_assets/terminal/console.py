"""What the commands print: how far they are while they run, and tables when they are done."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import polars as pl
from rich.markup import escape

from persona_assets.orchestration.runner import Finished, Fresh, Runner
from persona_assets.orchestration.staleness import Stale
from persona_assets.project import Project
from persona_assets.resources.models import Models
from persona_assets.settings import Settings
from persona_assets.terminal.figures import OUT, columns, money, plural, price
from persona_assets.terminal.progress import progressing

_MOST_TABLES = 200
_TEXT = 100
"""Characters of a text that a line shows."""


@dataclass
class RunSummary:
    """What a run did: seconds by (asset, partition), the ids of its runs, and their errors."""

    seconds: dict[tuple[str, str | None], float] = field(default_factory=dict)
    run_ids: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def note(self, run: Finished) -> None:
        """Adds one run."""
        self.run_ids.append(run.run_id)
        for asset in run.work.reasons:
            if asset in run.seconds:
                self.seconds[asset, run.work.partition] = run.seconds[asset]
        if run.error:
            where = f" ({run.work.partition})" if run.work.partition else ""
            self.errors.append(f"run {run.run_id}{where} failed: {run.error}")


def run_with_progress(runner: Runner, models: Models) -> RunSummary:
    """Runs everything that is stale and shows how far it is; errors are printed as they happen."""
    ledger = RunSummary()
    with progressing(runner.size()) as progress:
        doing = ""

        def tell(message: str = "") -> None:
            progress.tell(f"{doing} {message}".strip())

        models.report = tell
        for event in runner.run():
            if isinstance(event, Fresh):
                progress.advance(event.tables)
            elif isinstance(event, Stale):
                doing = _named(event)
                tell()
            else:
                ledger.note(event)
                progress.advance(len(event.work.reasons))
                if event.error:
                    progress.say(ledger.errors[-1])
        doing = ""
        tell()
    return ledger


def print_forecast(calls: Mapping[str, int | None], shards: int, settings: Settings) -> None:
    """The most model calls by asset that so many shards take, and what caps their cost."""
    if None in calls.values():
        unbounded = ", ".join(asset for asset, most in calls.items() if most is None)
        known = (
            f"the settings set no limit on the model calls of {unbounded} (persona-assets plan "
            "forecasts them)"
        )
    else:
        most = sum(count or 0 for count in calls.values())
        known = f"at most {most:,} model calls, less those answered before"
    budgets = [
        f"{money(budget)} US dollars {what}"
        for budget, what in (
            (settings.run_budget, "a run"),
            (settings.backfill_budget, "for all runs of a command"),
        )
        if budget is not None
    ]
    cap = f"; capped at {' and '.join(budgets)}" if budgets else ""
    OUT.print(f"{plural(shards, 'shard')}: {known}{cap}", soft_wrap=True)


def print_tables(project: Project, ledger: RunSummary, usage: pl.DataFrame) -> None:
    """The tables of a project: rows, calls and tokens in all, and the seconds of this run.

    `usage` has asset, shard, calls and tokens, as the journals add them up. Of more than
    `_MOST_TABLES` only those are listed that this run made.
    """
    used = {(row["asset"], row["shard"]): row for row in usage.iter_rows(named=True)}
    table = columns("asset", "shard", "rows", "calls", "tokens", "seconds", left=2)
    table.add_column("dropped by reason")
    footers = [footer for _, footer in project.storage.footers()]
    for footer in footers:
        key = (footer.asset, footer.shard)
        paid: dict[str, Any] = used.get(key, {})
        seconds = ledger.seconds.get(key)
        if seconds is None and len(footers) > _MOST_TABLES:
            continue
        table.add_row(
            footer.asset,
            escape(footer.shard or ""),
            str(footer.rows),
            str(paid.get("calls", "")),
            str(paid.get("tokens", "")),
            "fresh" if seconds is None else f"{seconds:.1f}",
            escape(", ".join(f"{reason} {count}" for reason, count in footer.dropped.items())),
        )
    OUT.print(table)
    OUT.print(
        f"\n{len(footers)} tables, {sum(f.rows for f in footers)} rows, "
        f"{usage['calls'].sum()} calls so far, of which this run made "
        f"{usage['new_calls'].sum()}; {len(ledger.run_ids)} runs in "
        f"{sum(ledger.seconds.values()):.0f} s of asset time."
    )
    unpriced = int(usage["unpriced"].sum())
    in_all = price(_known(usage["cost_usd"]), unpriced)
    new = price(_known(usage["new_cost_usd"]), unpriced if usage["new_calls"].sum() else 0)
    OUT.print(f"US dollars: {in_all} so far, of which this run {new}.")
    folder = project.settings.data_dir
    OUT.print(
        f"\nRows: {folder}/tables. What was dropped: {folder}/quarantine. All of it in SQL: "
        f"{folder}/catalog.duckdb.\nNext: persona-assets ui; persona-assets trace ID, with an id "
        "from the first column of any table.",
        soft_wrap=True,
    )


def print_status(runner: Runner) -> None:
    """What is missing or stale now, with the reason; what follows from it is not listed."""
    found = False
    for phase in runner.phases():
        for work in runner.stale(phase):
            found = True
            for asset, reason in work.reasons.items():
                OUT.print(escape(f"{asset} {work.partition or ''}: {reason}"))
    if not found:
        OUT.print("everything is fresh")


def print_trace(chain: pl.DataFrame) -> None:
    """A row and its ancestors, nearest first, each with what made it."""
    for row in chain.iter_rows(named=True):
        content: dict[str, Any] = json.loads(row["content"])
        shown = {k: v for k, v in content.items() if k != "shard" and v is not None}
        shown |= {"prompts": row["prompt_versions"], "run": row["run_id"]}
        OUT.print(
            f"[bold]{escape(row['asset'])}[/bold] {escape(row['shard'] or '')} {row['row_id']}"
        )
        for name, value in shown.items():
            text = str(value).replace("\n", " ")
            OUT.print(escape(f"    {name}: {text if len(text) <= _TEXT else text[:_TEXT] + '...'}"))


def _named(work: Stale) -> str:
    names = list(work.reasons)
    span = names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"
    return f"{span} {work.partition or ''}"


def _known(amounts: pl.Series) -> Decimal | None:
    known = amounts.drop_nulls()
    return None if known.is_empty() else sum(known, Decimal(0))
