"""A refused parameter is changed as its row of the zoo says, and hostile texts change nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.generation import Endpoint
from persona_assets.generation.calls.adaptation import (
    PROTECTED,
    Change,
    adaptation_for,
    apply_all,
    difference,
)
from persona_assets.generation.calls.adaptation_file import Adaptations
from persona_assets.generation.calls.attempt_failure import failure_of_response
from persona_assets.generation.calls.error_reply import quoted, read_error
from persona_assets.generation.calls.refusals import same

ZOO = Path(__file__).parents[1] / "zoo" / "adaptations.jsonl"
ROWS = [json.loads(line) for line in ZOO.read_text("utf-8").splitlines()]
LIMITED = {"max_tokens": 9, "temperature": 0.5, "seed": 1, "messages": [], "model": "m"}

HOSTILE = [
    text * (100_000 // len(text))
    for text in ("{", "[", '{"a":', '"', "'", "`", "<title>", "not supported max_tokens ", "\ud800")
] + [
    "{" + '"error":"{' * 10_000,
    json.dumps({"error": {"message": "{" * 100_000, "code": "9" * 4000}}),
    json.dumps({"error": {"details": [[[[{"message": "x " * 1000}] * 10] * 10] * 10] * 10}}),
    '{"error": ' + "9" * 5000 + "}",
]


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_refusal_asks_for_the_change_of_its_row(row: dict[str, Any]) -> None:
    body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])
    changes = adaptation_for(read_error(row["status"], body), row["sent"])
    if row["then"] is None:
        assert changes == ()
    else:
        assert apply_all(changes, row["sent"]) == row["then"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_reply_is_read_in_linear_time(text: str) -> None:
    """A quadratic pattern would not end with 100 kB."""
    endpoint = Endpoint(model="m")
    failure = failure_of_response(endpoint, 400, {}, text)
    assert failure.stop.isprintable()
    assert len(failure.message) < 400
    same(failure)
    assert failure.reply is not None
    assert len(quoted(failure.reply.message)) <= 302
    adaptation_for(failure.reply, LIMITED)


@given(
    st.integers(0, 700),
    st.text(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["error", "message", "code", "detail", "loc", "param", "type", "x"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
)
def test_reply_of_any_shape_is_read(status: int, text: str, value: object) -> None:
    endpoint = Endpoint(model="m")
    for body in (text, json.dumps(value), json.dumps({"error": value}), json.dumps([value])):
        failure = failure_of_response(endpoint, status, {}, body)
        assert failure.reply is not None
        assert quoted(failure.reply.message).isprintable()
        changed = apply_all(adaptation_for(failure.reply, LIMITED), LIMITED)
        assert {"max_tokens", "max_completion_tokens"} & changed.keys()
        assert {name: changed[name] for name in PROTECTED & LIMITED.keys()} == {
            "messages": [],
            "model": "m",
        }


def test_difference_names_what_was_sent_in_place() -> None:
    sent = {"max_completion_tokens": 9, "response_format": {"type": "json_object"}}
    body = {"max_tokens": 9, "response_format": {"type": "json_schema"}, "seed": 1}
    assert difference(body, sent) == {
        "max_tokens": None,
        "max_completion_tokens": 9,
        "response_format": {"type": "json_object"},
        "seed": None,
    }
    assert difference(body, body) is None


def test_adaptations_are_kept_by_host_and_model_and_survive_a_damaged_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / "data" / "endpoints.jsonl"
    ready = Endpoint(model="m", base_url="http://one/v1")
    known = Adaptations(ready, path)
    known.keep([Change("max_tokens", "max_completion_tokens"), Change("seed")], "say\x1b no")
    known.keep([Change("seed")], "again")
    with path.open("ab") as file:
        file.write(b'{"host": "one", "model": "m", "para')
    again = Adaptations(ready, path)
    assert again.changes == known.changes
    assert again.apply({"max_tokens": 5, "seed": 1}) == {"max_completion_tokens": 5}
    assert again.sentences == [
        "calls to m at one are sent with max_completion_tokens in place of max_tokens: it said "
        '"say no"',
        'calls to m at one are sent with no seed: it said "say no"',
    ]
    again.keep([Change("top_p")], "no")
    assert Adaptations(ready, path).changes == again.changes
    assert len(path.read_bytes().splitlines()) == 4
    for other in (Endpoint(model="n", base_url="http://one/v1"), Endpoint(model="m")):
        assert Adaptations(other, path).changes == ()


def test_adaptation_that_a_later_one_takes_back_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.jsonl"
    ready = Endpoint(model="m", base_url="http://one/v1")
    known = Adaptations(ready, path)
    known.keep([Change("max_tokens", "max_completion_tokens")], "no")
    known.keep([Change("max_completion_tokens", "max_tokens")], "no")
    assert Adaptations(ready, path).changes == known.changes == ()


@pytest.mark.parametrize(
    ("model", "base_url", "sent"),
    [
        ("gpt-6.1-sol", None, "max_completion_tokens"),
        ("o3", "https://api.openai.com/v1", "max_completion_tokens"),
        ("gpt-4o", None, "max_tokens"),
        ("gpt-6.1-sol", "https://llm.example.com/v1", "max_tokens"),
    ],
)
def test_documented_changes_are_made_without_a_refusal(
    model: str, base_url: str | None, sent: str
) -> None:
    known = Adaptations(Endpoint(model=model, base_url=base_url))
    assert known.apply({"max_tokens": 9, "temperature": 1}) == {sent: 9, "temperature": 1}
    assert known.sentences == []
