"""Each reply of the zoo means what its row says: a new quirk of a provider is a new row."""

import json
from pathlib import Path
from typing import Any

import pytest

from persona_assets.generation import CallRecord, Endpoint
from persona_assets.generation.calls.attempt_failure import AttemptFailure, outcome_of_response
from persona_assets.generation.journal.call_record import FINAL
from persona_assets_tests.generation.sample_calls import KEY_VARIABLE, call

ZOO = Path(__file__).parents[1] / "zoo" / "errors.jsonl"
ROWS = [json.loads(line) for line in ZOO.read_text("utf-8").splitlines()]
STOPS = {
    "call": "never",
    "status": "first few",
    "named": "before an answer",
    "account": "at once",
}
"""When a reply ends a run, by its evidence; see Refusals."""


def failure_of(row: dict[str, Any]) -> AttemptFailure:
    endpoint = Endpoint(
        model="test-model",
        base_url=row["base_url"],
        provider=row.get("provider"),
        api_key_env=KEY_VARIABLE,
    )
    body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])
    outcome = outcome_of_response(
        endpoint, call("row"), row["status"], row.get("headers", {}), body
    )
    assert isinstance(outcome, AttemptFailure)
    return outcome


def test_zoo_has_a_name_per_row() -> None:
    assert len({row["name"] for row in ROWS}) == len(ROWS) >= 60


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_reply_has_the_meaning_of_its_row(row: dict[str, Any]) -> None:
    failure = failure_of(row)
    assert failure.code == row["meaning"]
    assert (failure.code in FINAL) is row["final"]
    assert STOPS[failure.evidence] == row["stops"]
    assert bool(failure.stop) is (row["stops"] != "never")
    assert failure.stop.isprintable()
    record = CallRecord("key", failure.status_code, failure.body, {"code": failure.code})
    assert CallRecord.from_line(record.to_line()) == record
    assert record.answered is row["final"]
