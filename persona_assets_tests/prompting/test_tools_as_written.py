"""Tools are read as models write them: in the task's form, or repaired with a note, or refused.

A row of zoo/tools.jsonl has `name`, `text` (an answer to the prompt `tools`), and `repairs` with a
part of the `value`, or a `reason`: field and kind of the first error.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from persona_assets.generation.parsing.tolerant_json import read_json
from persona_assets.prompting.front_matter import FrontMatter
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets_tests.shared_data import shared_file

ROOT = Path(__file__).parents[2]
ZOO = Path(__file__).with_name("zoo") / "tools.jsonl"
ROWS = [json.loads(line) for line in ZOO.read_text("utf-8").splitlines()]
TOOLS = Prompts(ROOT / "prompts").tasks["tools"]


class ToolOfThePaper(BaseModel):
    """Six fields of any shape, as in the data of the paper's authors."""

    model_config = ConfigDict(extra="forbid")

    name: Any
    description: Any
    function_name: Any
    input_args: Any
    return_: Any = Field(alias="return")
    depend: Any


def outcome(text: str, output: type[BaseModel]) -> tuple[str, ...]:
    """Return the repairs of an answer, or field and kind of its first error."""
    try:
        return read_json(text, output).repairs
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return ("refused", ": ".join([*map(str, first["loc"][:1]), first["type"]]))


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.replace("\\n", " "))) - {"return_"}


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_tool_is_read_as_its_row_says(row: dict[str, Any]) -> None:
    if "reason" in row:
        assert outcome(row["text"], TOOLS.answer) == ("refused", row["reason"])
        return
    parsed = read_json(row["text"], TOOLS.answer)
    value = parsed.value.model_dump()
    assert list(parsed.repairs) == row["repairs"]
    assert {name: value[name] for name in row.get("value", {})} == row.get("value", {})


def released() -> list[str]:
    """Return the answers of the released tools, which are stored as JSON strings."""
    lines = shared_file("personahub_tool.jsonl").read_text("utf-8").splitlines()
    return [json.loads(json.loads(line)["synthesized text"]) for line in lines]


def test_released_tools_are_read_as_they_are_but_for_the_malformed() -> None:
    outcomes = Counter(outcome(text, ToolOfThePaper) for text in released())
    assert outcomes == {
        (): 4_978,
        ("json",): 2,
        ("key",): 2,
        ("refused", "json_invalid"): 7,
        ("refused", "name: missing"): 9,
        ("refused", "depend: missing"): 1,
        ("refused", "description: missing"): 1,
    }


def test_released_tools_lose_no_word_in_the_form_of_the_task() -> None:
    read = Counter[tuple[str, ...]]()
    for text in released():
        if (repairs := outcome(text, TOOLS.answer))[:1] == ("refused",):
            continue
        read[repairs] += 1
        value = read_json(text, TOOLS.answer).value.model_dump_json()
        as_released = read_json(text, ToolOfThePaper).value.model_dump_json(exclude={"depend"})
        # Groups of what a tool needs lose their names.
        assert words(as_released) <= words(value)
    assert read == {(): 7, ("shape",): 3_492, ("json", "shape"): 2}


def test_form_of_unasked_answers_is_no_part_of_the_version() -> None:
    plain = TOOLS.head.model_dump(by_alias=True)
    assert TOOLS.head.output["return"]["as_json"]
    assert FrontMatter.model_validate(plain).model_dump_json() == TOOLS.head.model_dump_json()
    assert "as_json" not in TOOLS.head.model_dump_json()
    assert "unstated" not in json.dumps(TOOLS.answer.model_json_schema())
