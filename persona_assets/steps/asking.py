"""One prompt put to a model for many rows: the shape shared by every step that generates."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from persona_assets.generation import Answer, Request
from persona_assets.prompts import Prompt

Complete = Callable[[Iterable[Request]], Iterator[Answer]]
"""Requests in, answers out, in the same order; what a chat model is to a step."""

MADE_BY = pl.Schema({"model": pl.String, "completion_id": pl.String})
"""Columns of every row that a model made."""


@dataclass(frozen=True)
class Ask:
    """One question: the id its failure is filed under, the prompt's inputs, and the sample index."""

    row_id: str
    inputs: Mapping[str, str]
    index: int = 0


def ask(prompt: Prompt, asks: Iterable[Ask], complete: Complete) -> Iterator[tuple[Ask, Answer, str]]:
    """Each ask with its answer and the reason to drop it, empty for an answer to keep.

    The reason is the answer's status, with detail where there is some, or `copied_demonstration`
    for an answer that repeats what it was shown.
    """
    asked = list(asks)
    answers = complete(prompt.request(a.inputs, a.index) for a in asked)
    for one, answer in zip(asked, answers, strict=True):
        yield one, answer, _reason(prompt, answer)


def made_by(answer: Answer) -> dict[str, Any]:
    """The `MADE_BY` columns of a row made from this answer."""
    return {"model": answer.model, "completion_id": answer.completion_id}


def _reason(prompt: Prompt, answer: Answer) -> str:
    if answer.value is None:
        return answer.reason if answer.status == "error" else answer.status
    return "copied_demonstration" if prompt.copied(answer.value) else ""
