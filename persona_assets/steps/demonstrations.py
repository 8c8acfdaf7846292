"""Demonstrations of a user: which of them are fit for use, and who would write them (section 3)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl
from pydantic import ValidationError

from persona_assets.ids import content_id
from persona_assets.languages import UNKNOWN, language_name, language_of_text, tag_of_name
from persona_assets.prompting.demonstrations import LANGUAGE, Demonstration, text_of
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import Complete
from persona_assets.rules.protection import DROP, Protection
from persona_assets.steps import quality
from persona_assets.steps.personas import TEXT_PERSONAS, build_text_personas, wrong_language
from persona_assets.storage.step_result import StepResult, quarantine

VERSION = "1"
TABLE = "demonstration_personas"

WRITES = "writes"
"""Perspective of Text-to-Persona on a demonstration."""


def choose_demonstrations(
    records: Iterable[Mapping[str, Any] | str],
    prompt: Prompt,
    limit: int,
    protection: Protection = DROP,
    language: str | None = None,
) -> tuple[tuple[Demonstration, ...], Counter[str]]:
    """Choose the first demonstrations of a file that are fit for a prompt.

    Fit are valid answers in a known language, each once, without unsafe content and personal data.

    Args:
        records: Members of each demonstration, or the reason why a record is none.
        prompt: Prompt of the task.
        limit: Number of demonstrations.
        protection: What is done about personal data.
        language: English name of the only language; None for any.

    Returns:
        Demonstrations, labelled with their language, and the reasons of the others.
    """
    chosen: dict[str, Demonstration] = {}
    reasons: Counter[str] = Counter()
    for record in records:
        if len(chosen) == limit:
            break
        found = record if isinstance(record, str) else _fit(record, prompt, protection)
        if not isinstance(found, str) and language not in (None, found[LANGUAGE]):
            found = "other_language"
        if isinstance(found, str):
            reasons[found] += 1
            continue
        text = text_of(found, prompt.head.output)
        reasons["repeat"] += text in chosen
        chosen.setdefault(text, found)
    return tuple(chosen.values()), +reasons


def _fit(record: Mapping[str, Any], prompt: Prompt, protection: Protection) -> Demonstration | str:
    """Return the demonstration of a record, or why it is unfit."""
    output = prompt.head.output
    try:
        answer = prompt.answer.model_validate({name: record[name] for name in output})
    except ValidationError:
        return "no_valid_answer"
    fields = answer.model_dump(mode="json")
    persona = record.get("persona")
    if isinstance(persona, str) and persona.strip():
        fields["persona"] = persona.strip()
    for name, value in fields.items():
        if isinstance(value, str):
            protected = protection.apply(value, "persona" if name == "persona" else "text")
            if protected.reason is not None:
                return protected.reason
            fields[name] = protected.text
    label = str(record.get(LANGUAGE) or UNKNOWN)
    tag = tag_of_name(label) if language_name(label) is None else label
    spoken = language_name(language_of_text(text_of(fields, output), tag))
    if spoken is None:
        return "unknown_language"
    labels = {name: record[name] for name in prompt.labels if name in record}
    return {**fields, **labels, LANGUAGE: spoken}


def lacking_personas(prompt: Prompt) -> list[str]:
    """Return the texts of demonstrations that have no persona of their own."""
    return [text_of(shot, prompt.head.output) for shot in prompt.pool if "persona" not in shot]


def text_id_of(text: str) -> str:
    """Return the id of the text of a demonstration."""
    return content_id("demonstration", text)


def build_demonstration_personas(
    texts: Iterable[str],
    prompt: Prompt,
    complete: Complete,
    max_chars: int,
    protection: Protection = DROP,
) -> StepResult:
    """Ask who would write each demonstration; a persona that fails the quality filter is dropped.

    Args:
        texts: Texts of the demonstrations.
        prompt: Prompt `text_to_persona`.
        complete: Chat model.
        max_chars: Characters of a text shown to the model.
        protection: What is done about personal data.

    Returns:
        One row or one drop per text; the parent of a persona is the `text_id_of` its text.
    """
    unique = list(dict.fromkeys(texts))
    frame = pl.DataFrame(
        {
            "text_id": [text_id_of(text) for text in unique],
            "text": unique,
            **{name: [value] * len(unique) for name, value in _LABELS.items()},
        },
        schema=_TEXTS,
    )
    asked = build_text_personas(
        frame,
        prompt,
        complete,
        perspectives=[WRITES],
        per_text=1,
        max_chars=max_chars,
        protection=protection,
    )
    rejected = {
        row["persona_id"]: reason
        for row in asked.rows.iter_rows(named=True)
        if (reason := _rejection(row)) is not None
    }
    dropped = [*asked.dropped.select("id", "reason").iter_rows(), *rejected.items()]
    kept = asked.rows.filter(~pl.col("persona_id").is_in(list(rejected)))
    return replace(asked, rows=kept, dropped=quarantine(TABLE, dropped))


_LABELS = {"licence": "unknown", "source": "demonstration", "language": UNKNOWN}
_TEXTS = pl.Schema(dict.fromkeys(("text_id", "text", *_LABELS), pl.String()))
SCHEMA = TEXT_PERSONAS


def _rejection(row: Mapping[str, Any]) -> str | None:
    language = row["language"]
    return quality.rejection_reason(
        row["persona"], relation=WRITES, hop=0, language=language
    ) or wrong_language(row["persona"], language)
