"""Conversations: a persona, played by a model, talks to an assistant or to a second persona.

Each message is a call, and a request holds all messages before it, as the model wrote them. So an
interrupted conversation goes on where it stopped, since the calls of its earlier turns are in the
journal, and no rule of repair changes a request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from persona_assets.generation import Request
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import (
    Complete,
    PromptResult,
    PromptRow,
    Requests,
    askable_rows,
    sort_answers,
)
from persona_assets.steps.origins import source_texts
from persona_assets.steps.verdicts import Verdict, Verdicts, expected_language

USER, ASSISTANT = "user", "assistant"
"""Speakers of a conversation with an assistant: the persona is the user."""

PERSONA, OTHER = "persona", "other"
"""Speakers of a dialogue of two personas."""


def converse(
    prompt: Prompt, rows: Sequence[PromptRow], complete: Complete, verdicts: Verdicts
) -> tuple[list[PromptResult], list[tuple[str, str]], dict[str, tuple[str, ...]]]:
    """Lead a conversation for each row, all of them turn by turn.

    Args:
        prompt: Prompt with `turns`.
        rows: Inputs, one per conversation.
        complete: Chat model.
        verdicts: Verdicts on single messages.

    Returns:
        Conversations, with CONVERSATION as their value and the completion of the last message;
        (id, reason) of the drops, where the reason names the turn; and the repairs by id. A
        conversation with a message that cannot be used is dropped.
    """
    [field] = prompt.head.output
    rows, dropped = askable_rows(prompt, rows)
    said: dict[str, list[dict[str, str]]] = {row.row_id: [] for row in rows}
    published: dict[str, list[dict[str, str]]] = {row.row_id: [] for row in rows}
    repairs: dict[str, tuple[str, ...]] = {row.row_id: () for row in rows}
    live, results = list(rows), list[PromptResult]()
    for turn in range(prompt.head.turns or 0):
        speaker = _speaker(prompt, turn)
        requests = Requests(live, partial(_request, prompt, said, turn))
        results, failed = sort_answers(prompt, live, complete(requests))
        dropped += [(row_id, f"turn_{turn + 1}_{reason}") for row_id, reason in failed]
        kept: list[PromptResult] = []
        for result in results:
            row_id = result.row.row_id
            verdict = _verdict(prompt, verdicts, result, said[row_id], speaker)
            if verdict.reason is not None:
                dropped.append((row_id, f"turn_{turn + 1}_{verdict.reason}"))
                continue
            repairs[row_id] += tuple(r for r in verdict.repairs if r not in repairs[row_id])
            written, repaired = str(result.value[field]), str(verdict.value[field])
            said[row_id].append({"speaker": speaker, "content": written})
            message = {"speaker": speaker, "content": repaired, **result.completion}
            published[row_id].append(message)
            kept.append(result)
        results, live = kept, [result.row for result in kept]
    whole = [
        replace(result, value=_conversation(published[result.row.row_id])) for result in results
    ]
    return whole, dropped, repairs


def first_request(prompt: Prompt, row: PromptRow) -> Request:
    """Render the first request for a row, of a conversation or not."""
    if prompt.head.turns:
        return _request(prompt, {row.row_id: []}, 0, row)
    return prompt.request(row.inputs, row.index)


def _speaker(prompt: Prompt, turn: int) -> str:
    first, second = (USER, ASSISTANT) if prompt.head.answers else (PERSONA, OTHER)
    return second if turn % 2 else first


def _conversation(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    return {"opening": messages[0]["content"], "messages": list(messages)}


def _verdict(
    prompt: Prompt,
    verdicts: Verdicts,
    result: PromptResult,
    said: Sequence[Mapping[str, str]],
    speaker: str,
) -> Verdict:
    messages = [each["content"] for each in said]
    about = [*source_texts(prompt, result.row.inputs), *messages]
    language = expected_language(result.row.source["language"], messages)
    kind = "article" if speaker == ASSISTANT else None
    return verdicts.of(result.value, about, language, kind=kind)


def _request(
    prompt: Prompt, said: Mapping[str, list[dict[str, str]]], turn: int, row: PromptRow
) -> Request:
    """Render the request for the next message of a conversation."""
    messages = said[row.row_id]
    if prompt.head.answers and turn % 2:
        turns = [{"role": each["speaker"], "content": each["content"]} for each in messages]
        return prompt.reply_request(row.inputs, turns, row.index)
    inputs = dict(row.inputs)
    if _speaker(prompt, turn) == OTHER:
        inputs |= {"persona": inputs["other"], "other": inputs["persona"]}
    return prompt.request(
        {**inputs, "messages": messages, "speaker": _speaker(prompt, turn)}, row.index
    )
