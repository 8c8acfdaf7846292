"""The output block of a prompt defines the model and the columns of its answers."""

import re
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from persona_assets.prompting.answer_schema import answer_columns, answer_model
from persona_assets.storage.step_result import typed_frame

FIELDS: dict[str, dict[str, Any]] = {
    "title": {"type": "string", "min_length": 2, "max_length": 5, "pattern": "^[a-z]+$"},
    "verdict": {"type": "string", "enum": ["yes", "no"]},
    "count": {"type": "integer", "minimum": 0, "maximum": 9},
    "share": {"type": "number", "description": "between 0 and 1"},
    "sure": {"type": "boolean"},
    "tags": {"type": "list", "max_length": 2, "items": {"type": "string", "min_length": 1}},
    "related": {
        "type": "list",
        "min_length": 1,
        "fields": {"relation": {"type": "string"}, "years": {"type": "integer"}},
    },
}
GOOD: dict[str, Any] = {
    "title": "abc",
    "verdict": "no",
    "count": 3,
    "share": 0.5,
    "sure": True,
    "tags": ["x"],
    "related": [{"relation": "aunt", "years": 40}],
}


def test_valid_answer_fits_the_model_and_the_columns() -> None:
    value = answer_model("Answer", FIELDS).model_validate(GOOD).model_dump(mode="json")
    assert value == GOOD
    spaced = answer_model("Answer", FIELDS).model_validate({**GOOD, "title": " abc\n"})
    assert spaced.model_dump() == GOOD
    rows = typed_frame([value], pl.Schema(answer_columns(FIELDS)))
    assert rows.to_dicts() == [GOOD]
    assert rows.schema["related"] == pl.List(
        pl.Struct({"relation": pl.String(), "years": pl.Int64()})
    )


@pytest.mark.parametrize(
    "change",
    [
        {"title": "a"},
        {"title": "abcdef"},
        {"title": "ab1"},
        {"title": "  a  "},
        {"verdict": "maybe"},
        {"count": -1},
        {"count": 10},
        {"count": 2.5},
        {"count": None},
        {"share": float("nan")},
        {"share": float("inf")},
        {"tags": ["x", "y", "z"]},
        {"tags": [""]},
        {"tags": "x"},
        {"related": []},
        {"related": [{"relation": "aunt"}]},
        {"related": [{"relation": "aunt", "years": 1, "more": 2}]},
        {"related": [{"relation": "aunt", "years": 2**63}]},
        {"surplus": 1},
    ],
)
def test_answer_beyond_a_limit_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        answer_model("Answer", FIELDS).model_validate({**GOOD, **change})


@pytest.mark.parametrize("missing", FIELDS)
def test_answer_without_a_field_is_refused(missing: str) -> None:
    answer = {name: value for name, value in GOOD.items() if name != missing}
    with pytest.raises(ValidationError):
        answer_model("Answer", FIELDS).model_validate(answer)


def test_integers_of_64_bits_fit_their_column() -> None:
    fields = {"n": {"type": "integer"}}
    for n in (-(2**63), 2**63 - 1):
        value = answer_model("Answer", fields).model_validate({"n": n}).model_dump()
        assert typed_frame([value], pl.Schema(answer_columns(fields)))["n"].to_list() == [n]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({}, "names no field"),
        (["title"], "names no field"),
        ({"a": "string"}, "a: expected a mapping"),
        ({"a": {}}, "a: type is one of string, integer, number, boolean, list"),
        ({"a": {"type": "text"}}, "a: type is one of"),
        ({"a": {"type": ["string"]}}, "a: type is one of"),
        ({"a": {"type": "string", "max": 3}}, "a: a string has no max"),
        ({"a": {"type": "string", "minimum": 3}}, "a: a string has no minimum"),
        ({"a": {"type": "integer", "max_length": 3}}, "a: a integer has no max_length"),
        ({"a": {"type": "string", "pattern": "("}}, "limit is not as it must be"),
        ({"a": {"type": "string", "min_length": "many"}}, "limit is not as it must be"),
        ({"a": {"type": "string", "enum": [True, False]}}, "a: enum is a list of strings"),
        ({"a": {"type": "string", "enum": []}}, "a: enum is a list of strings"),
        ({"a": {"type": "string", "enum": "yes"}}, "a: enum is a list of strings"),
        ({"a": {"type": "list"}}, "a: a list needs items: or fields:"),
        ({"a": {"type": "list", "items": "string"}}, "a: expected a mapping"),
        ({"a": {"type": "list", "fields": ["b"]}}, "names no field"),
        ({"a": {"type": "list", "fields": {"b": {}}}}, "b: type is one of"),
        ({"_a": {"type": "string"}}, "'_a': a field's name has"),
        ({"a b": {"type": "string"}}, "'a b': a field's name has"),
        ({True: {"type": "string"}}, "True: a field's name has"),
        ({"schema": {"type": "string"}}, "schema: this name is taken"),
        ({"model_config": {"type": "string"}}, "model_config: this name is taken"),
    ],
)
def test_malformed_output_block_is_refused_with_the_mistake(fields: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"output: .*{re.escape(complaint)}"):
        answer_model("Answer", fields)


def test_field_may_be_named_by_a_python_keyword() -> None:
    fields = {"class": {"type": "string"}, "return": {"type": "string"}}
    value = answer_model("Answer", fields).model_validate({"class": "a", "return": "b"})
    assert value.model_dump() == {"class": "a", "return": "b"}
