"""Rows of a publication: the last table of a task, as rows and as conversations."""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from persona_assets.assets.datasets import source_of
from persona_assets.assets.graph import project_assets
from persona_assets.assets.judged import finished_samples
from persona_assets.assets.origins import possible_origins
from persona_assets.ids import uniform
from persona_assets.project import Project
from persona_assets.prompting.front_matter import HUB
from persona_assets.prompting.prompt import Prompt
from persona_assets.publishing.formats import Messages
from persona_assets.publishing.licences import read_licence
from persona_assets.settings import Prompting, nearest
from persona_assets.steps.tasks import sample_inputs

MATH_TRAIN, MATH_TEST = "math_train", "math_test"
"""Sets of solved problems, published together."""

TRAIN, TEST = "train", "test"
"""Splits."""


class PublishError(ValueError):
    """Nothing can be published under this name; the message says what to do."""


@dataclass(frozen=True)
class PublishedRows:
    """Rows of a publication.

    Attributes:
        name: Name of the task, `persona_hub` or `math_train`.
        tables: Last table of the rows, by split.
        rows: Rows by split, in the columns of the tables' contracts.
        row_id: Column that identifies a row.
        messages: Conversation by id of a row; empty for rows that are no answers.
    """

    name: str
    tables: Mapping[str, str]
    rows: Mapping[str, pl.DataFrame]
    row_id: str
    messages: Mapping[str, Messages]

    def count(self, column: str) -> Counter[str | None]:
        """Count the rows of all splits by the value of a column; splits may lack it."""
        counts = Counter[str | None]()
        for rows in self.rows.values():
            if column in rows.columns:
                counts.update(rows[column].to_list())
        return counts

    @property
    def without_messages(self) -> int:
        """Number of rows of answers whose request can no longer be rendered."""
        if self.name == HUB:
            return 0
        schema = self.rows[TRAIN].schema
        answers = (rows for rows in self.rows.values() if rows.schema == schema)
        return sum(row_id not in self.messages for rows in answers for row_id in rows[self.row_id])


def read_rows(
    project: Project,
    name: str,
    *,
    only_licences: Collection[str] = (),
    test_share: float = 0.0,
    with_system: bool = False,
) -> PublishedRows:
    """Read the rows of a task, of the hub, or of the math sets.

    Args:
        project: Prompts, settings and tables.
        name: Task or variant, `persona_hub` or `math_train`, to which `math_test` belongs.
        only_licences: Licences of the rows to keep; none for all rows.
        test_share: Share of the rows in the split `test`, drawn by id.
        with_system: Keep the system message of the task in conversations.

    Raises:
        PublishError: There is no such task, or it has no table yet.
    """
    found = _math_sets(project) if name == MATH_TRAIN else _of_table(project, name, with_system)
    kept = {split: select_licences(rows, only_licences) for split, rows in found.rows.items()}
    if test_share and name != MATH_TRAIN:
        rows = kept[TRAIN]
        is_test = pl.Series([uniform("publish", i) < test_share for i in rows[found.row_id]])
        kept = {TRAIN: rows.filter(~is_test), TEST: rows.filter(is_test)} if len(rows) else kept
    tables = {split: found.tables.get(split, found.tables[TRAIN]) for split in kept}
    return replace(found, rows=kept, tables=tables)


def _of_table(project: Project, name: str, with_system: bool) -> PublishedRows:
    prompts = project.prompts
    if name == HUB:
        return PublishedRows(name, {TRAIN: HUB}, {TRAIN: _read(project, HUB)}, "persona_id", {})
    if name not in prompts.tasks:
        names = [*prompts.tasks, HUB, MATH_TRAIN]
        raise PublishError(
            f"nothing to publish is named {name!r}{nearest(name, names)}; there are "
            f"{', '.join(sorted(names))}"
        )
    table = finished_samples(prompts, project.settings.tasks, name)
    rows = _read(project, table)
    prompt = prompts.tasks[name]
    if prompt.head.turns:
        said = {row["sample_id"]: _turns(row) for row in rows.iter_rows(named=True)}
    else:
        said = _conversations(project, name, table, with_system)
    return PublishedRows(name, {TRAIN: table}, {TRAIN: rows}, "sample_id", said)


def _math_sets(project: Project) -> PublishedRows:
    rows = {TRAIN: _read(project, MATH_TRAIN), TEST: _read(project, MATH_TEST)}
    messages = {
        row["sample_id"]: _exchange(row["problem"], row["solution"])
        for row in rows[TRAIN].iter_rows(named=True)
    }
    tables = {TRAIN: MATH_TRAIN, TEST: MATH_TEST}
    return PublishedRows(MATH_TRAIN, tables, rows, "sample_id", messages)


def _read(project: Project, table: str) -> pl.DataFrame:
    """Read all shards of a table in the types of its contract: a file may hold nulls alone."""
    storage = project.storage
    if storage.footer(table, None) is not None:
        rows = storage.scan(table, None).collect()
    elif tables := storage.shard_tables(table):
        rows = tables.scan().collect()
    else:
        raise PublishError(
            f"{table} has no table yet: persona-assets run --select '+key:\"{table}\"'"
        )
    schema = project_assets(project)[table].table.schema
    columns = [pl.col(name).cast(kind) for name, kind in schema.items() if name in rows.columns]
    return rows.select(columns)


def select_licences(rows: pl.DataFrame, licences: Collection[str]) -> pl.DataFrame:
    """Return the rows under licences, as the rows state them in whatever form; all for none."""
    if not licences:
        return rows
    wanted = {read_licence(licence).name for licence in licences}
    stated = [text for text in rows["licence"].unique() if read_licence(text).name in wanted]
    chosen = pl.Series(stated, dtype=pl.String).implode()
    return rows.filter(pl.col("licence").is_in(chosen, nulls_equal=True))


def _turns(row: Mapping[str, Any]) -> Messages:
    """Return a conversation that ends with an answer, the first speaker as the user."""
    texts = [message["content"] for message in row["messages"]]
    roles = ("user", "assistant")
    return [
        {"role": roles[place % 2], "content": text}
        for place, text in enumerate(texts[: len(texts) // 2 * 2])
    ]


def _exchange(user: str, assistant: str) -> Messages:
    return [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]


def _conversations(
    project: Project, name: str, table: str, with_system: bool
) -> dict[str, Messages]:
    """Return the zero-shot request of each row, rendered again, and its answer, by id."""
    prompt = project.prompts.tasks[name]
    source = source_of(project.prompts, project.settings.tasks, prompt)
    per_persona = project.settings.task(name).per_persona
    said: dict[str, Messages] = {}
    for shard in project.storage.shards(table):
        origins = possible_origins(project, prompt, source, shard)
        if origins is None:
            continue
        bound = project.prompt(name, shard)
        plain = replace(bound, prompting=Prompting(variables=bound.prompting.variables))
        rows = project.storage.scan(table, shard).collect()
        answers = {row["sample_id"]: _answer(row, plain) for row in rows.iter_rows(named=True)}
        made_from = None if source is None else source.prompt
        for row in sample_inputs(origins, plain, per_persona, made_from):
            if row.row_id in answers:
                request = plain.request(row.inputs, row.index)
                asked = [m for m in request.messages if with_system or m["role"] != "system"]
                said[row.row_id] = [
                    *({"role": m["role"], "content": m["content"]} for m in asked),
                    {"role": "assistant", "content": answers[row.row_id]},
                ]
    return said


def _answer(row: Mapping[str, Any], prompt: Prompt) -> str:
    """Return the answer of a row as a model gives it: a text, or a JSON object."""
    fields = {name: row[name] for name in prompt.columns}
    if prompt.head.format == "text":
        return str(next(iter(fields.values())))
    return json.dumps(fields, ensure_ascii=False)
