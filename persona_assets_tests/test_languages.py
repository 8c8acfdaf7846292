"""The detector names the language of a text with a confidence, and is rarely wrong where sure.

The bounds are those of the docstring of `languages.CONFIDENT`.
"""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.languages import (
    NAMES,
    base_language,
    detect_language,
    foreign_language,
    language_name,
    language_of_text,
    tag_of_name,
)
from persona_assets_tests.shared_data import shared_file

ENGLISH_WORD = re.compile(r"\b(the|of|and|who|with|an|for|that|is|has|from)\b", re.IGNORECASE)
TEXTS = {
    "zh": "一位住在河边的退休木匠，每天清晨修理旧钟。",
    "de": "Ein pensionierter Tischler am Fluss, der jeden Morgen alte Uhren repariert",
    "ru": "Плотник на пенсии, который каждое утро чинит старые часы у реки",
    "en": "A retired carpenter by the river who repairs old clocks every morning",
    "ja": "川辺に住む引退した大工で、毎朝古い時計を直している。",
    "ar": "نجار متقاعد يعيش قرب النهر ويصلح الساعات القديمة كل صباح",
}


@pytest.mark.parametrize(("language", "text"), TEXTS.items())
def test_detector_names_the_language_of_a_sentence(language: str, text: str) -> None:
    assert language_of_text(text) == language
    assert foreign_language(text, language) is None
    other = "fi" if language != "fi" else "en"
    assert foreign_language(text, other) is not None


@pytest.mark.parametrize(
    ("text", "label", "language"),
    [
        (TEXTS["de"], "zh-Hant", "zh-Hant"),
        (TEXTS["de"], "und", "de"),
        (TEXTS["de"], "", "de"),
        (TEXTS["de"], "tlh", "de"),
        ("42 + 1", "und", "und"),
        ("Anna", "und", "und"),
    ],
)
def test_language_of_a_text_is_its_label_or_what_is_detected(
    text: str, label: str, language: str
) -> None:
    assert language_of_text(text, label) == language


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TEXTS["de"], "und"),
        (TEXTS["de"], "tlh"),
        ("En dansk lærer, der elsker skibe og havet", "no"),
    ],
)
def test_unknown_and_near_languages_contradict_nothing(text: str, expected: str) -> None:
    assert foreign_language(text, expected) is None


@pytest.mark.parametrize("tag", NAMES)
def test_every_name_leads_back_to_its_language(tag: str) -> None:
    name = language_name(tag)
    assert name is not None
    assert base_language(tag_of_name(name)) == base_language(tag)


@settings(max_examples=50)
@given(st.text(st.characters()))
def test_detector_never_raises(text: str) -> None:
    assert 0 <= detect_language(text).confidence <= 1


@pytest.mark.parametrize("unit", ["a\u0301\u0316" * 3, "\ud800", "\0", "ab ", "中", "))))", "é"])
def test_detector_reads_the_head_of_a_long_text(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    assert detect_language(text) == detect_language(text[:2_000])


def test_foreign_personas_of_the_authors_are_found_with_few_false_alarms() -> None:
    lines = shared_file("personahub_tool.jsonl").read_text("utf-8").splitlines()
    personas = [json.loads(line)["input persona"] for line in lines]
    foreign = [text for text in personas if foreign_language(text, "en")]
    false_alarms = [text for text in foreign if len(ENGLISH_WORD.findall(text)) > 1]
    assert len(foreign) >= 150
    assert len(false_alarms) <= 0.005 * len(personas)
    assert len([text for text in foreign if text.isascii()]) <= 20


@pytest.mark.parametrize(
    ("file", "field"), [("math_test.jsonl", "problem"), ("gsm8k_test.jsonl", "question")]
)
def test_problems_are_not_called_foreign(file: str, field: str) -> None:
    lines = shared_file(file).read_text("utf-8").splitlines()
    problems = [json.loads(line)[field] for line in lines]
    assert sum(foreign_language(text, "en") is not None for text in problems) <= len(problems) / 200
