"""run_prompt splits answers into usable results and drops with reasons, in order."""

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.generation import Answer, Request
from persona_assets.prompting.run_prompt import PromptRow, failure_reason, run_prompt
from persona_assets_tests.steps.answers_double import FAILURES, MODEL, answering, prompt, user_text

PROBLEM = "How many apples are left of the {} that Ida picked in the long orchard?"


def prompt_rows(number: int) -> list[PromptRow]:
    return [PromptRow(f"id {n}", {"n": n}, {"persona": f"<{n}>"}, index=n) for n in range(number)]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["ok", "copied", *FAILURES]), max_size=8))
def test_every_row_is_a_result_or_a_drop_with_its_reason(replies: list[str]) -> None:
    def reply(request: Request) -> dict[str, str] | str:
        kind = replies[request.index]
        return {"problem": PROBLEM.format(request.index)} if kind == "ok" else kind

    model = answering(reply)
    kept, dropped = run_prompt(
        prompt("math_problems", "few-shot", 2), prompt_rows(len(replies)), model
    )
    reasons = {
        "copied": "copied_demonstration",
        "error": "error:timeout",
        **{status: f"{status}: {FAILURES[status]}" for status in FAILURES if status != "error"},
    }
    assert [(k.row.row_id, k.value["problem"]) for k in kept] == [
        (f"id {n}", PROBLEM.format(n)) for n, kind in enumerate(replies) if kind == "ok"
    ]
    assert dropped == [(f"id {n}", reasons[kind]) for n, kind in enumerate(replies) if kind != "ok"]
    assert [request.index for request in model.asked] == list(range(len(replies)))


def test_result_holds_its_model_completion_and_source_row() -> None:
    model = answering(lambda request: {"problem": PROBLEM.format(user_text(request))})
    kept, _ = run_prompt(prompt("math_problems"), prompt_rows(3), model)
    assert {k.completion["model"] for k in kept} == {MODEL}
    assert len({k.completion["completion_id"] for k in kept}) == 3
    assert [k.row.source["n"] for k in kept] == [0, 1, 2]
    assert all(f"<{k.row.source['n']}>" in k.value["problem"] for k in kept)


def test_rows_may_be_a_generator_read_once() -> None:
    read: list[str] = []

    def refuse(requests: Iterable[Request]) -> Iterator[Answer]:
        for request in requests:
            read.append(user_text(request))
            yield Answer("key", MODEL, "refused", "", None, "")

    def generate() -> Iterator[PromptRow]:
        yield from prompt_rows(2)

    assert run_prompt(prompt("math_problems"), generate(), refuse)[1] == [
        ("id 0", "refused"),
        ("id 1", "refused"),
    ]
    assert len(read) == 2


def test_missing_answer_is_an_error() -> None:
    def forgetful(requests: Iterable[Request]) -> Iterator[Answer]:
        model = answering(lambda _: "refused")
        yield from list(model(requests))[:-1]

    with pytest.raises(ValueError, match="zip"):
        run_prompt(prompt("math_problems"), prompt_rows(3), forgetful)


def test_no_rows_make_no_request() -> None:
    model = answering(lambda _: "refused")
    assert run_prompt(prompt("math_problems"), [], model) == ([], [])
    assert model.asked == []


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        ("error", "error:timeout", "error:timeout"),
        ("refused", "", "refused"),
        ("invalid", "persona: too short", "invalid: persona: too short"),
    ],
)
def test_failure_reason_is_status_and_detail(status: str, reason: str, expected: str) -> None:
    answer = Answer("key", MODEL, status, reason, None, "")  # type: ignore[arg-type]
    assert failure_reason(answer) == expected
