"""Call of a prompt on many rows: the shape shared by all steps that generate text."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from persona_assets.generation import Answer, Request
from persona_assets.prompting.prompt import Prompt

Complete = Callable[[Iterable[Request]], Iterator[Answer]]
"""Chat model as a step sees it: answers in the order of the requests."""

COMPLETION_COLUMNS = pl.Schema({"model": pl.String(), "completion_id": pl.String()})
"""Columns of each generated row: model name and completion id."""

RETRIED = ("truncated", "refused", "filtered", "invalid", "error")
"""Outcomes of calls that a person may have asked again."""

_OUTCOME = re.compile(rf"(?:\w+_)?({'|'.join(RETRIED)})(?::.*)?")


@dataclass(frozen=True)
class PromptRow:
    """Input of a prompt for one row.

    Args:
        row_id: Id of the row; a failure is quarantined under this id.
        source: The row itself.
        inputs: Values of the prompt's inputs.
        index: Number of the sample, for several samples per row.
        sampling: Sampling parameters that override those of the prompt.
    """

    row_id: str
    source: Mapping[str, Any]
    inputs: Mapping[str, Any]
    index: int = 0
    sampling: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class PromptResult:
    """Usable answer of a prompt.

    Args:
        row: Input of the prompt.
        value: Validated fields of the answer.
        completion: Values of `COMPLETION_COLUMNS`.
    """

    row: PromptRow
    value: Mapping[str, Any]
    completion: Mapping[str, str]


@dataclass(frozen=True)
class Requests:
    """Sized iterable of requests, each rendered when it is read.

    Args:
        rows: Inputs.
        render: Function from an input to its request.
    """

    rows: Sequence[PromptRow]
    render: Callable[[PromptRow], Request]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Request]:
        return map(self.render, self.rows)


def run_prompt(
    prompt: Prompt, rows: Iterable[PromptRow], complete: Complete
) -> tuple[list[PromptResult], list[tuple[str, str]]]:
    """Call a prompt on each row and split the answers into usable results and drops.

    Args:
        prompt: Prompt, bound to a shard.
        rows: Inputs, read once.
        complete: Chat model.

    Returns:
        Usable results, and (id, reason) of the drops; each row is in exactly one of the two lists,
        in order. The reason is `failure_reason`, `copied_demonstration` for an answer that repeats
        a demonstration in its request, or that of `askable_rows`.
    """
    inputs, unasked = askable_rows(prompt, rows)
    requests = Requests(inputs, lambda row: prompt.request(row.inputs, row.index, **row.sampling))
    results, dropped = sort_answers(prompt, inputs, complete(requests))
    return results, unasked + dropped


def askable_rows(
    prompt: Prompt, rows: Iterable[PromptRow]
) -> tuple[list[PromptRow], list[tuple[str, str]]]:
    """Split rows into those that can be asked, and (id, reason) of the others.

    A row in a language in which the prompt has too few demonstrations is dropped without a call:
    it must not stop the other rows, nor be shown demonstrations in another language.
    """
    askable: list[PromptRow] = []
    unasked: list[tuple[str, str]] = []
    for row in rows:
        reason = prompt.shortage(row.inputs)
        if reason is None:
            askable.append(row)
        else:
            unasked.append((row.row_id, reason))
    return askable, unasked


def sort_answers(
    prompt: Prompt, rows: Iterable[PromptRow], answers: Iterable[Answer]
) -> tuple[list[PromptResult], list[tuple[str, str]]]:
    """Split answers to a prompt, one per row, into usable results and drops, as `run_prompt`."""
    results: list[PromptResult] = []
    dropped: list[tuple[str, str]] = []
    for row, answer in zip(rows, answers, strict=True):
        if answer.value is None:
            dropped.append((row.row_id, failure_reason(answer)))
        elif not prompt.head.threshold and prompt.copies_demonstration(answer.value, row.inputs):
            dropped.append((row.row_id, "copied_demonstration"))
        else:
            completion = {"model": answer.model, "completion_id": answer.completion_id}
            results.append(PromptResult(row, answer.value, completion))
    return results, dropped


def failure_reason(answer: Answer) -> str:
    """Return why an answer has no value: `error:<class>`, or `<status>: <detail>`."""
    if answer.status == "error" or not answer.reason:
        return answer.reason or answer.status
    return f"{answer.status}: {answer.reason}"


def outcome_of(reason: str) -> str:
    """Return the outcome of a call in a reason for dropping a row; the reason itself for others.

    Example:
        >>> outcome_of("turn_2_truncated"), outcome_of("error:rate_limit"), outcome_of("too_short")
        ('truncated', 'error', 'too_short')
    """
    match = _OUTCOME.fullmatch(reason)
    return match[1] if match else reason
