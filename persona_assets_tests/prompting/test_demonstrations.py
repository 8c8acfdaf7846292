"""A request shows only demonstrations that fit its world, style, language and model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from persona_assets.prompting.front_matter import PromptError
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.prompting.run_prompt import PromptRow, run_prompt
from persona_assets.settings import Mode, Prompting
from persona_assets_tests.prompts_folder import few, write_folder
from persona_assets_tests.steps.answers_double import PROMPTS, answering

TASK = """---
description: A sign in a place.
output:
  answer: {type: string}
variables: {world: port, style: plain, focus: ""}
---

# System

Write a sign in the style {{ style }}. {% include "worlds/" ~ world ~ ".md" %}

# User

{% if persona %}{{ persona }} {% endif %}{% if focus %}{{ focus }}{% endif %}
"""
SHARDS = [f"{number}.jsonl" for number in range(30)]
FITTING: Mapping[str, Mapping[str, str]] = {
    "game_npcs": {"world": "harbour"},
    "logic_problems": {},
    "math_problems": {},
    "instructions": {},
    "knowledge_texts": {},
    "tools": {},
}
"""Variables for which each shipped task has two demonstrations."""


def signs(folder: Path, *shots: Mapping[str, Any]) -> Prompt:
    """Return a task with demonstrations."""
    if not (folder / "worlds").exists():
        write_folder(folder)
    (folder / "tasks" / "signs.md").write_text(TASK)
    (folder / "worlds" / "hill.md").write_text("A hill.")
    lines = [{"persona": f"Person {n}.", "answer": f"Sign {n}"} | s for n, s in enumerate(shots)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "demonstrations" / "signs.jsonl").write_text(text)
    return Prompts(folder)["signs"]


def answers(prompt: Prompt, **inputs: str) -> list[str]:
    """Return the answers of the demonstrations in a request."""
    request = prompt.request({"persona": "A tailor.", **inputs})
    replies = (m["content"] for m in request.messages if m["role"] == "assistant")
    return [json.loads(reply)["answer"] for reply in replies]


@pytest.mark.parametrize("task", FITTING)
@pytest.mark.parametrize("mode", ["zero-shot", "few-shot", "persona-few-shot"])
def test_every_shipped_task_has_three_modes(task: str, mode: Mode) -> None:
    shots = 0 if mode == "zero-shot" else 2
    variables = dict(FITTING[task])
    bound = PROMPTS[task].bind(Prompting(mode=mode, shots=shots, variables=variables), "s")
    _, asked = bound.answer_language("en")
    messages = bound.request({"persona": "A tailor in Oslo.", **asked}).messages
    assert [m["role"] for m in messages] == ["system", *["user", "assistant"] * shots, "user"]
    shown = [message["content"] for message in messages[1:-1:2]]
    personas = [str(shot["persona"]) for shot in bound.shots]
    assert [persona in text for persona, text in zip(personas, shown, strict=True)] == [
        mode == "persona-few-shot"
    ] * shots
    assert "A tailor in Oslo." in messages[-1]["content"]


@pytest.mark.parametrize("world", ["harbour", "amberfall", "jiudu"])
def test_shipped_character_of_another_world_is_never_shown(world: str) -> None:
    bound = (PROMPTS["game_npcs"].bind(few(2, world=world), shard) for shard in SHARDS)
    assert {shot["world"] for prompt in bound for shot in prompt.shots} == {world}


@pytest.mark.parametrize("style", ["", "ruozhiba"])
def test_shipped_problem_of_another_style_is_never_shown(style: str) -> None:
    bound = (PROMPTS["logic_problems"].bind(few(2, style=style), shard) for shard in SHARDS)
    assert {shot["style"] for prompt in bound for shot in prompt.shots} == {style}


def test_too_few_that_fit_are_an_error_that_says_why_others_do_not(tmp_path: Path) -> None:
    hill = {"world": "hill"}
    task = signs(tmp_path, {}, hill, hill, {"style": "grand"})
    with pytest.raises(
        PromptError,
        match=r"prompt signs: 2 demonstrations asked for and 1 of 4 in "
        r"demonstrations/signs.jsonl fit \(2: world is hill, not port; "
        r"1: style is grand, not plain\): add some, or ask for fewer$",
    ):
        task.bind(few(2), "s")
    assert answers(task.bind(few(1), "s")) == ["Sign 0"]


def test_demonstration_without_a_label_fits_any_value(tmp_path: Path) -> None:
    task = signs(tmp_path, {}, {}, {})
    assert len(answers(task.bind(few(3, world="hill", style="grand"), "s"))) == 3


def test_variable_of_the_user_message_alone_is_no_label(tmp_path: Path) -> None:
    task = signs(tmp_path, {"focus": "Tides."}, {"focus": "Fish."})
    messages = task.bind(few(2, focus="Nets."), "s").request({"persona": "A tailor."}).messages
    shown = sorted(message["content"].split()[-1] for message in messages[1:-1:2])
    assert shown == ["Fish.", "Tides."]
    assert messages[-1]["content"] == "A tailor. Nets."


@pytest.mark.parametrize(
    ("strength", "shown"), [("", 3), ("small", 2), ("large", 2)], ids=["unknown", "small", "large"]
)
def test_model_is_shown_demonstrations_of_its_strength(
    tmp_path: Path, strength: str, shown: int
) -> None:
    task = signs(tmp_path, {}, {"strength": "small"}, {"strength": "large"})
    fitting = {"", strength} if strength else {"", "small", "large"}
    bound = task.bind(few(shown), "s", strength)
    assert {str(shot.get("strength", "")) for shot in bound.shots} == fitting
    with pytest.raises(PromptError, match="strength is" if strength else "3 in demonstrations"):
        task.bind(few(shown + 1), "s", strength)


def test_each_language_of_a_shard_has_a_constant_prefix_of_its_own(tmp_path: Path) -> None:
    german, english = {"language": "de"}, {"language": "English"}
    bound = signs(tmp_path, german, english, german, english).bind(few(2), "s")
    plain = [bound.request({"persona": persona}) for persona in ("A tailor.", "A cook.")]
    other = [
        bound.request({"persona": persona, "language": "German"})
        for persona in ("A nun.", "A pope.")
    ]
    assert plain[0].messages[:-1] == plain[1].messages[:-1]
    assert other[0].messages[:-1] == other[1].messages[:-1]
    assert {*answers(bound)} == {"Sign 1", "Sign 3"}
    assert {*answers(bound, language="German")} == {"Sign 0", "Sign 2"}
    # A demonstration asks for its language as the row does.
    assert all(m["content"].endswith("Write in German.") for m in other[0].messages[1::2])


def test_row_in_a_language_without_demonstrations_is_dropped_without_a_call(
    tmp_path: Path,
) -> None:
    bound = signs(tmp_path, {"language": "de"}, {"language": "en"}).bind(few(1), "s")
    rows = [
        PromptRow(tag, {}, {"persona": "A tailor.", **bound.answer_language(tag)[1]})
        for tag in ("en", "fr", "de", "und")
    ]
    model = answering(lambda request: {"answer": "No bathing"})
    results, dropped = run_prompt(bound, rows, model)
    assert [result.row.row_id for result in results] == ["en", "de", "und"]
    assert dropped == [("fr", "no_demonstrations: French")]
    assert len(model.asked) == 3


def test_language_of_the_settings_without_demonstrations_is_an_error(tmp_path: Path) -> None:
    bound = signs(tmp_path, {"language": "de"}, {"language": "en"}).bind(few(1), "s")
    with pytest.raises(PromptError, match=r"0 of 2 .* 1: language is English, not French"):
        bound.in_language("French")


def test_demonstration_that_does_not_fit_changes_no_request_and_no_version(tmp_path: Path) -> None:
    shots: list[Mapping[str, Any]] = [{"answer": f"Notice {n}"} for n in range(6)]
    before = [signs(tmp_path, *shots).bind(few(3), shard) for shard in SHARDS]
    labelled = [{**shot, "world": "port", "language": "en"} for shot in shots]
    added = [{"world": "hill"}, {"style": "grand"}]
    after = [signs(tmp_path, *labelled, *added).bind(few(3), shard) for shard in SHARDS]
    assert [answers(prompt) for prompt in after] == [answers(prompt) for prompt in before]
    assert {prompt.version for prompt in after} == {prompt.version for prompt in before}


def test_version_changes_with_a_demonstration_in_a_language_of_a_row(tmp_path: Path) -> None:
    versions = [
        signs(tmp_path, {}, *more).bind(few(1), "s").version
        for more in ([], [{"language": "de"}], [{"language": "fr"}], [{"world": "hill"}])
    ]
    assert len(set(versions)) == 3
    assert versions[0] == versions[3]


def test_misspelled_label_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"signs.jsonl line 1: unknown member 'wrold' .*world"):
        signs(tmp_path, {"wrold": "hill"})
    signs(tmp_path, {"note": "from the archive"})


def test_copy_is_one_of_a_demonstration_in_the_language_of_the_row(tmp_path: Path) -> None:
    bound = signs(tmp_path, {"answer": "Kein Durchgang heute", "language": "de"}, {}).bind(
        few(1), "s"
    )
    copy = {"answer": "Kein Durchgang heute!"}
    assert bound.copies_demonstration(copy, {"language": "German"})
    assert not bound.copies_demonstration(copy)
