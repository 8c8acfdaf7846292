"""Section on tasks: what passes of each, why the rest is dropped, and samples."""

import polars as pl

from persona_assets.assets.judged import finished_samples
from persona_assets.number_format import plural
from persona_assets.reporting.blocks import Block, Section, build_table, shorten
from persona_assets.reporting.facts import Facts
from persona_assets.reporting.samples import sample_cards
from persona_assets.steps import task_report

MOST_TASKS = 40
"""Number of tasks that have figures and samples; all others are in the first table alone."""

DROPPED = 3
"""Number of dropped samples shown."""


def tasks_section(facts: Facts) -> Section:
    """Write a table of all tasks, and figures and samples of each."""
    tasks = facts.project.settings.tasks
    names = sorted(facts.project.prompts.tasks)
    last = {name: finished_samples(facts.project.prompts, tasks, name) for name in names}
    made = [name for name in names if name in facts.footers or last[name] in facts.footers]
    if not made:
        return Section("tasks", "Tasks", ["No task has a table yet."])
    reports = {name: _report(facts, name) for name in made}
    rows = [(name, facts.count(last[name]), _verdict(reports[name])) for name in made]
    heads = ("task", "published samples", "verdict")
    blocks: list[Block] = [
        "A sample is published if it passes the rules, is no near-duplicate of an earlier one, and "
        "is accepted by the judge where the task has one. Shares have 95 % intervals.",
        build_table("All tasks", heads, rows, heads[-1]),
    ]
    if missing := [name for name in names if name not in made]:
        blocks.append(f"Without a table: {', '.join(missing)}.")
    for name in made[:MOST_TASKS]:
        blocks.append(
            Section(
                f"task-{name}",
                name,
                [*_figures(reports[name]), *sample_cards(facts, last[name])],
            )
        )
    if len(made) > MOST_TASKS:
        blocks.append(f"{plural(len(made) - MOST_TASKS, 'more task')} in the table above alone.")
    return Section("tasks", "Tasks", blocks)


def _report(facts: Facts, task: str) -> pl.DataFrame | None:
    found = facts.rows(f"report_{task}")
    return None if found is None or found.is_empty() else found


def _verdict(report: pl.DataFrame | None) -> str:
    return "no report yet" if report is None else task_report.verdict(report)


def _figures(report: pl.DataFrame | None) -> list[Block]:
    if report is None:
        return ["No report on this task yet."]
    heads = ("measure", "value", "n", "of", "percent, 95 % interval", "before", "change")
    rows = [
        (row[0], row[1], row[2], row[3], *(shown and f"{shown}" for shown in row[4:]))
        for row in task_report.readable(report).iter_rows()
    ]
    blocks: list[Block] = [
        f"{task_report.verdict(report)}.",
        f"Price: {task_report.price_sentence(report)}.",
        build_table("What passes, and why the rest does not", heads, rows, "value", "change"),
    ]
    dropped = report.filter(measure="dropped_sample").head(DROPPED)
    if len(dropped):
        shown = [
            (row["sample_id"][:12], row["value"], shorten(row["text"] or "not shown", 300))
            for row in dropped.iter_rows(named=True)
        ]
        columns = ("sample", "reason", "text")
        blocks.append(build_table("Some dropped samples", columns, shown, *columns[1:]))
    return blocks
