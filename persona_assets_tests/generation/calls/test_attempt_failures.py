"""With a tenth of the calls failing, each row has an answer or the reason of its failure."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from persona_assets.generation import Endpoint, Engine, Journal, Request, complete
from persona_assets_tests.generation.fault_server import FaultServer

PASSING = ["429", "500", "502", "503", "hang", "drop", "truncated", "garbage", "html-200"]
LASTING = {
    "refusal": "refused",
    "content_filter": "filtered",
    "400-filter": "filtered",
    "length": "truncated",
    "400": "error:bad_request",
    "500": "error:server_error",
}
ROWS = 400


class Answered(BaseModel):
    text: str


def request(row: int) -> Request:
    return Request("writer", ({"role": "user", "content": f"row {row}"},), {}, Answered, "text")


def test_rows_in_are_rows_out_and_rows_with_a_reason(
    endpoint: Callable[..., Endpoint], journal_path: Path
) -> None:
    faulty = random.Random(3).sample(range(ROWS), ROWS // 10)
    lasting = dict(zip(faulty, [*LASTING] * 2, strict=False))
    script = {f"row {row}": [fault] * 9 for row, fault in lasting.items()}
    for number, row in enumerate(faulty[len(lasting) :]):
        script[f"row {row}"] = [PASSING[number % len(PASSING)]]
    with FaultServer(script, latency=0.01) as server, Journal(journal_path) as journal:
        ready = endpoint(server.url, timeout=0.5, max_attempts=3, concurrency=32)
        engine = Engine(ready, journal)
        answers = list(complete(map(request, range(ROWS)), engine))
        outcomes = Counter(
            answer.reason if answer.status == "error" else answer.status for answer in answers
        )
        assert len(answers) == ROWS
        assert outcomes == Counter(LASTING[fault] for fault in lasting.values()) + Counter(
            ok=ROWS - len(lasting)
        )
        assert [answer.value for answer in answers if answer.value] == [
            {"text": f"answer to row {row}"} for row in range(ROWS) if row not in lasting
        ]
        kept, asked = len(journal), server.asked.total()
        server.script.clear()
        again = list(complete(map(request, range(ROWS)), Engine(ready, journal)))
        # A call whose failure does not depend on the request alone is sent again.
        errors = outcomes["error:server_error"] + outcomes["error:bad_request"]
        assert server.asked.total() - asked == ROWS - kept == errors
        assert sum(answer.status == "ok" for answer in again) == outcomes["ok"] + ROWS - kept
