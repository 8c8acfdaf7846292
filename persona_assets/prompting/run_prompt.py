"""One prompt put to a model for many rows: the shape shared by every step that generates."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from persona_assets.generation import Answer, Request
from persona_assets.prompting.prompts import Prompt

Complete = Callable[[Iterable[Request]], Iterator[Answer]]
"""Requests in, answers out, in the same order; what a chat model is to a step."""

COMPLETION_COLUMNS = pl.Schema({"model": pl.String(), "completion_id": pl.String()})
"""Columns of every row that a model made."""


@dataclass(frozen=True)
class PromptRow:
    """One question: the id a failure is filed under, the row it is about, the prompt's inputs."""

    row_id: str
    source: Mapping[str, Any]
    inputs: Mapping[str, str]
    index: int = 0


@dataclass(frozen=True)
class PromptResult:
    """An answer worth keeping: its validated fields, and the `MADE_BY` columns."""

    row: PromptRow
    value: Mapping[str, Any]
    made_by: Mapping[str, str]


@dataclass(frozen=True)
class _Requests:
    """Requests as they are read, of which it is known how many there are."""

    prompt: Prompt
    asks: Sequence[PromptRow]

    def __len__(self) -> int:
        return len(self.asks)

    def __iter__(self) -> Iterator[Request]:
        return (self.prompt.request(one.inputs, one.index) for one in self.asks)


def run_prompt(
    prompt: Prompt, asks: Iterable[PromptRow], complete: Complete
) -> tuple[list[PromptResult], list[tuple[str, str]]]:
    """The answers to keep, and (id, reason) of the others: every ask is in one of the two.

    The reason is the answer's status, with detail where there is some, or `copied_demonstration`
    for an answer that repeats what it was shown.
    """
    asked = list(asks)
    kept: list[PromptResult] = []
    dropped: list[tuple[str, str]] = []
    for one, answer in zip(asked, complete(_Requests(prompt, asked)), strict=True):
        if answer.value is None:
            dropped.append((one.row_id, failure_reason(answer)))
        elif prompt.copied(answer.value):
            dropped.append((one.row_id, "copied_demonstration"))
        else:
            made_by = {"model": answer.model, "completion_id": answer.completion_id}
            kept.append(PromptResult(one, answer.value, made_by))
    return kept, dropped


def failure_reason(answer: Answer) -> str:
    """Why an answer has no value: `error:<class>`, or its status with the detail after a colon."""
    if answer.status == "error" or not answer.reason:
        return answer.reason or answer.status
    return f"{answer.status}: {answer.reason}"
