"""Text-to-Persona and Persona-to-Persona (sections 2.1 and 2.2), and the quality filter's verdict."""

from collections.abc import Mapping, Sequence

import polars as pl

from persona_assets.dedup.words import words
from persona_assets.ids import persona_id, uniform
from persona_assets.outcome import Outcome, drops, frame
from persona_assets.prompts import Prompt
from persona_assets.steps import quality
from persona_assets.steps.asking import MADE_BY, Ask, Complete, ask, made_by

VERSION = "1"

HOPS = 6
"""Rounds of expansion: section 2.2, after the six degrees of separation."""

_PERSONA = {"persona_id": pl.String, "parent_id": pl.String, "persona": pl.String}
TEXT_PERSONAS = pl.Schema(
    {**_PERSONA, "perspective": pl.String, "licence": pl.String, **MADE_BY}
)
HOP = pl.Schema(
    {**_PERSONA, "relation": pl.String, "hop": pl.Int64, "licence": pl.String, **MADE_BY}
)
CANDIDATES = pl.Schema({**HOP, "kept": pl.Boolean, "reason": pl.String})


def text_personas(
    texts: pl.DataFrame,
    prompt: Prompt,
    complete: Complete,
    *,
    perspectives: Sequence[str],
    per_text: int,
    max_chars: int,
) -> Outcome:
    """Who reads, writes, likes or dislikes each text (section 2.1).

    Each text is asked about from `per_text` perspectives, drawn by the text's id, and shows the
    model at most its first `max_chars` characters. One row or one drop for each ask.
    """
    rows = {row["text_id"]: row for row in texts.iter_rows(named=True)}
    asks = [
        Ask(text_id, {"text": row["text"][:max_chars], "perspective": perspective})
        for text_id, row in rows.items()
        for perspective in _drawn(text_id, perspectives, per_text)
    ]
    made, dropped, seen = [], [], set[str]()
    for one, answer, reason in ask(prompt, asks, complete):
        if reason or answer.value is None:
            dropped.append((one.row_id, reason))
            continue
        persona, perspective = answer.value["persona"], one.inputs["perspective"]
        row_id = persona_id(one.row_id, perspective, persona)
        if row_id in seen:
            dropped.append((row_id, "repeat"))
            continue
        seen.add(row_id)
        made.append(
            {
                "persona_id": row_id,
                "parent_id": one.row_id,
                "persona": persona,
                "perspective": perspective,
                "licence": rows[one.row_id]["licence"],
                **made_by(answer),
            }
        )
    return Outcome(frame(made, TEXT_PERSONAS), drops("text_personas", dropped), len(asks))


def hop(
    earlier: Sequence[pl.DataFrame],
    prompt: Prompt,
    complete: Complete,
    *,
    number: int,
    relations: int,
    limit: int | None,
) -> Outcome:
    """Who is close to each persona of the round before (section 2.2), each with a named relation.

    `earlier` holds the shard's tables from `text_personas` to the round before. A persona is
    expanded only if it passes the quality filter and no persona of the shard before it has the same
    words; of those at most `limit`, drawn by id. From one answer at most `relations` personas are
    kept. What is not kept is dropped with its reason.
    """
    parents = {row["persona_id"]: row for row in _frontier(earlier, limit)}
    asks = [
        Ask(row_id, {"persona": row["persona"], "relations": str(relations)})
        for row_id, row in parents.items()
    ]
    made, dropped, seen = [], [], set[str]()
    for one, answer, reason in ask(prompt, asks, complete):
        if reason or answer.value is None:
            dropped.append((one.row_id, reason))
            continue
        for place, related in enumerate(answer.value["related"]):
            relation, persona = related["relation"], related["persona"]
            row_id = persona_id(one.row_id, relation, persona)
            if place >= relations or row_id in seen:
                dropped.append((row_id, "repeat" if row_id in seen else "over_limit"))
                continue
            seen.add(row_id)
            made.append(
                {
                    "persona_id": row_id,
                    "parent_id": one.row_id,
                    "persona": persona,
                    "relation": relation,
                    "hop": number,
                    "licence": parents[one.row_id]["licence"],
                    **made_by(answer),
                }
            )
    return Outcome(frame(made, HOP), drops(f"hop_{number}_personas", dropped))


def candidates(text_rows: pl.DataFrame, hops: Sequence[pl.DataFrame]) -> Outcome:
    """All personas of a shard, each with the quality filter's verdict: kept, or the reason not."""
    roots = text_rows.rename({"perspective": "relation"}).with_columns(hop=pl.lit(0, pl.Int64))
    rows = pl.concat([roots.select(HOP.names()), *hops]).with_columns(
        reason=pl.col("persona").map_elements(quality.reason, pl.String, skip_nulls=False)
    )
    rows = rows.with_columns(kept=pl.col("reason").is_null()).select(CANDIDATES.names())
    return Outcome(rows, rows_in=len(text_rows) + sum(map(len, hops)))


def expansion(table: pl.DataFrame, parents: int) -> Mapping[str, float]:
    """Yield of a hop: personas made, and per persona of the round before (null-free)."""
    return {"personas": len(table), "per_parent": len(table) / parents if parents else 0.0}


def _drawn(text_id: str, perspectives: Sequence[str], count: int) -> list[str]:
    return sorted(perspectives, key=lambda p: uniform("perspective", text_id, p))[:count]


def _frontier(earlier: Sequence[pl.DataFrame], limit: int | None) -> list[dict[str, str]]:
    known = {words(persona) for table in earlier[:-1] for persona in table["persona"]}
    fresh = []
    for row in earlier[-1].iter_rows(named=True):
        bag = words(row["persona"])
        if bag not in known and quality.reason(row["persona"]) is None:
            fresh.append(row)
        known.add(bag)
    fresh.sort(key=lambda row: uniform("frontier", row["persona_id"]))
    return fresh if limit is None else fresh[:limit]
