"""Text-to-Persona and Persona-to-Persona (sections 2.1, 2.2), and the filter's verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from persona_assets.dedup.text.words import words
from persona_assets.ids import persona_id, uniform
from persona_assets.prompting.prompts import Prompt
from persona_assets.prompting.run_prompt import (
    COMPLETION_COLUMNS,
    Complete,
    PromptResult,
    PromptRow,
    run_prompt,
)
from persona_assets.steps import quality
from persona_assets.storage.step_result import StepResult, quarantine, split_repeats, typed_frame

VERSION = "1"

HOPS = 6
"""Rounds of expansion: section 2.2, after the six degrees of separation."""

_PERSONA = {"persona_id": pl.String(), "parent_id": pl.String(), "persona": pl.String()}
TEXT_PERSONAS = pl.Schema(
    {**_PERSONA, "perspective": pl.String(), "licence": pl.String(), **COMPLETION_COLUMNS}
)
HOP = pl.Schema(
    {
        **_PERSONA,
        "relation": pl.String(),
        "hop": pl.Int64(),
        "licence": pl.String(),
        **COMPLETION_COLUMNS,
    }
)
CANDIDATES = pl.Schema({**HOP, "kept": pl.Boolean(), "reason": pl.String()})


def build_text_personas(
    texts: pl.DataFrame,
    prompt: Prompt,
    complete: Complete,
    *,
    perspectives: Sequence[str],
    per_text: int,
    max_chars: int,
) -> StepResult:
    """Who reads, writes, likes or dislikes each text (section 2.1).

    Each text is asked about from `per_text` perspectives, drawn by the text's id, and shows the
    model at most its first `max_chars` characters. One row or one drop for each ask.
    """
    asks = [
        PromptRow(
            row["text_id"], row, {"text": row["text"][:max_chars], "perspective": perspective}
        )
        for row in texts.iter_rows(named=True)
        for perspective in _drawn(row["text_id"], perspectives, per_text)
    ]
    kept, dropped = run_prompt(prompt, asks, complete)
    made = [
        _row(k, k.value["persona"], k.row.inputs["perspective"])
        | {"perspective": k.row.inputs["perspective"]}
        for k in kept
    ]
    rows, repeats = split_repeats(made, "persona_id")
    dropped += repeats
    return StepResult(
        typed_frame(rows, TEXT_PERSONAS), quarantine("text_personas", dropped), len(asks)
    )


def build_hop_personas(
    earlier: Sequence[pl.DataFrame],
    prompt: Prompt,
    complete: Complete,
    *,
    number: int,
    relations: int,
    limit: int | None,
) -> StepResult:
    """Who is close to each persona of the round before (section 2.2), each with a named relation.

    `earlier` holds the shard's tables from `text_personas` to the round before. A persona is
    expanded only if it passes the quality filter and no persona of the shard before it has the same
    words; of those at most `limit`, drawn by id. From one answer at most `relations` personas are
    kept. What is not kept is dropped with its reason.
    """
    asks = [
        PromptRow(row["persona_id"], row, {"persona": row["persona"], "relations": str(relations)})
        for row in _frontier(earlier, limit)
    ]
    kept, dropped = run_prompt(prompt, asks, complete)
    made = [
        _row(k, related["persona"], related["relation"])
        | {"relation": related["relation"], "hop": number}
        for k in kept
        for related in k.value["related"][:relations]
    ]
    rows, repeats = split_repeats(made, "persona_id")
    over = [
        (persona_id(k.row.row_id, related["relation"], related["persona"]), "over_limit")
        for k in kept
        for related in k.value["related"][relations:]
    ]
    return StepResult(
        typed_frame(rows, HOP), quarantine(f"hop_{number}_personas", dropped + repeats + over)
    )


def build_persona_candidates(text_rows: pl.DataFrame, hops: Sequence[pl.DataFrame]) -> StepResult:
    """All personas of a shard, each with the quality filter's verdict: kept, or the reason not."""
    roots = text_rows.rename({"perspective": "relation"}).with_columns(hop=pl.lit(0, pl.Int64()))
    rows = pl.concat([roots.select(HOP.names()), *hops])
    judged = rows.select("persona", "relation", "hop").iter_rows()
    reasons = [quality.rejection_reason(text, relation=rel, hop=hop) for text, rel, hop in judged]
    rows = rows.with_columns(pl.Series("reason", reasons, pl.String))
    rows = rows.with_columns(kept=pl.col("reason").is_null()).select(CANDIDATES.names())
    return StepResult(rows, rows_in=len(text_rows) + sum(map(len, hops)))


def count_by_hop(candidates: pl.DataFrame) -> dict[str, int]:
    """Number of personas of each hop; hop 0 is those made from texts."""
    counts = candidates.group_by("hop").len().sort("hop")
    return {str(hop): count for hop, count in counts.iter_rows()}


def _row(kept: PromptResult, persona: str, relation: str) -> dict[str, Any]:
    parent = kept.row.row_id
    return {
        "persona_id": persona_id(parent, relation, persona),
        "parent_id": parent,
        "persona": persona,
        "licence": kept.row.source["licence"],
        **kept.made_by,
    }


def _drawn(text_id: str, perspectives: Sequence[str], count: int) -> list[str]:
    return sorted(perspectives, key=lambda p: uniform("perspective", text_id, p))[:count]


def _frontier(earlier: Sequence[pl.DataFrame], limit: int | None) -> list[dict[str, str]]:
    known = {words(persona) for table in earlier[:-1] for persona in table["persona"]}
    fresh: list[dict[str, str]] = []
    for row in earlier[-1].iter_rows(named=True):
        bag = words(row["persona"])
        if bag not in known and not _is_rejected(row):
            fresh.append(row)
        known.add(bag)
    fresh.sort(key=lambda row: uniform("frontier", row["persona_id"]))
    return fresh if limit is None else fresh[:limit]


def _is_rejected(row: Mapping[str, Any]) -> bool:
    """Return True if the quality filter rejects a row of `text_personas` or of a hop."""
    relation = row["perspective"] if "perspective" in row else row["relation"]
    hop = row.get("hop", 0)
    return quality.rejection_reason(row["persona"], relation=relation, hop=hop) is not None
