"""Dropped samples of a task with their texts: from its table, or from the response behind them."""

from collections import defaultdict
from collections.abc import Collection, Mapping

import polars as pl

from persona_assets.assets.origins import Source, possible_origins
from persona_assets.generation import CallRecord, Request, to_answer, to_call
from persona_assets.generation.parsing.message import read_message
from persona_assets.project import Project
from persona_assets.prompting.prompt import Prompt
from persona_assets.resources.call_records import find_call_records
from persona_assets.resources.session import role_endpoint
from persona_assets.steps.conversations import first_request
from persona_assets.steps.report_samples import (
    SHOWN,
    ShownSample,
    answer_text,
    dropped_sample,
    first_of_each_reason,
)
from persona_assets.steps.tasks import sample_inputs
from persona_assets.storage.storage import ShardTables


def dropped_samples(
    project: Project, prompt: Prompt, source: Source | None, tables: Mapping[str, ShardTables]
) -> list[ShownSample]:
    """Return dropped samples of each reason, with their texts where these are at hand.

    Args:
        project: Prompts, settings and tables.
        prompt: Prompt of the task.
        source: Task whose samples its rows are made from; None for personas.
        tables: Tables of the task's samples by name, the task's own first.
    """
    frames = [
        first_of_each_reason(project.storage.quarantine(stage, table.shard)).with_columns(
            shard=pl.lit(table.shard)
        )
        for stage, of_stage in tables.items()
        for table in of_stage
        if table.dropped
    ]
    if not frames:
        return []
    rows = pl.concat(frames).unique("id", keep="first", maintain_order=True)
    chosen = first_of_each_reason(rows).head(SHOWN)
    by_shard: dict[str, set[str]] = defaultdict(set)
    for sample_id, shard in chosen.select("id", "shard").iter_rows():
        by_shard[shard].add(sample_id)
    texts: dict[str, str] = {}
    for shard, ids in by_shard.items():
        texts |= _answers(project, prompt, source, shard, ids) | _rows(project, prompt, shard, ids)
    return [
        dropped_sample(sample_id, reason, texts.get(sample_id), project.protection)
        for sample_id, reason in chosen.select("id", "reason").iter_rows()
    ]


def _rows(project: Project, prompt: Prompt, shard: str, ids: Collection[str]) -> dict[str, str]:
    """Return the texts of samples that a later table dropped, by id."""
    samples = project.storage.scan(prompt.name, shard).filter(pl.col("sample_id").is_in(list(ids)))
    return {
        row["sample_id"]: answer_text(row, prompt)
        for row in samples.collect().iter_rows(named=True)
    }


def _answers(
    project: Project, prompt: Prompt, source: Source | None, shard: str, ids: Collection[str]
) -> dict[str, str]:
    """Return the first answers to the requests of samples, by id; of conversations the openings.

    Quarantine names no response, so the requests are rendered again. An answer is missing where the
    personas, the prompt or the model are no longer those of the table.
    """
    found = possible_origins(project, prompt, source, shard)
    if found is None:
        return {}
    prompt = project.prompt(prompt.name, shard)
    per_persona = project.settings.task(prompt.name).per_persona
    made_from = None if source is None else source.prompt
    requests = {
        row.row_id: first_request(prompt, row)
        for row in sample_inputs(found, prompt, per_persona, made_from)
        if row.row_id in ids and prompt.shortage(row.inputs) is None
    }
    endpoint = role_endpoint(project.settings, prompt.head.role)
    keys = {row_id: to_call(request, endpoint).key for row_id, request in requests.items()}
    records = find_call_records(project.storage, prompt.name, shard, keys.values())
    texts = {
        row_id: _text(requests[row_id], records[key], prompt)
        for row_id, key in keys.items()
        if key in records
    }
    return {row_id: text for row_id, text in texts.items() if text}


def _text(request: Request, record: CallRecord, prompt: Prompt) -> str:
    """Return the text of a response: its fields if it has the required form, else its content."""
    value = to_answer(request, record).value
    if value is not None:
        return answer_text(value, prompt)
    return read_message(record.choice.get("message")).text
