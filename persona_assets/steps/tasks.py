"""Persona-driven synthesis (sections 3 and 4): one step for every task, whatever its prompt asks."""

import polars as pl

from persona_assets.ids import sample_id, uniform
from persona_assets.outcome import Outcome, drops, frame
from persona_assets.prompts import Prompt
from persona_assets.settings import Task
from persona_assets.steps.asking import MADE_BY, Ask, Complete, ask, made_by

VERSION = "1"


def schema(prompt: Prompt) -> pl.Schema:
    """Columns of a task's dataset: ids, the fields that its prompt asks for, and who made them."""
    ids = {"sample_id": pl.String, "persona_id": pl.String, "persona": pl.String}
    return pl.Schema({**ids, **prompt.columns, "licence": pl.String, **MADE_BY})


def drawn(hub: pl.DataFrame, name: str, task: Task) -> pl.DataFrame:
    """The personas of a shard that a task uses.

    A persona is in the share by the hash of its id and the task, so that the same ones are drawn
    whichever shard runs first, and a larger share keeps all that a smaller one drew.
    """
    ranked = hub.with_columns(
        rank=pl.col("persona_id").map_elements(lambda i: uniform(name, i), pl.Float64)
    )
    return ranked.filter(pl.col("rank") < task.share).sort("rank").head(task.per_shard).drop("rank")


def samples(hub: pl.DataFrame, prompt: Prompt, task: Task, complete: Complete) -> Outcome:
    """One row for each persona drawn and each of its samples, or a drop with its reason."""
    rows = {row["persona_id"]: row for row in drawn(hub, prompt.name, task).iter_rows(named=True)}
    asks = [
        Ask(persona_id, {"persona": row["persona"]}, index)
        for persona_id, row in rows.items()
        for index in range(task.per_persona)
    ]
    made, dropped = [], []
    for one, answer, reason in ask(prompt, asks, complete):
        row_id = sample_id(prompt.name, one.row_id, one.index)
        if reason or answer.value is None:
            dropped.append((row_id, reason))
            continue
        parent = rows[one.row_id]
        made.append(
            {
                "sample_id": row_id,
                "persona_id": one.row_id,
                "persona": parent["persona"],
                **answer.value,
                "licence": parent["licence"],
                **made_by(answer),
            }
        )
    return Outcome(frame(made, schema(prompt)), drops(prompt.name, dropped), len(asks))
