"""A run that stops, for any reason, keeps the answers that it paid for."""

import gc
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from persona_assets.generation import (
    Call,
    Endpoint,
    Engine,
    Journal,
)
from persona_assets_tests.generation.child_programs import command
from persona_assets_tests.generation.fault_server import FaultServer
from persona_assets_tests.generation.sample_calls import call, content

Make = Callable[..., Endpoint]
Calls = Callable[[int], list[Call]]


class Cancelled(BaseException):
    pass


def generation_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "generation"}


def test_exception_in_the_reader_stops_sending_and_keeps_the_answers(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    rows = calls(400)
    # An earlier test of the same process may have left a thread to the garbage collector.
    earlier = generation_threads()
    with FaultServer(latency=0.02) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, concurrency=4), journal)

        def read() -> None:
            for number, _ in enumerate(engine.send(rows)):
                if number == 20:
                    raise Cancelled

        with pytest.raises(Cancelled):
            read()
        asked = server.asked.total()
        assert 20 < asked < 400
        assert len(journal) == asked == server.billed.total()
        assert not generation_threads() - earlier
        assert len(list(engine.send(rows))) == 400
    assert set(server.billed.values()) == {1}


def test_calls_that_do_not_land_within_the_grace_are_recorded_as_uncertain(
    endpoint: Make, journal_path: Path
) -> None:
    script = {"stuck": ["hang"]}
    with FaultServer(script) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, timeout=50.0), journal, grace=0.1)
        with closing(engine.send([call("quick"), call("stuck")])) as records:
            assert content(next(records)) == "answer to quick"
            server.wait_for(2)
        assert len(journal) == 1
        cut_off = [
            (record.failure, record.uncertain) for record in journal.records() if record.failure
        ]
        assert cut_off == [("connection", 1)]


def test_interrupt_of_the_process_keeps_each_billed_answer(journal_path: Path) -> None:
    with FaultServer(latency=0.01) as server:
        child = subprocess.Popen(
            command("run_until_interrupted", server.url, journal_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        server.wait_for(50)
        os.kill(child.pid, signal.SIGINT)
        out, errors = child.communicate(timeout=60)
        assert errors == ""
        assert out == f"interrupted {server.billed.total()}\n"
    assert child.returncode == 0


def test_full_disk_ends_the_run_and_the_next_run_pays_for_no_written_answer(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    with FaultServer() as server:
        child = subprocess.run(
            command("run_on_full_disk", server.url, journal_path),
            capture_output=True,
            text=True,
            check=True,
        )
        assert (child.stdout, child.stderr) == ("File too large\n", "")
        with Journal(journal_path) as journal:
            kept = len(journal)
            # Lost: the calls in flight when the disk was full, and those of the same write.
            assert 10 < kept <= server.billed.total() <= kept + 8
            list(Engine(endpoint(server.url), journal).send(calls(500)))
    assert set(server.billed) == {f"row {n}" for n in range(500)}
    assert server.billed.total() <= 508


def test_finished_run_leaves_no_thread(endpoint: Make, calls: Calls, journal_path: Path) -> None:
    gc.collect()
    before = Counter(thread.name for thread in threading.enumerate())
    with FaultServer() as server, Journal(journal_path) as journal:
        list(Engine(endpoint(server.url), journal).send(calls(20)))
    gc.collect()
    assert not Counter(thread.name for thread in threading.enumerate()) - before
