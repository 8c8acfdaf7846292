"""Text-to-Persona and Persona-to-Persona (sections 2.1, 2.2), and the quality filter."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from persona_assets.dedup.text.words import words
from persona_assets.ids import persona_id, uniform
from persona_assets.languages import ENGLISH, UNKNOWN, foreign_language, language_of_text
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import (
    COMPLETION_COLUMNS,
    Complete,
    PromptResult,
    PromptRow,
    run_prompt,
)
from persona_assets.rules.protection import DROP, Protection
from persona_assets.steps import hop_budget, quality
from persona_assets.steps.verdicts import count_repairs
from persona_assets.storage.step_result import StepResult, quarantine, split_repeats, typed_frame

VERSION = "2"

READY = "ready"
"""Perspective of a ready persona: nobody was asked for it."""

_PERSONA = {"persona_id": pl.String(), "parent_id": pl.String(), "persona": pl.String()}
_OF_TEXT = {"licence": pl.String(), "source": pl.String(), "language": pl.String()}
"""Columns of a text that its personas inherit; `language` is that of the persona."""

TEXT_PERSONAS = pl.Schema(
    {**_PERSONA, "perspective": pl.String(), **_OF_TEXT, **COMPLETION_COLUMNS}
)
HOP = pl.Schema(
    {
        **_PERSONA,
        "relation": pl.String(),
        "hop": pl.Int64(),
        **_OF_TEXT,
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
    draw_by: str = "text",
    protection: Protection = DROP,
    follow: bool = True,
) -> StepResult:
    """Ask who is likely to read, write, like or dislike each text (section 2.1).

    Args:
        texts: Rows of `raw_corpus`.
        prompt: Prompt `text_to_persona`.
        complete: Chat model.
        perspectives: All perspectives.
        per_text: Perspectives per text.
        max_chars: Characters of a text shown to the model.
        draw_by: Column by whose hash the perspectives are drawn.
        protection: What is done about personal data.
        follow: Ask for personas in the language of the text; otherwise in English.

    Returns:
        One row or one drop per text and perspective.
    """
    prompt_rows: list[PromptRow] = []
    for row in texts.iter_rows(named=True):
        spoken = language_of_text(row["text"], row["language"] or UNKNOWN) if follow else ENGLISH
        language, asked = prompt.answer_language(spoken)
        prompt_rows += [
            PromptRow(
                row["text_id"],
                {**row, "language": language},
                {"text": row["text"][:max_chars], "perspective": perspective, **asked},
            )
            for perspective in _drawn(row[draw_by], perspectives, per_text)
        ]
    results, dropped = run_prompt(prompt, prompt_rows, complete)
    people = _People(protection)
    for result in results:
        perspective = result.row.inputs["perspective"]
        people.add(result, result.value["persona"], "perspective", perspective)
    rows, repeats = split_repeats(people.rows, "persona_id")
    dropped += people.dropped + repeats
    return StepResult(
        typed_frame(rows, TEXT_PERSONAS),
        quarantine("text_personas", dropped),
        len(prompt_rows),
        repairs=count_repairs(people.redacted),
    )


def build_ready_personas(texts: pl.DataFrame, protection: Protection = DROP) -> StepResult:
    """Take over the rows of a shard of ready personas, without a call.

    Args:
        texts: Rows of `raw_corpus`, whose texts are personas.
        protection: What is done about personal data.

    Returns:
        One persona or one drop per row; the persona's parent is the row.
    """
    people = _People(protection)
    for row in texts.iter_rows(named=True):
        language = language_of_text(row["text"], row["language"] or UNKNOWN)
        source = PromptRow(row["text_id"], {**row, "language": language}, {})
        people.add(PromptResult(source, {}, {}), row["text"], "perspective", READY)
    return StepResult(
        typed_frame(people.rows, TEXT_PERSONAS),
        quarantine("text_personas", people.dropped),
        len(texts),
        repairs=count_repairs(people.redacted),
    )


def build_hop_personas(
    earlier: Sequence[pl.DataFrame],
    prompt: Prompt,
    complete: Complete,
    *,
    number: int,
    relations: int,
    limit: int | None,
    target: float | None = None,
    novelty: float | None = None,
    draw_by: str = "persona",
    protection: Protection = DROP,
) -> StepResult:
    """Ask for people close to each persona of the previous round (section 2.2).

    A persona is expanded only if the rules of the quality filter pass it and no earlier persona of
    the shard has the same words. Its language is judged later, with the other candidates.

    Args:
        earlier: The shard's tables from `text_personas` to the previous round.
        prompt: Prompt `persona_to_persona`.
        complete: Chat model.
        number: Number of this round, from 1.
        relations: Most personas kept per answer; further ones are dropped as `over_limit`.
        limit: Most personas expanded; None for all.
        target: Personas that the shard is to have, which decides how many are expanded per text
            (hop_budget.py); None for all.
        novelty: Share of the personas made by an expansion that must be new to the shard; otherwise
            none of them is expanded. None for no such rule.
        draw_by: Column by whose hash the limit draws.
        protection: What is done about personal data.
    """
    prompt_rows: list[PromptRow] = []
    for row in _frontier(earlier, relations, limit, target, novelty, draw_by):
        language, asked = prompt.answer_language(row["language"] or UNKNOWN)
        inputs = {"persona": row["persona"], "relations": str(relations), **asked}
        prompt_rows.append(PromptRow(row["persona_id"], {**row, "language": language}, inputs))
    results, dropped = run_prompt(prompt, prompt_rows, complete)
    people = _People(protection)
    for result in results:
        for related in result.value["related"][:relations]:
            people.add(result, related["persona"], "relation", related["relation"], hop=number)
    rows, repeats = split_repeats(people.rows, "persona_id")
    over = [
        (persona_id(result.row.row_id, related["relation"], related["persona"]), "over_limit")
        for result in results
        for related in result.value["related"][relations:]
    ]
    return StepResult(
        typed_frame(rows, HOP),
        quarantine(f"hop_{number}_personas", dropped + people.dropped + repeats + over),
        repairs=count_repairs(people.redacted),
    )


def build_persona_candidates(text_rows: pl.DataFrame, hops: Sequence[pl.DataFrame]) -> StepResult:
    """Collect all personas of a shard, each with the verdict of the quality filter."""
    roots = text_rows.rename({"perspective": "relation"}).with_columns(hop=pl.lit(0, pl.Int64()))
    rows = pl.concat([roots.select(HOP.names()), *hops])
    judged = rows.select("persona", "relation", "hop", "language").iter_rows()
    reasons = [
        quality.rejection_reason(text, relation=relation, hop=hop, language=language or UNKNOWN)
        or wrong_language(text, language)
        for text, relation, hop, language in judged
    ]
    rows = rows.with_columns(pl.Series("reason", reasons, pl.String))
    rows = rows.with_columns(kept=pl.col("reason").is_null()).select(CANDIDATES.names())
    return StepResult(rows, rows_in=len(text_rows) + sum(map(len, hops)))


def count_languages(rows: pl.DataFrame) -> str:
    """Return the languages of rows with their numbers, most frequent first.

    Example:
        >>> count_languages(pl.DataFrame({"language": ["en", "zh", "en"]}))
        'en 2, zh 1'
    """
    counts = rows["language"].fill_null(UNKNOWN).value_counts()
    ordered = counts.sort(["count", "language"], descending=[True, False]).iter_rows()
    return ", ".join(f"{language} {count}" for language, count in ordered) or "none"


def spoken_language(text: str, asked: str) -> str:
    """Return the language of an answer: that asked for, or the detected one if none was."""
    return language_of_text(text) if asked == UNKNOWN else asked


def wrong_language(text: str, expected: str | None) -> str | None:
    """Return the reason for dropping a text in another language, with the detector's confidence.

    Example:
        >>> wrong_language("Un programador con experiencia en aplicaciones móviles", "en")
        'wrong_language: es 0.87'
    """
    found = foreign_language(text, expected or UNKNOWN)
    return None if found is None else f"wrong_language: {found.language} {found.confidence:.2f}"


def count_by_hop(candidates: pl.DataFrame) -> dict[str, int]:
    """Count personas by hop; hop 0 are the personas made from texts."""
    counts = candidates.group_by("hop").len().sort("hop")
    return {str(hop): count for hop, count in counts.iter_rows()}


class _People:
    """Rows of personas after protection: published, or dropped with the reason.

    Attributes:
        rows: Rows to publish.
        dropped: (id, reason) of each dropped persona; the text is in neither.
        redacted: What was redacted, per row.
    """

    def __init__(self, protection: Protection) -> None:
        self._protection = protection
        self.rows: list[Mapping[str, Any]] = []
        self.dropped: list[tuple[str, str]] = []
        self.redacted: list[list[str]] = []

    def add(
        self, result: PromptResult, persona: str, column: str, relation: str, **more: object
    ) -> None:
        """Protect a persona and the name of its relation, which is stored in `column`."""
        described = self._protection.apply(persona, "persona")
        related = self._protection.apply(relation, "persona")
        reason = described.reason or related.reason
        if reason is not None:
            self.dropped.append((persona_id(result.row.row_id, relation, persona), reason))
            return
        row = _row(result, described.text, related.text)
        self.rows.append({**row, column: related.text, **more})
        redacted = described.redacted + related.redacted
        if redacted:
            self.redacted.append([f"redacted_{kind}" for kind in redacted])


def _row(kept: PromptResult, persona: str, relation: str) -> dict[str, Any]:
    parent = kept.row.row_id
    return {
        "persona_id": persona_id(parent, relation, persona),
        "parent_id": parent,
        "persona": persona,
        "licence": kept.row.source["licence"],
        "source": kept.row.source["source"],
        "language": spoken_language(persona, kept.row.source["language"]),
        **kept.completion,
    }


def _drawn(text: str, perspectives: Sequence[str], count: int) -> list[str]:
    return sorted(perspectives, key=lambda p: uniform("perspective", text, p))[:count]


def _frontier(
    earlier: Sequence[pl.DataFrame],
    relations: int,
    limit: int | None,
    target: float | None,
    novelty: float | None,
    draw_by: str,
) -> list[Mapping[str, Any]]:
    """Return the personas of the last table to expand, in the order of their requests."""
    known = {words(persona) for table in earlier[:-1] for persona in table["persona"]}
    branches: dict[str, list[bool]] = defaultdict(list)
    fresh: list[Mapping[str, Any]] = []
    for row in earlier[-1].iter_rows(named=True):
        bag = words(row["persona"])
        branches[row["parent_id"]].append(bag not in known)
        if bag not in known and not _is_rejected(row):
            fresh.append(row)
        known.add(bag)
    if novelty is not None:
        fresh = [row for row in fresh if _mean(branches[row["parent_id"]]) >= novelty]
    if target is not None:
        fresh = hop_budget.draw(fresh, earlier, target, relations)
    # With a target the draw has an order of its own; the limit cuts by content all the same.
    if target is None or limit is not None:
        fresh.sort(key=lambda row: uniform("frontier", row[draw_by]))
    return fresh if limit is None else fresh[:limit]


def _mean(new: Sequence[bool]) -> float:
    return sum(new) / len(new)


def _is_rejected(row: Mapping[str, Any]) -> bool:
    """Return True if the quality filter rejects a row of `text_personas` or of a hop."""
    relation = row["perspective"] if "perspective" in row else row["relation"]
    hop = row.get("hop", 0)
    language = row["language"] or UNKNOWN
    reason = quality.rejection_reason(row["persona"], relation=relation, hop=hop, language=language)
    return reason is not None
