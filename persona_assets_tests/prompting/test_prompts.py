"""A prompt renders requests, shows demonstrations by shard, and has a version of its inputs."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from persona_assets.prompting.front_matter import PromptError
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.settings import Prompting, Settings
from persona_assets_tests.prompts_folder import few, write_folder
from persona_assets_tests.steps.answers_double import PROMPTS, ROOT, prompt, user_text

FOLDER = ROOT / "prompts"
NAMES = sorted(path.stem for path in [*FOLDER.glob("*.md"), *FOLDER.glob("tasks/*.md")])
INPUTS = {
    "known": "What is 3 + 4?",
    "new": "Add four to three.",
    "persona": "A tailor.",
    "parent": "A widow.",
    "other": "A widow.",
    "relation": "tailor",
    "instruction": "How do I sew on a button?",
    "messages": [{"speaker": "user", "content": "Good evening."}],
    "speaker": "user",
    "text": "Some text.",
    "perspective": "reads",
    "relations": "2",
    "problem": "What is 1 + 1?",
    "person": "A tailor.",
    "expected": "2",
    "given": "two",
    "name": "Tide Clock",
    "description": "Finds the next high tide.",
    "function_name": "next_tide",
    "input_args": [{"name": "port", "type": "str", "description": "name of the port"}],
    "return": "str: time of the tide",
    "depend": [],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path)


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("profile", ["demo", "paper"])
def test_every_shipped_prompt_renders_a_request(
    name: str, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in os.environ:
        if variable.upper().startswith("PERSONA_"):
            monkeypatch.delenv(variable)
    settings = Settings(profile=profile, prompts=FOLDER)  # type: ignore[call-arg, arg-type]
    prompting = settings.prompting_of(name)
    bound = PROMPTS[name].bind(prompting, "a.jsonl")
    request = bound.request(INPUTS, index=3, seed=5)
    assert request.role == bound.head.role
    assert (request.index, request.sampling["seed"]) == (3, 5)
    assert request.prompt_version == bound.version
    roles = [message["role"] for message in request.messages if message["role"] != "system"]
    assert roles == ["user", "assistant"] * prompting.shots + ["user"]
    assert all(message["content"] for message in request.messages)
    for message in request.messages:
        assert "{{" not in message["content"]
        assert "{%" not in message["content"]


def test_every_shipped_demonstration_is_a_valid_answer() -> None:
    for name in NAMES:
        # Of every world and style at once.
        pool = [
            {k: v for k, v in shot.items() if k not in PROMPTS[name].labels}
            for shot in PROMPTS[name].pool
        ]
        whole = replace(PROMPTS[name], pool=tuple(pool))
        bound = whole.bind(few(len(pool)) if pool else few(0, "zero-shot"), "s")
        replies = [m["content"] for m in bound.request(INPUTS).messages if m["role"] == "assistant"]
        for reply in replies:
            if bound.head.format == "json":
                bound.answer.model_validate_json(reply)
            else:
                bound.answer.model_validate(dict.fromkeys(bound.head.output, reply))
        assert len(replies) == len(PROMPTS[name].pool)


def test_demonstrations_are_turns_and_few_shot_hides_their_personas(folder: Path) -> None:
    one = Prompts(folder)["one"]
    shown = one.bind(few(2), "s").request(INPUTS).messages
    hidden = one.bind(few(2, "few-shot"), "s").request(INPUTS).messages
    assert [m["role"] for m in shown] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert shown[1]["content"].startswith("Person ")
    assert hidden[1]["content"] == "A port."
    assert shown[2] == hidden[2]
    assert shown[-1] == hidden[-1] == {"role": "user", "content": "A tailor. A port."}


def test_zero_shot_request_has_no_demonstration() -> None:
    roles = [m["role"] for m in prompt("math_problems").request(INPUTS).messages]
    assert roles == ["system", "user"]


def test_each_shard_has_its_own_repeatable_demonstrations() -> None:
    task = PROMPTS["math_problems"]
    shown = [task.bind(few(2), f"{n}.jsonl").shots for n in range(40)]
    assert len({json.dumps(shots) for shots in shown}) > 20
    used = {shot["problem"] for shots in shown for shot in shots}
    assert used == {shot["problem"] for shot in task.pool}
    assert task.bind(few(2), "7.jsonl").shots == shown[7]
    assert task.bind(few(3), "7.jsonl").shots[:2] == shown[7]


def test_prompt_version_is_equal_for_all_shards() -> None:
    for name in NAMES:
        shots = min(2, len(PROMPTS[name].pool))
        prompting = few(shots) if shots else Prompting()
        versions = {PROMPTS[name].bind(prompting, shard).version for shard in ("a", "b")}
        assert len(versions) == 1


EDITS: dict[str, Callable[[Path], None]] = {
    "system": lambda folder: edited(folder / "one.md", "briefly", "at length"),
    "user": lambda folder: edited(folder / "one.md", "{{ persona }}", "Person: {{ persona }}"),
    "schema": lambda folder: edited(folder / "one.md", "string}", "string, max_length: 9}"),
    "sampling": lambda folder: edited(folder / "one.md", "output:", "sampling: {seed: 1}\noutput:"),
    "role": lambda folder: edited(folder / "one.md", "output:", "role: judge\noutput:"),
    "world": lambda folder: edited(folder / "worlds" / "port.md", "port", "harbour"),
    "demonstrations": lambda folder: edited(
        folder / "demonstrations" / "one.jsonl", "0th", "first"
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_prompt_version_changes_with_each_input_of_an_answer(folder: Path, edit: str) -> None:
    before = Prompts(folder)["one"]
    few_shot, zero_shot = before.bind(few(1), "s").version, before.version
    if edit == "schema":
        (folder / "demonstrations" / "one.jsonl").write_text('{"persona": "P", "answer": "a"}\n')
    EDITS[edit](folder)
    after = Prompts(folder)["one"]
    assert after.bind(few(1), "s").version != few_shot
    # Demonstrations are no input of a zero-shot answer.
    assert (after.version == zero_shot) == (edit == "demonstrations")


def test_prompt_version_changes_with_mode_shots_and_variables(folder: Path) -> None:
    one = Prompts(folder)["one"]
    promptings = [
        Prompting(),
        few(1),
        few(2),
        few(2, "few-shot"),
        Prompting(variables={"focus": "geometry"}),
        Prompting(variables={"focus": "algebra"}),
    ]
    versions = {one.bind(prompting, "s").version for prompting in promptings}
    assert len(versions) == len(promptings)
    assert one.with_variables(focus="algebra").version == one.bind(promptings[-1], "s").version
    assert one.as_role("second_solver").version != one.version


def test_input_text_is_never_rendered_as_a_template(folder: Path) -> None:
    text = "{{ 7 * 7 }} {% for i in range(9) %}x{% endfor %} {# gone #} {{ self }}"
    request = Prompts(folder)["one"].request({"persona": text})
    assert user_text(request) == f"{text} A port."
    assert text in user_text(prompt("text_to_persona").request({**INPUTS, "text": text}))


def test_include_named_by_a_variable_stays_in_the_folder() -> None:
    npcs = PROMPTS["game_npcs"]
    request = npcs.with_variables(world="harbour").request(INPUTS)
    assert "Port Ember" in request.messages[0]["content"]
    for world in ("nowhere", "../../pyproject", "/etc/passwd"):
        with pytest.raises(PromptError, match="prompt game_npcs: "):
            npcs.with_variables(world=world).request(INPUTS)


def test_copied_demonstration_is_recognised(folder: Path) -> None:
    bound = Prompts(folder)["one"].bind(few(2), "s")
    shown = str(bound.shots[0]["answer"])
    assert json.loads(bound.request(INPUTS).messages[2]["content"]) == {"answer": shown}
    assert bound.copies_demonstration({"answer": shown.upper() + "!"})
    assert not bound.copies_demonstration({"answer": "Something of its own, told in other terms."})
    assert not Prompts(folder)["one"].copies_demonstration({"answer": shown})


def test_choice_from_an_enum_is_no_copy() -> None:
    judge = prompt("answer_equality", "few-shot", 4)
    assert not any(judge.copies_demonstration({"verdict": verdict}) for verdict in ("yes", "no"))
