"""A server of the project that ends within a run is started again, a bounded number of times."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from persona_assets.generation import Endpoint, Engine, Journal
from persona_assets.generation.calls.errors import EndpointUnreachable
from persona_assets.resources.local_client import MOST_STARTS, LocalClient
from persona_assets_tests.generation.fault_server import FaultServer
from persona_assets_tests.generation.sample_calls import call


class ChildServer:
    """Server in threads that ends after some answers, and starts at another port."""

    api_key = "a-key-of-its-own"

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.starts = 0
        self.start()

    def start(self) -> None:
        self.starts += 1
        self.server = FaultServer(answer=self._answer)
        self.server.key = self.api_key
        self.server.__enter__()
        self.running = True

    @property
    def base_url(self) -> str:
        return self.server.url

    def stop(self) -> None:
        self.running = False
        self.server.go_away()

    def _answer(self, message: str) -> str:
        if self.running and self.server.billed.total() > self.answers:
            self.stop()
        return f"answer to {message}"


@contextmanager
def child_server(answers: int) -> Iterator[ChildServer]:
    server = ChildServer(answers)
    try:
        yield server
    finally:
        server.stop()


def engine(server: ChildServer, journal: Journal) -> Engine:
    endpoint = Endpoint(model="m", api_key_env=None, concurrency=2, outage=0)
    return Engine(endpoint, journal, client=lambda _: LocalClient(endpoint, server))


def test_server_that_ends_is_started_again(tmp_path: Path) -> None:
    calls = [call(f"row {number}") for number in range(9)]
    with child_server(answers=5) as server, Journal(tmp_path / "a.jsonl") as journal:
        records = list(engine(server, journal).send(calls))
    assert [record.failure for record in records] == [None] * 9
    assert server.starts == 2


def test_server_that_ends_at_every_call_is_started_a_bounded_number_of_times(
    tmp_path: Path,
) -> None:
    with (
        child_server(answers=0) as server,
        Journal(tmp_path / "a.jsonl") as journal,
        # The last attempt may find an address without a server.
        suppress(EndpointUnreachable),
    ):
        [record] = engine(server, journal).send([call("row")])
        assert record.failure == "connection"
    assert server.starts == 1 + MOST_STARTS
