"""A prompts folder is read whole; every mistake names its file."""

import json
import shutil
from pathlib import Path

import pytest

from persona_assets.prompting.front_matter import PromptError
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.settings import Prompting
from persona_assets_tests.prompts_folder import GOOD, SHOTS, few, write_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path)


def test_file_in_tasks_is_a_task(folder: Path) -> None:
    assert list(Prompts(folder).tasks) == []
    shutil.copy(folder / "one.md", folder / "tasks" / "riddles.md")
    prompts = Prompts(folder)
    assert list(prompts.tasks) == ["riddles"]
    assert prompts["riddles"].columns == prompts["one"].columns
    assert isinstance(prompts["riddles"], Prompt)


def test_more_demonstrations_than_the_pool_holds_are_refused(folder: Path) -> None:
    one = Prompts(folder)["one"]
    with pytest.raises(
        PromptError, match=r"7 demonstrations asked for and 6 in demonstrations/one"
    ):
        one.bind(few(7), "s")


def test_unknown_variable_is_refused(folder: Path) -> None:
    one = Prompts(folder)["one"]
    with pytest.raises(
        PromptError, match=r"prompt one has no variable focsu .*focus\?\); .* are: focus"
    ):
        one.bind(Prompting(variables={"focsu": "x"}), "s")


def test_request_without_an_input_is_refused(folder: Path) -> None:
    with pytest.raises(PromptError, match="prompt one: 'persona' is undefined"):
        Prompts(folder)["one"].request({})


def test_missing_prompt_is_named(folder: Path) -> None:
    with pytest.raises(PromptError, match=r"no prompt two: expected the file .*two\.md"):
        Prompts(folder)["two"]


def test_missing_prompts_folder_is_named(folder: Path) -> None:
    with pytest.raises(PromptError, match=r"no prompts at .*nowhere: set PERSONA_PROMPTS"):
        Prompts(folder / "nowhere")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"Just text.", "expected front matter between ---, then # System and # User"),
        (GOOD.replace("# User", "# Use").encode(), "expected front matter"),
        (GOOD.replace("description: ", "description: [").encode(), "line 3.*expected"),
        (
            GOOD.replace("description:", "descripton:").encode(),
            "line 2: descripton: unknown key .*description",
        ),
        (GOOD.replace("{type: string}", "{type: text}").encode(), "answer: type is one of"),
        (GOOD.replace("{type: string}", "{type: string, pattern: '('}").encode(), "unclosed group"),
        (GOOD.replace("{{ persona }}", "{% if %}").encode(), "Expected an expression"),
        (
            GOOD.replace("{{ persona }}", "{{ persona | shout }}").encode(),
            "No filter named 'shout'",
        ),
        (
            GOOD.replace("output:", "format: text\noutput:\n  b: {type: string}").encode(),
            "exactly one",
        ),
        (GOOD.replace('focus: ""', "focus: 5").encode(), "line 5: variables: focus"),
        (GOOD.replace("output:", "kind: novel\noutput:").encode(), "kind 'novel' is none of text"),
        (
            GOOD.replace("output:", "kind: {plot: text}\noutput:").encode(),
            "kind names 'plot', which output does not have",
        ),
        (GOOD.replace("briefly", "bri\xe8vement").encode("latin-1"), "is not UTF-8"),
    ],
)
def test_malformed_prompt_file_is_named_with_the_mistake(
    folder: Path, text: bytes, complaint: str
) -> None:
    (folder / "tasks" / "two.md").write_bytes(text)
    with pytest.raises(PromptError, match=rf"(?s)tasks/two\.md.*{complaint}"):
        Prompts(folder)


def test_demonstration_without_an_input_of_the_template_is_named(folder: Path) -> None:
    (folder / "one.md").write_text(GOOD.replace("{{ persona }}", "{{ persona }} {{ place }}"))
    one = Prompts(folder)["one"].bind(few(1), "s")
    with pytest.raises(
        PromptError, match=r"demonstrations/one\.jsonl: a line lacks an input: .*'place'"
    ):
        one.request({"persona": "A tailor.", "place": "Porto"})


def test_prompt_file_whose_name_cannot_name_an_asset_is_refused(folder: Path) -> None:
    shutil.copy(folder / "one.md", folder / "tasks" / "my task.md")
    with pytest.raises(PromptError, match=r"my task\.md: name the file with letters"):
        Prompts(folder)


@pytest.mark.parametrize(
    "line", [b"{}", b'{"answer": 5}', b"[1]", b'"answer"', b"{", b"", b'{"answer": "\xe9"}']
)
def test_invalid_demonstration_is_named_by_its_line(folder: Path, line: bytes) -> None:
    good = json.dumps(SHOTS[0]).encode()
    (folder / "demonstrations" / "one.jsonl").write_bytes(b"\n".join([good, line, good]))
    with pytest.raises(PromptError, match=r"demonstrations/one\.jsonl line 2: "):
        Prompts(folder)


def test_byte_order_mark_and_windows_line_ends_change_no_version(folder: Path) -> None:
    version = Prompts(folder)["one"].version
    (folder / "one.md").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    (folder / "demonstrations" / "one.jsonl").write_text(
        json.dumps({"persona": "P\u2028Q", "answer": "a\u0085b"}, ensure_ascii=False) + "\r\n"
    )
    assert Prompts(folder)["one"].version == version
    assert Prompts(folder)["one"].pool[0]["answer"] == "a\u0085b"
