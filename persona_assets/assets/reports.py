"""Group `reports`: what passes of each task, why the rest is dropped, and what changed.

An asset a task, `report_<task>`, over all shards. It asks no model, and nothing is made from it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl

from persona_assets.asset_names import argument, asset_key
from persona_assets.assets.datasets import source_of
from persona_assets.assets.dropped_samples import dropped_samples
from persona_assets.assets.judged import JUDGED
from persona_assets.assets.metadata import picture
from persona_assets.assets.origins import Source
from persona_assets.assets.samples import DISTINCT, UNIQUE
from persona_assets.assets.samples import GROUP as SAMPLES
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.plots.bars import draw_bars
from persona_assets.project import Project
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.resources.call_records import read_call_records
from persona_assets.resources.io_manager import arranged, preview
from persona_assets.rules import protection
from persona_assets.settings import Task
from persona_assets.steps import task_report as steps
from persona_assets.steps.origins import answer_columns
from persona_assets.steps.report_samples import PublishedSamples
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import AccountedTables, Storage
from persona_assets.tables import Table

STAGES = (DISTINCT, UNIQUE, JUDGED)
"""Prefixes of the tables that keep some rows of a task's table, in order; a task may lack some."""

# An asset's function takes its tables as keyword arguments, which have no annotation each.
ACCOUNTED_TABLES = dg.PythonObjectDagsterType(AccountedTables, name="AccountedTaskTables")


def task_reports(
    prompts: Prompts, tasks: Mapping[str, Task], assets: Mapping[str, TableAsset]
) -> list[TableAsset]:
    """Declare the reports on the tasks of a prompts folder.

    Args:
        prompts: Prompt files.
        tasks: Settings by task.
        assets: Assets of the samples, by name.
    """
    reports: list[TableAsset] = []
    for name, prompt in sorted(prompts.tasks.items()):
        later = (assets.get(f"{prefix}{name}") for prefix in STAGES)
        of_samples = (asset for asset in later if asset and asset.spec.group_name == SAMPLES)
        stages = [name, *(asset.name for asset in of_samples)]
        reports.append(task_report(prompt, source_of(prompts, tasks, prompt), stages))
    return reports


def task_report(prompt: Prompt, source: Source | None, stages: Sequence[str]) -> TableAsset:
    """Declare the report on a task.

    Args:
        prompt: Prompt of the task.
        source: Task whose samples its rows are made from; None for personas.
        stages: Tables of its samples in order: its own, and those that keep some of its rows.
    """
    name = prompt.name

    @table_asset(
        name=f"report_{name}",
        group="reports",
        table=Table(steps.TASK_REPORT, "figure_id", aggregates=True, reports_on=name),
        version=f"{steps.VERSION}.{protection.VERSION}.{'+'.join(prompt.unique_fields)}",
        settings=protection.SETTINGS,
        ins={
            argument(stage): dg.AssetIn(asset_key(stage), dagster_type=ACCOUNTED_TABLES)
            for stage in stages
        },
        description=f"What passes of {name} and why the rest is dropped, against the report "
        "before.",
    )
    def report(
        project: dg.ResourceParam[Project], **tables: AccountedTables
    ) -> dg.MaterializeResult[StepResult]:
        ordered = {stage: tables[argument(stage)] for stage in stages}
        result = steps.build_task_report(
            name,
            [_stage(stage, found) for stage, found in ordered.items()],
            _published(prompt, ordered[stages[-1]]),
            dropped_samples(project, prompt, source, ordered),
            sum((_calls(project, stage, ordered[stage]) for stage in stages), steps.Calls()),
            _previous(project.storage, f"report_{name}", ordered),
        )
        return dg.MaterializeResult(value=result, metadata=_metadata(result.rows))

    return report


def _stage(name: str, tables: AccountedTables) -> steps.Stage:
    """Count the rows and drops of all shards of a table."""
    dropped = sum((Counter(table.dropped) for table in tables), Counter[str]())
    return steps.Stage(name, sum(table.rows for table in tables), dropped)


def _published(prompt: Prompt, tables: AccountedTables) -> PublishedSamples:
    """Count the published samples."""
    published = PublishedSamples(prompt)
    columns = dict.fromkeys(["sample_id", "language", "repairs", *answer_columns(prompt)])
    for table in tables:
        published.add(table.scan().select(*columns).collect())
    return published


def _calls(project: Project, stage: str, tables: AccountedTables) -> steps.Calls:
    """Count the calls of tables, by the prompts and models of today: earlier ones are left out."""
    storage, settings = project.storage, project.settings
    embedding = (pl.col("prompt_version") == "") & (pl.col("model") == settings.embedder.model)
    calls = steps.Calls()
    for table in tables:
        footer = storage.existing_footer(stage, table.shard)
        ours = embedding
        for prompt, version in footer.prompt_versions.items():
            head = project.prompt(prompt).head
            roles = filter(None, (head.role, head.answers))
            models = [settings.endpoint(role).model for role in roles]
            ours |= (pl.col("prompt_version") == version) & pl.col("model").is_in(models)
        if footer.prompt_versions:
            records = read_call_records(storage, stage, table.shard)
            calls += steps.Calls.of(records.filter(ours))
    return calls


def _previous(
    storage: Storage, report: str, tables: Mapping[str, AccountedTables]
) -> list[steps.Figure]:
    """Return the figures of the last report that was made from other tables than these."""
    footer = storage.footer(report, None)
    if footer is None:
        return []
    made_from = {(up.asset, up.shard): (up.data_version, up.dropped) for up in footer.upstream}
    now = {
        (stage, table.shard): (table.data_version, dict(table.dropped))
        for stage, found in tables.items()
        for table in found
    }
    return steps.previous_figures(storage.scan(report, None).collect(), made_from == now)


def _metadata(report: pl.DataFrame) -> dict[str, dg.MetadataValue | str | float]:
    """Return what the UI shows: the verdict first, texts as plain text."""
    numbers = {
        "pass_rate": report.row(by_predicate=pl.col("measure") == steps.PASS, named=True)["share"],
        "usd_per_row": report.row(by_predicate=pl.col("measure") == "price", named=True)["usd"],
    }
    lengths = report.filter(pl.col("measure") == "length").select("value", "n")
    drawn = draw_bars(
        dict(lengths.iter_rows()), "Length of published samples", "characters", "samples"
    )
    good, dropped = (
        report.filter(pl.col("measure") == f"{kind}_sample") for kind in ("good", "dropped")
    )
    return {
        "verdict": steps.verdict(report),
        **picture("lengths", drawn),
        "figures": preview(steps.readable(report)),
        "good": preview(arranged(good.select("text", "sample_id"))),
        "dropped": preview(
            arranged(dropped.select(pl.col("value").alias("reason"), "text", "sample_id"))
        ),
        "price": steps.price_sentence(report),
        **{name: number for name, number in numbers.items() if number is not None},
    }
