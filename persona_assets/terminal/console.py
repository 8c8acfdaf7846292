"""Output of `run`, `status` and `trace`: progress, and tables at the end."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import polars as pl
from rich.markup import escape

from persona_assets.number_format import format_price, plural
from persona_assets.orchestration.runner import Finished, Fresh, Runner
from persona_assets.orchestration.staleness import Stale
from persona_assets.planning.probe_forecast import ProbeForecast
from persona_assets.planning.trial import Trial
from persona_assets.project import Project
from persona_assets.resources.models import Models
from persona_assets.settings import Settings
from persona_assets.terminal.figures import OUT, figure_table
from persona_assets.terminal.progress import progress_display
from persona_assets.terminal.row_lines import RowLines
from persona_assets.terminal.spending import describe_caps, describe_probes

_MOST_TABLES = 200
"""Number of tables up to which all tables are listed."""

_TEXT = 100
"""Characters of a text that a line shows."""


@dataclass
class RunSummary:
    """Summary of the runs of a command: seconds by (asset, partition), run ids, error messages."""

    seconds: dict[tuple[str, str | None], float] = field(default_factory=dict)
    run_ids: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def add(self, run: Finished) -> None:
        """Add a finished run."""
        self.run_ids.append(run.run_id)
        for asset in run.work.reasons:
            if asset in run.seconds:
                self.seconds[asset, run.work.partition] = run.seconds[asset]
        if run.error:
            where = f" ({run.work.partition})" if run.work.partition else ""
            self.errors.append(f"run {run.run_id}{where} failed: {run.error}")


def run_with_progress(runner: Runner, models: Models, rows: RowLines) -> RunSummary:
    """Run all stale tables and show the progress and rows; errors are printed at once."""
    summary = RunSummary()
    with progress_display(runner.size()) as progress:
        current = ""
        rows.print_line = progress.print_line

        def show_status(message: str = "") -> None:
            progress.show_status(f"{current} {message}".strip())

        models.report = show_status
        models.show_answer = rows.show_answer
        for event in runner.run():
            if isinstance(event, Fresh):
                progress.advance(event.tables)
            elif isinstance(event, Stale):
                current = _label(event)
                show_status()
            else:
                summary.add(event)
                progress.advance(len(event.work.reasons))
                if event.error:
                    progress.print_line(summary.errors[-1])
        current = ""
        show_status()
    return summary


def print_notes(notes: Iterable[str]) -> None:
    """Print notes on the corpus or the settings, a line each."""
    for note in notes:
        OUT.print(note, soft_wrap=True, markup=False)


def print_forecast(
    calls: Mapping[str, int | None], shards: int, settings: Settings, probes: ProbeForecast
) -> None:
    """Print the largest number of model calls of a run, its probes, and the caps on their cost.

    Args:
        calls: Most calls by asset; None without a limit.
        shards: Number of shards.
        settings: Settings that hold the caps.
        probes: Probes that come first.
    """
    if None in calls.values():
        unbounded = ", ".join(asset for asset, most in calls.items() if most is None)
        known = (
            f"the settings set no limit on the model calls of {unbounded} (persona-assets plan "
            "forecasts them)"
        )
    else:
        most = sum(count or 0 for count in calls.values())
        known = f"at most {most:,} model calls, less those answered before"
    caps = describe_caps(settings) if any(most != 0 for most in calls.values()) else ""
    parts = [part for part in (known, describe_probes(probes), caps) if part]
    OUT.print(f"{plural(shards, 'shard')}: {'; '.join(parts)}", soft_wrap=True)


def print_tables(project: Project, summary: RunSummary, usage: pl.DataFrame) -> None:
    """Print the tables of a project: rows, total calls and tokens, and the seconds of this run.

    If the project has more than `_MOST_TABLES` tables, only the tables of this run are printed.

    Args:
        summary: Summary of this run; an asset without seconds is fresh.
        usage: Calls, tokens and cost by asset and shard, from the journals.
    """
    used = {(row["asset"], row["shard"]): row for row in usage.iter_rows(named=True)}
    table = figure_table("asset", "shard", "rows", "calls", "tokens", "seconds", left=2)
    table.add_column("dropped by reason")
    footers = [footer for _, footer in project.storage.footers()]
    for footer in footers:
        key = (footer.asset, footer.shard)
        paid: dict[str, Any] = used.get(key, {})
        seconds = summary.seconds.get(key)
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
        f"{usage['new_calls'].sum()}; {len(summary.run_ids)} runs in "
        f"{sum(summary.seconds.values()):.0f} s of asset time."
    )
    unpriced = int(usage["unpriced"].sum())
    total = format_price(_known_sum(usage["cost_usd"]), unpriced)
    new_unpriced = unpriced if usage["new_calls"].sum() else 0
    new = format_price(_known_sum(usage["new_cost_usd"]), new_unpriced)
    OUT.print(f"US dollars: {total} so far, of which this run {new}.")
    folder = project.settings.data_dir
    OUT.print(
        f"\nRows: {folder}/tables. Dropped rows: {folder}/quarantine. Both in SQL: "
        f"{folder}/catalog.duckdb.\nNext: persona-assets ui; persona-assets trace ID, with an id "
        "from the first column of any table.",
        soft_wrap=True,
    )


def print_status(runner: Runner) -> None:
    """Print each missing or stale table with the reason, but no later phases that depend on it."""
    is_fresh = True
    for phase in runner.phases():
        for work in runner.stale(phase):
            is_fresh = False
            for asset, reason in work.reasons.items():
                OUT.print(escape(f"{asset} {work.partition or ''}: {reason}"))
    if is_fresh:
        OUT.print("everything is fresh")


def print_trial(trial: Trial) -> None:
    """Print the rows of a trial: request, fields or reason of the drop, and what they cost."""
    for number, made in enumerate(trial.rows, start=1):
        OUT.print(f"[bold]row {number}[/bold] of {escape(made.shard)}")
        for message in made.messages:
            _print_field(message["role"], message["content"])
        if made.row is None:
            _print_field("dropped", made.reason)
        for name, value in (made.row or {}).items():
            if value is not None:
                _print_field(name, value)
        OUT.print()
    kept = sum(made.row is not None for made in trial.rows)
    usage, probes = trial.usage, trial.probes
    OUT.print(
        f"{plural(len(trial.rows), 'row')}, {kept} kept, {len(trial.rows) - kept} dropped; "
        f"{plural(usage.calls, 'call')}, {usage.replayed} replayed, "
        f"{plural(probes.calls, 'probe call')}, US dollars: "
        f"{format_price(trial.cost, usage.unpriced + probes.unpriced)}. A run of the "
        "task asks for the rest.",
        soft_wrap=True,
    )


def print_trace(chain: pl.DataFrame) -> None:
    """Print a row and its ancestors, nearest first, with their prompts and runs."""
    for row in chain.iter_rows(named=True):
        content: dict[str, Any] = json.loads(row["content"])
        shown = {k: v for k, v in content.items() if k != "shard" and v is not None}
        shown |= {"prompts": row["prompt_versions"], "run": row["run_id"]}
        OUT.print(
            f"[bold]{escape(row['asset'])}[/bold] {escape(row['shard'] or '')} {row['row_id']}"
        )
        for name, value in shown.items():
            text = str(value).replace("\n", " ")
            _print_field(name, text if len(text) <= _TEXT else f"{text[:_TEXT]}...")


def _print_field(name: str, value: object) -> None:
    text = str(value).replace("\n", "\n        ")
    OUT.print(f"    {name}: {text}", markup=False, soft_wrap=True)


def _label(work: Stale) -> str:
    names = list(work.reasons)
    span = names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"
    return f"{span} {work.partition or ''}"


def _known_sum(amounts: pl.Series) -> Decimal | None:
    known = amounts.drop_nulls()
    return None if known.is_empty() else sum(known, Decimal(0))
