"""A prompt asks for the language of a row, in the words of the file for English."""

from dataclasses import replace

import pytest

from persona_assets.prompting.prompt import Prompt
from persona_assets.settings import Prompting
from persona_assets_tests.steps.answers_double import prompt

TEXT = {"text": "Some text.", "perspective": "reads"}
PERSONA = {"persona": "A tailor."}


def with_variables(name: str, **variables: str) -> Prompt:
    return prompt(name).bind(Prompting(variables=variables), "s")


RUOZHIBA = with_variables("logic_problems", style="ruozhiba")
JIUDU = with_variables("game_npcs", world="jiudu")
GERMAN = with_variables("text_to_persona", language="German")
PLAIN = prompt("text_to_persona")
DUTCH = replace(PLAIN, head=PLAIN.head.model_copy(update={"variables": {"language": "Dutch"}}))

LETTERS = replace(prompt("tools"), user="{{ persona }}\n\nWrite them a short letter in German.")


@pytest.mark.parametrize(
    ("bound", "tag", "language", "asked"),
    [
        (PLAIN, "en", "en", None),
        (PLAIN, "en-GB", "en-GB", None),
        (PLAIN, "und", "en", None),
        (PLAIN, "tlh", "en", None),
        (PLAIN, "", "en", None),
        (PLAIN, "zh", "zh", "Chinese"),
        (PLAIN, "zh_TW", "zh_TW", "Traditional Chinese"),
        (PLAIN, "deu", "deu", "German"),
        (GERMAN, "zh", "de", None),
        (PLAIN.in_language("Finnish"), "zh", "fi", None),
        (GERMAN.in_language("Finnish"), "zh", "de", None),
        (prompt("tools"), "zh", "zh", "Chinese"),
        (RUOZHIBA, "en", "und", None),
        (JIUDU, "zh", "und", None),
        (RUOZHIBA.in_language("English"), "zh", "en", None),
        (DUTCH, "en", "nl", None),
        (LETTERS, "en", "und", None),
    ],
)
def test_language_of_an_answer(bound: Prompt, tag: str, language: str, asked: str | None) -> None:
    inputs = {} if asked is None else {"language": asked}
    assert bound.answer_language(tag) == (language, inputs)


@pytest.mark.parametrize("name", ["text_to_persona", "persona_to_persona", "tools", "instructions"])
@pytest.mark.parametrize("tag", ["en", "und", "en-GB"])
def test_english_request_is_that_of_the_file(name: str, tag: str) -> None:
    inputs = {**TEXT, **PERSONA, "relations": "2"}
    bound = prompt(name)
    _, asked = bound.answer_language(tag)
    assert bound.request({**inputs, **asked}).messages == bound.request(inputs).messages
    assert "Write in English" not in str(bound.request(inputs).messages)


def test_other_language_is_asked_by_the_variable_of_the_file() -> None:
    request = PLAIN.request({**TEXT, "language": "Chinese"})
    system = request.messages[0]["content"]
    assert "one Chinese sentence" in system
    assert 'Begin with "A"' not in system
    assert request.messages[1:] == PLAIN.request(TEXT).messages[1:]


def test_other_language_is_asked_at_the_end_where_the_file_has_no_variable() -> None:
    plain, chinese = (
        prompt("instructions").request({**PERSONA, **asked}).messages
        for asked in ({}, {"language": "Chinese"})
    )
    assert chinese[0] == plain[0]
    assert chinese[1]["content"] == plain[1]["content"] + "\n\nWrite in Chinese."


def test_version_changes_with_a_language_of_the_settings_alone() -> None:
    german = PLAIN.in_language("German")
    assert german.version != PLAIN.version
    assert german.request({**TEXT, "language": "Chinese"}).messages == german.request(TEXT).messages
    assert "one German sentence" in german.request(TEXT).messages[0]["content"]
