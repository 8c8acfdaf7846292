"""Samples as a report counts and shows them: languages, lengths, repairs, a few texts.

Does not belong here: the figures of the report, see `task_report`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import polars as pl

from persona_assets.languages import UNKNOWN
from persona_assets.prompting.prompt import Prompt
from persona_assets.rules.protection import Protection
from persona_assets.steps.origins import answer_columns
from persona_assets.steps.samples import sample_text
from persona_assets.steps.verdicts import count_repairs

SHOWN = 10
"""Number of published samples shown, and of dropped ones."""

MOST_CHARACTERS = 400
"""Number of characters of a sample shown."""

PROTECTED = ("personal_data", "unsafe")
"""Beginnings of the reasons of dropped samples whose text is shown nowhere."""

_EDGES = [first * 10**power for power in range(1, 6) for first in (1, 2, 5)]
LENGTHS = (
    *(f"{low} to {high - 1}" for low, high in zip([0, *_EDGES], _EDGES, strict=False)),
    f"{_EDGES[-1]} or more",
)
"""Bins of lengths in characters, the same in every report."""


class ShownSample(NamedTuple):
    """A sample to show: id, reason if it was dropped, and its text if it may be shown."""

    sample_id: str
    reason: str | None
    text: str | None


class PublishedSamples:
    """Counts over the published samples of a task, added shard by shard.

    Args:
        prompt: Prompt of the task.

    Attributes:
        languages: Number of samples by language.
        lengths: Number of samples by bin of their text's length; see LENGTHS.
        repairs: Number of samples by repair.
        repaired: Number of samples with a repair.
    """

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._first: list[Mapping[str, Any]] = []
        self.languages: Counter[str] = Counter()
        self.lengths: Counter[str] = Counter()
        self.repairs: Counter[str] = Counter()
        self.repaired = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Count the samples of a shard."""
        self.languages.update(rows["language"].fill_null(UNKNOWN).to_list())
        self.repairs.update(count_repairs(rows["repairs"].drop_nulls()))
        self.repaired += int((rows["repairs"].list.len() > 0).sum())
        if self._prompt.unique_fields:
            texts = rows.select(sample_text(self._prompt.unique_fields)).to_series()
            bins = pl.Series(_EDGES).search_sorted(texts.str.len_chars(), side="right")
            self.lengths.update(LENGTHS[place] for place in bins)
        first = [*self._first, *rows.sort("sample_id").head(SHOWN).iter_rows(named=True)]
        self._first = sorted(first, key=lambda row: row["sample_id"])[:SHOWN]

    def shown(self) -> Iterator[ShownSample]:
        """Yield the samples with the smallest ids.

        Ids are hashes of task and persona, so that the report after an edit of the prompt shows the
        samples of the same personas.
        """
        for row in self._first:
            yield ShownSample(row["sample_id"], None, _cut(answer_text(row, self._prompt)))


def answer_text(values: Mapping[str, Any], prompt: Prompt) -> str:
    """Return the fields of an answer as text, one a line."""
    return "\n".join(str(values[name]) for name in answer_columns(prompt) if name in values)


def first_of_each_reason(dropped: pl.DataFrame) -> pl.DataFrame:
    """Return the dropped rows with the smallest ids, at most SHOWN of a reason.

    The smallest of each reason come first, so that a rare reason is shown beside a frequent one.

    Args:
        dropped: Rows with the columns of a quarantine.
    """
    cause = pl.col("reason").str.split(": ").list.first()
    ranked = dropped.sort("id").with_columns(rank=pl.int_range(pl.len()).over(cause))
    return ranked.filter(pl.col("rank") < SHOWN).sort("rank", "id").drop("rank")


def dropped_sample(
    sample_id: str, reason: str, text: str | None, protection: Protection
) -> ShownSample:
    """Return a dropped sample to show, without personal data.

    Args:
        sample_id: Id of the sample.
        reason: Why it was dropped.
        text: Whole text of the sample; None if it is not known.
        protection: Names that count as personal data; it is redacted whatever the policy.

    Example:
        >>> dropped_sample("a", "refusal", "Sorry, ask ann@mill.co.uk.", Protection()).text
        'Sorry, ask [redacted email].'
        >>> dropped_sample("a", "personal_data:email", "ann@mill.co.uk", Protection()).text is None
        True
        >>> dropped_sample("a", "turn_2_unsafe:weapon", "A recipe", Protection()).text is None
        True
    """
    if text is None or re.sub(r"^turn_\d+_", "", reason).startswith(PROTECTED):
        return ShownSample(sample_id, reason, None)
    # Data of every kind count: those of the kind "problem" may hold invented addresses.
    shown = replace(protection, personal_data="redact").apply(text, "text")
    return ShownSample(sample_id, reason, _cut(shown.text) if shown.reason is None else None)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."
