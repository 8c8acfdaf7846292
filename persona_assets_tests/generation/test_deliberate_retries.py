"""A final answer without a value is requested again only if a person asks, and then kept."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from persona_assets.generation import Answer, Endpoint, Engine, Journal, Request, complete
from persona_assets.generation.completion import Status
from persona_assets.generation.journal.journal import compact
from persona_assets_tests.generation.fault_server import FaultServer
from persona_assets_tests.generation.test_reply_retries import request

Make = Callable[..., Endpoint]


def ask(
    endpoint: Endpoint, path: Path, row: Request, retry: Collection[Status] = ()
) -> tuple[Answer, int]:
    """Complete a request as a table does: its journal is compacted afterwards."""
    completions = path.with_suffix(".parquet")
    with Journal(path, completions) as journal:
        engine = Engine(endpoint, journal)
        [answer] = complete([row], engine, retry=retry)
    compact(path, completions)
    return answer, engine.usage.calls


@pytest.mark.parametrize(
    ("steps", "status", "sampling", "limits"),
    [
        (["refusal"], "refused", {}, [None, None]),
        (["finish:content_filter"], "filtered", {"seed": 7}, [None, None]),
        (["finish:length"] * 2, "truncated", {"max_tokens": 100}, [100, 200, 400]),
        (["finish:tool_calls"] * 3, "invalid", {}, [None] * 4),
    ],
)
def test_retry_is_sent_once_and_its_answer_stays(
    endpoint: Make,
    journal_path: Path,
    steps: list[str],
    status: Status,
    sampling: dict[str, Any],
    limits: list[int | None],
) -> None:
    with FaultServer({"row": steps}) as server:
        ready, row = endpoint(server.url), request("row", **sampling)
        answer, calls = ask(ready, journal_path, row)
        assert (answer.status, calls) == (status, len(steps))
        assert ask(ready, journal_path, row) == (answer, 0)
        other: Status = "invalid" if status != "invalid" else "refused"
        assert ask(ready, journal_path, row, [other]) == (answer, 0)

        retried, calls = ask(ready, journal_path, row, [status])
        assert (retried.status, calls) == ("ok", 1)
        assert ask(ready, journal_path, row) == (retried, 0)
        assert ask(ready, journal_path, row, [status]) == (retried, 0)
    assert [body.get("max_tokens") for body in server.bodies] == limits
    if "seed" in sampling:
        assert [body["seed"] for body in server.bodies] == [7, 8]


def test_retry_that_fails_again_is_sent_once_a_run(endpoint: Make, journal_path: Path) -> None:
    with FaultServer({"row": ["refusal"] * 3}) as server:
        ready, row = endpoint(server.url), request("row")
        found = [ask(ready, journal_path, row, retry) for retry in ((), ["refused"], ["refused"])]
        assert [(answer.status, calls) for answer, calls in found] == [("refused", 1)] * 3
        assert len({answer.completion_id for answer, _ in found}) == 3
        assert ask(ready, journal_path, row) == (found[-1][0], 0)
        answer, calls = ask(ready, journal_path, row, ["refused"])
        assert (answer.status, calls) == ("ok", 1)
