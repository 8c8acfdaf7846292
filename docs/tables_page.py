"""Print the page `tables.md`: questions with SQL and output, and all tables with their columns.

python docs/tables_page.py data/demo > docs/tables.md     # output of the questions: this project's
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from persona_assets.assets.graph import project_assets, table_contracts
from persona_assets.assets.groups import GROUPS
from persona_assets.assets.table_asset import TableAsset
from persona_assets.catalog.catalog import Catalog
from persona_assets.column_descriptions import describe_column
from persona_assets.project import Project
from persona_assets.settings import Settings
from persona_assets.storage.storage import Storage

QUESTIONS = Path(__file__).with_name("questions.sql")

INTRODUCTION = """# Tables

Every table is a Parquet file per shard, and a view of its name in `catalog.duckdb`
([Lineage](lineage.md)). This page has questions with their SQL, and then all tables with their
columns. It is made by `docs/tables_page.py`; the outputs are those of `make demo`.
"""

KEYS = {"shards": "shard", "training_sizes": "training size"}
"""Key of a table by the name of its partition set."""

TASK = "<task>"
"""Stands for the name of a task."""


def read_questions() -> list[tuple[str, str]]:
    """Return each question with its SQL."""
    blocks = QUESTIONS.read_text("utf-8").strip().split("\n\n")
    pairs = (block.split("\n", 1) for block in blocks)
    return [(question.removeprefix("-- "), sql) for question, sql in pairs]


def page(data_dir: Path) -> Iterator[str]:
    """Yield the parts of the page.

    Args:
        data_dir: Data folder of a finished project of the profile demo.
    """
    project = Project(Settings.load(profile="demo", data_dir=data_dir))
    catalog = Catalog(Storage(data_dir), table_contracts(project_assets(project)))
    yield INTRODUCTION
    yield "## Questions\n"
    for question, sql in read_questions():
        output = as_text(catalog.query(sql))
        yield f"### {question}\n\n```sql\n{sql}\n```\n\n```text\n{output}\n```\n"
    yield from dictionary(project)


def dictionary(project: Project) -> Iterator[str]:
    """Yield a section per group of assets; tables that each task has appear once."""
    assets = project_assets(project)
    shown = dict[str, TableAsset]()
    for name, asset in assets.items():
        shown.setdefault(_family(name, project), asset)
    groups = {asset.spec.group_name or "" for asset in shown.values()}
    for group in sorted(groups, key=[*GROUPS, *sorted(groups)].index):
        yield f"## Group {group}\n"
        for family, asset in shown.items():
            if asset.spec.group_name == group:
                of_task = assets[task_of(asset, family)] if family.endswith(TASK) else None
                yield _section(family, asset, of_task)


def task_of(asset: TableAsset, family: str) -> str:
    """Return the task of an asset whose family ends with `<task>`."""
    return asset.name.removeprefix(family.removesuffix(TASK))


def _family(name: str, project: Project) -> str:
    """Return the name of an asset, with placeholders for its task and the number of its hop."""
    for task in project.prompts.tasks:
        if name.endswith(f"_{task}"):
            return name.removesuffix(task) + TASK
    return re.sub(r"^hop_\d+", "hop_<n>", name)


def _section(family: str, asset: TableAsset, of_task: TableAsset | None) -> str:
    partitions = asset.definition.partitions_def
    count = "one table" if partitions is None else f"a table per {KEYS[str(partitions.name)]}"
    inherited = set(of_task.table.schema if of_task else ())
    own = {name: kind for name, kind in asset.table.schema.items() if name not in inherited}
    if inherited <= set(asset.table.schema) and of_task:
        count += "; all columns of the task's table" + (", and:" if own else "")
    else:
        own = dict(asset.table.schema)
    rows = "".join(
        f"| `{name}` | {kind} | {describe_column(asset.name, name)} |\n"
        for name, kind in own.items()
    )
    head = "| column | type | description |\n|---|---|---|\n" if own else ""
    said = " ".join((asset.spec.description or "").split())
    if family.endswith(TASK):
        said = said.replace(f"of {task_of(asset, family)}", "of the task")
    return f"### {family}\n\n{said} ({count})\n\n{head}{rows}"


def as_text(rows: pl.DataFrame) -> str:
    """Return rows as aligned plain text, null as an empty cell."""
    cells = [rows.columns, *([_cell(value) for value in row] for row in rows.iter_rows())]
    widths = [max(len(row[number]) for row in cells) for number in range(rows.width)]
    numeric = [kind.is_numeric() for kind in rows.dtypes]
    lines = (
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in cells
    )
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(c if c.isprintable() and c != "`" else " " for c in text)


if __name__ == "__main__":
    for part in page(Path(sys.argv[1])):
        print(part)
