"""Thinking and template tokens are told from content; the rows are in the zoo of replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.generation.parsing.scaffolding import split_message
from persona_assets_tests.generation.parsing.hostile_texts import HOSTILE, UNITS

pieces = st.lists(st.sampled_from(UNITS) | st.text(max_size=3), max_size=12).map("".join)


@given(pieces)
def test_content_is_a_part_of_any_message(text: str) -> None:
    content = split_message(text)
    assert content.text in text
    if not content.thinking and not content.template:
        assert content.text == text.strip()


@given(st.text(st.characters(exclude_characters="<[◁")))
def test_message_without_a_bracket_is_its_content(text: str) -> None:
    content = split_message(text)
    assert content.text == text.strip() or content.text in text.rpartition("assistantfinal")[2]


@given(st.text(st.characters(exclude_characters="<[◁`~")), st.text(max_size=50))
def test_content_behind_thinking_is_kept_whole(content: str, thinking: str) -> None:
    closed = f"<think>{thinking.replace('<', '')}</think>{content}"
    assert split_message(closed).text == content.strip()


def test_time_to_read_a_message_is_linear() -> None:
    for text in HOSTILE:
        split_message(text)


@pytest.mark.parametrize(
    "text",
    [
        "A teacher of HTML who never uses <s> or <b>",
        "Compare a<b and c>d, then x</s>y</s>z"[:24],
        "```html\n<s>old</s></s>\n```\nThe closing tag is one too many.",
        "`<|im_end|>` ends a turn of ChatML, `</s>` one of Llama 2.",
        "An [INSTITUTE] and a [THINKER]",
    ],
)
def test_legitimate_text_is_left_alone(text: str) -> None:
    content = split_message(text)
    assert (content.text, content.thinking, content.template) == (text, False, False)
