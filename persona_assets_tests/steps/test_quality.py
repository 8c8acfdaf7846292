"""The quality filter rejects poor persona descriptions and names the rule that failed."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.ids import content_id
from persona_assets.rules import BUILTIN_PERSONA as BUILTIN
from persona_assets.rules.length import MOST_CHARACTERS
from persona_assets.steps.quality import rejection_reason
from persona_assets_tests.shared_data import shared_file
from persona_assets_tests.steps.answers_double import ROOT

POOR = {
    "empty": ["", " \n\t "],
    "too_long": ["a tailor " * 150, "x" * (MOST_CHARACTERS + 1), "医生" * 401],
    "control_characters": [
        "a nurse\x00 on nights",
        "a nurse \x1b[31m on nights",
        "a nurse \ud800 on nights",
        "a nurse \ufffd on nights",
        "a nurse \u202eno nights",
        "a nurse \uffff on nights",
    ],
    "no_letters": ["...", "12 34 56", "🙂 🙂 🙂", "\u0301\u0301"],
    "too_short": ["nurse", "night nurse", "医生", "退休教师", "ครู"],
    "refusal": [
        "I'm sorry, but the text is empty.",
        "I am truly sorry about that request.",
        "I'm afraid that text tells me little.",
        "I cannot determine who would read this.",
        "Thank you, but I can’t identify a reader.",
        "As an AI language model, I have no opinions about readers.",
        "There is not enough information to name a reader.",
        "Unfortunately the page is blank.",
        "Lo siento, pero el texto está vacío.",
        "抱歉，我不能回答这个问题。",
        "我无法确定谁会读这篇文章。",
        "申し訳ありませんが、お答えできません。",
        "죄송하지만 요청하신 인물은 설명해 드릴 수 없습니다.",
        "Como modelo de lenguaje, no puedo describir a nadie.",
    ],
    "not_a_person_description": [
        "Who would read such a text?",
        "这是谁写的文章呢？",
        "من يقرأ هذا النص؟",
        "You are a careful bookkeeper.",
        "Sure! A careful bookkeeper.",
        "Certainly, a careful bookkeeper.",
        "Here is a persona for that text.",
        "This text describes how to bleed brakes.",
        "The given passage is about brakes.",
        "Based on the provided text, a bicycle mechanic.",
    ],
    "placeholder": [
        "A teacher named [insert name] from Ghana",
        "A {{profession}} who lives in Ghana",
        "A {profession} who lives in Ghana",
        "A teacher from <place name> in Ghana",
        "Lorem ipsum dolor sit amet",
        "A teacher from ____ in Ghana",
        "Persona: a teacher from Ghana",
        "**Persona 2:** a teacher from Ghana",
        "人物：一位来自加纳的中学教师",
    ],
    "markup_or_url": [
        "A teacher, see https://example.org/teachers",
        "A teacher, see www.example.org now",
        "A teacher, write to teacher@example.org",
        "<p>A teacher from Ghana</p>",
        "A teacher from Ghana&nbsp;and Togo",
        "**A teacher** from Ghana",
        "# A teacher from Ghana",
        '{"who": "a teacher from Ghana"}',
        "A teacher](x) from Ghana",
    ],
    "repetition": [
        "a nurse nurse nurse nurse who works nights",
        "a baker who bakes bread who bakes bread who bakes bread who bakes bread",
        "a potter in a small village by the sea. A potter in a small village by the sea.",
        "一位退休教师退休教师退休教师",
        "a teacher from Ghanaaaaaaaaaaaa",
    ],
    "unfinished": [
        "A teacher from Ghana who mends radios and",
        "A teacher from Ghana who mends the",
        "A teacher from Ghana who works as a",
        "A teacher from Ghana, a mender of",
        "A teacher from Ghana,",
        "A teacher from Ghana who is known for:",
        "A teacher from Ghana (",
        "A teacher from Ghana who mends...",
        "一位来自加纳的中学教师，",
    ],
    "preamble_or_boilerplate": [
        "好的，以下是一个人物：\n一位来自加纳的中学教师",
        "Voici une description : une enseignante du Ghana",
        "A teacher from Ghana who mends radios. Let me know if you need another one!",
        "A teacher from Ghana who mends radios.\n\nI hope this helps!",
    ],
}

GOOD = [
    "A retired tram driver who repairs clocks for his neighbours",
    "a C# developer moving to C++ for a game studio",
    "I am a retired miner who paints birds.",
    "I am unable to walk since a fall and coach wheelchair rowing",
    "I'm afraid of heights and yet I wash windows for a living",
    "As an AI researcher, I study how nurses read dashboards.",
    "Young cellist whose hands hurt",
    "Heredity counsellor at a rural clinic",
    "Sure-footed mountain guide with bad knees",
    "No. 1 fan of a village handball club",
    "The text editor of a small weekly, close to retirement",
    "Based on the coast of Maine, a lobster fisher with two boats",
    "An estate agent who says location, location, location",
    "A mother who has four children to be proud of.",
    "Un apicultor jubilado que enseña a los niños de su pueblo",
    "Ein Förster, der im Herbst jeden Tag früh fängt an",
    "Thợ mỏ đã nghỉ hưu ở vùng than",
    "Пенсионерка, которая учит соседей играть на баяне",
    "一位退休的乡村医生，喜欢研究草药",
    "喜欢下棋的木匠",
    "我无法行走，但我教孩子们打轮椅篮球。",
    "定年退職した数学教師で、今は陶芸に夢中",
    "ครูวัยเกษียณที่ชอบปลูกกล้วยไม้",
    "은퇴한 등대지기이자 아마추어 천문가",
    "ممرضة متقاعدة تعلم الأطفال السباحة",
    "एक सेवानिवृत्त शिक्षक जो गाँव में पुस्तकालय चलाते हैं",
    "סבתא שמלמדת ילדים לנגן בכינור",
]


@pytest.mark.parametrize(
    ("name", "persona"), [(name, persona) for name, texts in POOR.items() for persona in texts]
)
def test_quality_filter_names_the_rule_that_a_poor_description_fails(
    name: str, persona: str
) -> None:
    assert rejection_reason(persona) == name


def test_every_built_in_rule_has_an_example() -> None:
    assert list(BUILTIN) == list(POOR)


@pytest.mark.parametrize("persona", GOOD)
def test_quality_filter_passes_descriptions_in_any_language(persona: str) -> None:
    assert rejection_reason(persona) is None
    assert rejection_reason(f"  {persona}\n") is None


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_quality_filter_gives_every_text_a_known_reason_or_none(text: str) -> None:
    assert rejection_reason(text) in {None, *POOR}


def test_quality_filter_ends_for_hostile_texts() -> None:
    assert rejection_reason("[" * MOST_CHARACTERS) == "no_letters"
    assert rejection_reason("<a" * (MOST_CHARACTERS // 2)) == "too_long"
    assert rejection_reason("甲乙丙丁" * 100) == "repetition"
    assert rejection_reason("word " * 1_000_000) == "too_long"


def test_quality_filter_passes_99_percent_of_the_authors_own_personas() -> None:
    lines = shared_file("personahub_tool.jsonl").read_text("utf-8").splitlines()
    reasons = [rejection_reason(json.loads(line)["input persona"]) for line in lines]
    assert len(reasons) == 5000
    assert reasons.count(None) >= 0.99 * len(reasons)


def test_verdicts_on_real_personas_and_their_mutations_are_those_of_version_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counts and hash of the verdicts of version 1, which had no guards before its patterns."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from rules_data import mutations

    lines = shared_file("personahub_tool.jsonl").read_text("utf-8").splitlines()
    personas = [json.loads(line)["input persona"] for line in lines]
    reasons = [rejection_reason(text) for text in [*personas, *mutations(personas)]]
    assert Counter(reasons) == {
        None: 51591,
        "repetition": 13572,
        "refusal": 6837,
        "not_a_person_description": 6177,
        "unfinished": 5643,
        "markup_or_url": 4780,
        "placeholder": 4092,
        "too_short": 2961,
        "control_characters": 2669,
        "too_long": 1465,
        "empty": 198,
        "no_letters": 15,
    }
    assert content_id(*map(str, reasons)) == "b138ec3f95c9cc6596024d8ca69a488c"
