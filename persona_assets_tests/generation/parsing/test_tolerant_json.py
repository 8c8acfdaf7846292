"""JSON as models write it is read, and what is cut off or made up is not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from persona_assets.generation.parsing.latex import COMMANDS, restore_backslashes
from persona_assets.generation.parsing.tolerant_json import balanced_values, read_json
from persona_assets_tests.generation.parsing.hostile_texts import HOSTILE, UNITS
from persona_assets_tests.shared_data import shared_file


class Item(BaseModel):
    a: str
    b: list[int] = []


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text("abcdef", min_size=1, max_size=5), values, max_size=4)
plain = st.text("abc xyz.!?é角-", max_size=20)


@given(objects, st.booleans(), st.sampled_from([None, 2]))
def test_strict_json_is_read_as_pydantic_reads_it(
    value: dict[str, Any], ascii: bool, indent: int | None
) -> None:
    source = json.dumps(value, ensure_ascii=ascii, indent=indent)
    if restore_backslashes(source) == source:
        parsed = read_json(source, Anything)
        assert parsed.value == Anything.model_validate_json(source)
        assert parsed.repairs == ()


@given(st.lists(st.sampled_from(UNITS) | st.text(max_size=3), max_size=12).map("".join))
def test_text_of_any_kind_has_a_value_or_an_error(text: str) -> None:
    try:
        parsed = read_json(text, Item)
    except ValidationError:
        return
    assert isinstance(parsed.value, Item)


@given(plain, st.lists(st.integers(0, 9), max_size=3), plain, plain)
def test_value_is_found_in_prose_fences_and_python(
    text: str, numbers: list[int], before: str, after: str
) -> None:
    item = Item(a=text, b=numbers)
    python = item.model_dump()
    for source in (
        f"{before}\n{item.model_dump_json()}\n{after}",
        f"{before}\n```json\n{item.model_dump_json(indent=1)}\n```\n{after}",
        f"{before}{python}{after}",
        f"[{python}]",
        json.dumps(json.dumps(python)),
        item.model_dump_json()[:-1] + ",}",
    ):
        assert read_json(source, Item).value == item


@given(objects, st.data())
def test_object_that_is_cut_off_is_refused(value: dict[str, Any], data: st.DataObject) -> None:
    source = json.dumps({"a": "x", **value, "c": value})
    cut = data.draw(st.integers(1, len(source) - 1))
    with pytest.raises(ValidationError):
        read_json(source[:cut], Anything)
    with pytest.raises(ValidationError):
        read_json(f"Here you are: {source[:cut]}", Anything)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_known_command_keeps_its_backslash(name: str) -> None:
    for around in ("$x \\{}$", "\\\\(\\{}_1\\\\)"):
        formula = around.replace("{}", name)
        read = read_json(f'{{"a": "{formula}"}}', Item).value
        assert isinstance(read, Item)
        assert f"\\{name}" in read.a
        assert read.a.isprintable()


@given(st.sampled_from(sorted(COMMANDS)), st.text("abcxyz", min_size=1, max_size=4))
def test_command_ends_where_its_letters_end(name: str, more: str) -> None:
    if name + more not in COMMANDS:
        source = f'{{"a": "$\\{name}{more}$"}}'
        assert restore_backslashes(source) == source


@given(st.text(alphabet='\\"nutbe$() ', max_size=30))
def test_restored_backslashes_are_those_of_json(text: str) -> None:
    restored = restore_backslashes(text)
    assert restored.replace("\\", "") == text.replace("\\", "")
    assert restore_backslashes(restored) == restored


def test_time_to_read_json_is_linear() -> None:
    for text in HOSTILE:
        try:
            read_json(text, Item)
        except ValidationError:
            continue


def test_time_to_repair_many_values_is_linear() -> None:
    for value in ("{a: 1} ", '{"a": 1 "b": 2} ', "{a:[{b:1}]} "):
        with pytest.raises(ValidationError):
            read_json(value * 10_000, Item)


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("set {x, y} and [z]", []),
        ("{'a': 1} {'b': [True]}", ['{"a": 1}', '{"b": [true]}']),
        ("[1] }] [2]", ["[1]", "[2]"]),
        ("[1] [2", []),
        ("[1)", []),
    ],
)
def test_balanced_values_are_rewritten(text: str, sources: list[str]) -> None:
    assert [span.source for span in balanced_values(text)] == sources


def published_solutions() -> list[str]:
    lines = shared_file("math_test.jsonl").read_text(encoding="utf-8").splitlines()
    rows = map(json.loads, lines)
    return [text for row in rows for text in (row["problem"], row["solution"])]


def test_latex_that_is_escaped_is_left_alone() -> None:
    for text in published_solutions():
        parsed = read_json(json.dumps({"a": text}), Item)
        assert (parsed.value, parsed.repairs) == (Item(a=text), ())


def test_latex_that_is_not_escaped_is_read_as_it_was_meant() -> None:
    """What remains is a line break before a variable, which could as well be a command."""
    texts = [text for text in published_solutions() if "\\" in text]
    other = 0
    for text in texts:
        source = text.replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        value = read_json(f'{{"a": "{source}"}}', Item).value
        assert isinstance(value, Item)
        assert all(character.isprintable() or character in "\n\t" for character in value.a)
        other += value.a != text
    assert len(texts) > 7_000
    assert other < len(texts) / 500


def test_single_object_in_place_of_a_list_is_one_item() -> None:
    class Interface(BaseModel):
        args: list[Item]

    read = read_json('{"args": {"a": "year", "b": [1999]}}', Interface)
    assert read.value == Interface(args=[Item(a="year", b=[1999])])
    assert "shape" in read.repairs
