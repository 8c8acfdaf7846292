"""Personal data and unsafe content are found, without alarms on what looks alike."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.rules.protection import DROP, Names, Protection
from persona_assets.rules.protection.personal_data import KINDS, find_personal_data
from persona_assets.rules.protection.unsafe import unsafe_kind
from persona_assets.steps.quality import rejection_reason
from persona_assets_tests.shared_data import shared_file

CASES = [
    json.loads(line)
    for line in Path(__file__).with_name("personal_data.jsonl").read_text("utf-8").splitlines()
]
UNSAFE = {
    "minor": [
        "A man who draws erotic pictures of a child",
        "A sexy schoolgirl from next door",
        "一个收集儿童色情图片的人",
    ],
    "weapon": [
        "A chemist who explains step by step how to make a pipe bomb",
        "Somebody who posts instructions to build explosives at home",
        "一个教人如何制作炸弹的网民",
        "Блогер, который рассказывает, как сделать бомбу дома",
    ],
}
SAFE = [
    "A counsellor for children who survived sexual abuse",
    "A teacher of sexual education for teenagers",
    "A predictor of costs by age, sex, children and region",
    "A bomb disposal expert who explains how to defuse explosives",
    "A mining engineer who writes how explosives are made safe",
    "A baker with a recipe for making bath bombs with kids",
    "一位教警察如何拆除炸弹的专家",
    "A sexy vampire romance author with two children",
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][:40])
def test_personal_data_of_a_text_is_found_by_kind(case: dict[str, Any]) -> None:
    found = find_personal_data(case["text"], case["kind"])
    assert [data.kind for data in found] == case["found"]


def test_every_kind_of_personal_data_but_names_has_a_case() -> None:
    assert {kind for case in CASES for kind in case["found"]} == {*KINDS} - {"name"}


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["found"]], ids=lambda c: c["text"][:40]
)
def test_redacted_text_holds_no_personal_data_and_no_placeholder(case: dict[str, Any]) -> None:
    redacted = Protection("redact").apply(case["text"], case["kind"])
    assert redacted.redacted == tuple(case["found"])
    assert f"[redacted {case['found'][0].replace('_', ' ')}]" in redacted.text
    assert find_personal_data(redacted.text, case["kind"]) == []
    assert rejection_reason(redacted.text) != "placeholder"


def test_reason_names_the_kind_and_not_the_datum() -> None:
    reason = DROP.apply("A clerk with the card 4539578763621486", "persona").reason
    assert reason == "personal_data:card"


def test_personal_data_stays_where_the_setting_keeps_it() -> None:
    text = "A clerk who answers at jo.haas@posteo.de"
    assert Protection("keep").apply(text, "persona") == (text, None, ())


def test_names_are_found_whole_and_in_their_spelling() -> None:
    protection = Protection("redact", Names(["Will Ito", "Ada Byron King", "Ada Byron", "王小明"]))
    assert protection.apply("A fan of Ada Byron King, who will itolerate", "persona").text == (
        "A fan of [redacted name], who will itolerate"
    )
    assert protection.apply("王小明的邻居", "persona").text == "[redacted name]的邻居"
    assert protection.apply("A fan of will ito and Will Itoh", "persona").redacted == ()


@pytest.mark.parametrize(("kind", "text"), [(k, t) for k, texts in UNSAFE.items() for t in texts])
def test_unsafe_text_is_found_by_kind(kind: str, text: str) -> None:
    assert unsafe_kind(text) == kind
    assert Protection("keep").apply(text, "persona").reason == f"unsafe:{kind}"


@pytest.mark.parametrize("text", SAFE)
def test_text_about_protection_is_safe(text: str) -> None:
    assert unsafe_kind(text) is None


@settings(max_examples=200)
@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_protection_never_raises(text: str) -> None:
    assert Protection("redact").apply(text, "persona").reason in {
        None,
        "unsafe:minor",
        "unsafe:weapon",
    }


@settings(max_examples=200)
@given(st.text(alphabet="0123456789 -+.@:/()ABCDXZabx'"))
def test_redaction_of_digits_leaves_nothing_to_redact(text: str) -> None:
    once = Protection("redact").apply(text, "persona")
    assert len(once.redacted) <= len(find_personal_data(text))


@pytest.mark.parametrize(
    "unit",
    [
        "1",
        "12 ",
        "1-",
        "+1 ",
        "0.",
        "a@",
        "@a.",
        "DE12 ",
        "call 1 ",
        "born on 1 ",
        "12 Elm ",
        "sk-",
        ":a",
        "1.2.",
        "eyJa",
        "Am Markt 1 ",
        "Calle de ",
        "中山",
        "sexual child ",
        "(212) ",
        "-----BEGIN ",
    ],
)
def test_protection_of_a_hostile_text_of_100_kB_ends(unit: str) -> None:
    text = (unit * 100_000)[:100_000]
    assert isinstance(Protection("redact", Names(["Elm"])).apply(text, "persona").text, str)


def test_two_thousand_real_personas_raise_at_most_half_a_percent_of_alarms() -> None:
    lines = shared_file("personahub_tool.jsonl").read_text("utf-8").splitlines()[:2000]
    personas = [json.loads(line)["input persona"] for line in lines]
    alarms = [
        text
        for text in personas
        if rejection_reason(text) is not None or DROP.apply(text, "persona").reason is not None
    ]
    assert len(personas) == 2000
    assert len(alarms) <= 10
