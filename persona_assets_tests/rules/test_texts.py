"""Texts of each kind are repaired or rejected, a row of a file a case."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.rules import BUILTIN
from persona_assets.rules.kinds import KINDS, kind_of_field
from persona_assets.rules.repair import REPAIRS, repair
from persona_assets.rules.request_text import NO_REQUEST
from persona_assets.steps.verdicts import Verdicts
from persona_assets_tests.shared_data import shared_file
from persona_assets_tests.steps.answers_double import PROMPTS

HERE = Path(__file__).parent
VERDICTS = Verdicts(PROMPTS["math_problems"])
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()))


def cases(name: str) -> list[dict[str, Any]]:
    lines = (HERE / name).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def reason_of(text: str, kind: str) -> str | None:
    return VERDICTS.reason_of(text, kind, NO_REQUEST, "und")


@pytest.mark.parametrize("case", cases("verdicts.jsonl"), ids=lambda case: case["text"][:40])
def test_verdict_names_the_rule_that_a_text_fails(case: dict[str, Any]) -> None:
    text, _ = repair(case["text"], case["kind"])
    assert reason_of(text, case["kind"]) == case["reason"]


@pytest.mark.parametrize("case", cases("repairs.jsonl"), ids=lambda case: case["text"][:40])
def test_repair_takes_off_what_a_model_added(case: dict[str, Any]) -> None:
    assert repair(case["text"], case["kind"]) == (case["left"], case["taken"])


def test_every_rule_and_every_repair_has_a_case() -> None:
    reasons = {case["reason"] for case in cases("verdicts.jsonl")}
    # They need a request, or a very long text.
    assert set(BUILTIN) - reasons == {
        *("echoed_prompt", "copied_source", "wrong_language", "too_long"),
    }
    taken = {name for case in cases("repairs.jsonl") for name in case["taken"]}
    assert taken == {name for names in REPAIRS.values() for name in names}
    assert {name for names in KINDS.values() for name in names} == set(BUILTIN)


def test_text_far_beyond_the_length_of_its_kind_is_too_long() -> None:
    words = " ".join(f"w{number}" for number in range(2000))
    assert reason_of(f"How many are {words}?", "problem") == "too_long"


@settings(max_examples=200)
@given(ANY_TEXT, st.sampled_from(sorted(KINDS)))
def test_every_text_has_a_known_verdict(text: str, kind: str) -> None:
    left, taken = repair(text, kind)
    assert set(taken) <= set(REPAIRS[kind])
    assert len(left) <= len(text)
    assert bool(left.strip()) == bool(text.strip())
    assert reason_of(left, kind) in {None, *BUILTIN}


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(
    "unit",
    [
        "a",
        " ",
        "\n",
        "```",
        "``` ",
        "$",
        "\\(",
        "\\begin{",
        "[asy]",
        "- ",
        "---\n",
        "Sure! ",
        "here is ",
        "\n**Solution",
        "I'm sorry, ",
        "{{",
        "[insert ",
        '"',
        "。",
        "抱歉，我",
        "word. ",
        "Note: this ",
        ":",
    ],
)
def test_verdict_on_a_hostile_text_of_100_kB_ends(unit: str, kind: str) -> None:
    text = (unit * 100_000)[:100_000]
    left, _ = repair(text, kind)
    assert reason_of(left, kind) in {None, *BUILTIN}


def test_real_math_problems_and_solutions_raise_no_alarm() -> None:
    lines = shared_file("math_test.jsonl").read_text("utf-8").splitlines()[:500]
    alarms = 0
    for line in lines:
        row = json.loads(line)
        for kind, text in (("problem", row["problem"]), ("solution", row["solution"])):
            left, taken = repair(text, kind)
            reason = reason_of(left, kind) or VERDICTS.protection.apply(left, kind).reason
            alarms += bool(taken) or reason is not None
    assert len(lines) == 500
    assert alarms <= 0.005 * 2 * len(lines)


def test_kind_of_a_field_is_its_own_or_that_of_its_file() -> None:
    text, name = {"type": "string"}, {"type": "string", "pattern": "^[a-z]+$"}
    assert kind_of_field(None, "a", text) == "text"
    assert kind_of_field("problem", "a", text) == "problem"
    assert kind_of_field({"a": "code"}, "a", text) == "code"
    assert kind_of_field({"b": "code"}, "a", text) == "text"
    assert kind_of_field("tool", "a", name) == "label"
    assert kind_of_field("tool", "a", {"type": "list", "max_length": 5}) == "tool"


def test_shipped_task_files_name_kinds_that_exist() -> None:
    assert all(prompt.head.kind for prompt in PROMPTS.tasks.values())
    assert isinstance(PROMPTS, Prompts)
