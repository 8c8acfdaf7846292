"""One prompt put to a model for many rows: the shape shared by every step that generates."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from persona_assets.generation import Answer, Request
from persona_assets.prompts import Prompt

Complete = Callable[[Iterable[Request]], Iterator[Answer]]
"""Requests in, answers out, in the same order; what a chat model is to a step."""

MADE_BY = pl.Schema({"model": pl.String(), "completion_id": pl.String()})
"""Columns of every row that a model made."""


@dataclass(frozen=True)
class Ask:
    """One question: the id a failure is filed under, the row it is about, the prompt's inputs."""

    row_id: str
    about: Mapping[str, Any]
    inputs: Mapping[str, str]
    index: int = 0


@dataclass(frozen=True)
class Kept:
    """An answer worth keeping: its validated fields, and the `MADE_BY` columns."""

    ask: Ask
    value: Mapping[str, Any]
    made_by: Mapping[str, str]


@dataclass(frozen=True)
class _Requests:
    """Requests as they are read, of which it is known how many there are."""

    prompt: Prompt
    asks: Sequence[Ask]

    def __len__(self) -> int:
        return len(self.asks)

    def __iter__(self) -> Iterator[Request]:
        return (self.prompt.request(one.inputs, one.index) for one in self.asks)


def ask(
    prompt: Prompt, asks: Iterable[Ask], complete: Complete
) -> tuple[list[Kept], list[tuple[str, str]]]:
    """The answers to keep, and (id, reason) of the others: every ask is in one of the two.

    The reason is the answer's status, with detail where there is some, or `copied_demonstration`
    for an answer that repeats what it was shown.
    """
    asked = list(asks)
    kept: list[Kept] = []
    dropped: list[tuple[str, str]] = []
    for one, answer in zip(asked, complete(_Requests(prompt, asked)), strict=True):
        if answer.value is None:
            dropped.append((one.row_id, failure(answer)))
        elif prompt.copied(answer.value):
            dropped.append((one.row_id, "copied_demonstration"))
        else:
            made_by = {"model": answer.model, "completion_id": answer.completion_id}
            kept.append(Kept(one, answer.value, made_by))
    return kept, dropped


def failure(answer: Answer) -> str:
    """Why an answer has no value: `error:<class>`, or its status with the detail after a colon."""
    if answer.status == "error" or not answer.reason:
        return answer.reason or answer.status
    return f"{answer.status}: {answer.reason}"
