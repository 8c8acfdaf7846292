import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from persona_assets.generation import (
    Call,
    CallRecord,
    Endpoint,
    EndpointRefused,
    EndpointUnreachable,
    Engine,
    Journal,
    Usage,
    call_key,
)
from persona_assets_tests.generation.fault_server import FaultServer
from persona_assets_tests.generation.sample_calls import CANARY, KEY_VARIABLE, call

Make = Callable[..., Endpoint]
Calls = Callable[[int], list[Call]]


def content(record: CallRecord) -> str:
    return str(record.choice["message"]["content"])


def test_records_come_in_the_order_of_the_calls(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    script = {"row 0": ["500"], "row 7": ["429"]}
    with FaultServer(script) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, concurrency=8), journal, run_id="run 1")
        records = list(engine.send(calls(60)))
    assert [content(record) for record in records] == [f"answer to row {n}" for n in range(60)]
    assert set(server.billed.values()) == {1}
    assert server.most_in_flight <= 8
    assert {record.run_id for record in records} == {"run 1"}
    assert (records[0].attempt, records[1].attempt) == (2, 1)
    usage = engine.usage
    assert (usage.calls, usage.replayed, usage.failed, usage.attempts) == (60, 0, 0, 62)
    assert (usage.tokens.input, usage.tokens.output) == (420, 180)


def test_a_replay_asks_nothing_and_needs_neither_key_nor_server(
    endpoint: Make, calls: Calls, journal_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer({"row 2": ["400-filter"]}) as server:
        with Journal(journal_path) as journal:
            first = list(Engine(endpoint(server.url), journal).send(calls(20)))
        url = server.url
    size = journal_path.stat().st_size
    monkeypatch.delenv(KEY_VARIABLE)
    with Journal(journal_path) as journal:
        engine = Engine(endpoint(url), journal)
        assert list(engine.send(calls(20))) == first
    assert (engine.usage.replayed, engine.usage.calls) == (20, 0)
    assert journal_path.stat().st_size == size
    assert server.asked.total() == 20


def test_one_new_row_in_the_middle_costs_one_call(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    with FaultServer() as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url), journal)
        list(engine.send(calls(10)))
        edited = [*calls(5), call("another row"), *calls(10)[6:]]
        keys = [record.key for record in engine.send(edited)]
    assert keys == [call.key for call in edited]
    assert server.billed.total() == 11


def test_a_key_that_comes_twice_is_asked_once(endpoint: Make, journal_path: Path) -> None:
    with FaultServer(latency=0.05) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url), journal)
        records = list(engine.send([call("same"), call("other"), call("same")] * 3))
    assert len(records) == 9
    assert server.billed == {"same": 1, "other": 1}


def test_a_sample_index_is_a_call_of_its_own(endpoint: Make, journal_path: Path) -> None:
    with FaultServer() as server, Journal(journal_path) as journal:
        list(Engine(endpoint(server.url), journal).send([call("same", 0), call("same", 1)]))
    assert server.billed == {"same": 2}


def test_the_stream_is_read_as_needed(endpoint: Make, journal_path: Path) -> None:
    read = 0

    def stream() -> Iterator[Call]:
        nonlocal read
        for row in range(1_000_000):
            read += 1
            yield call(f"row {row}")

    with FaultServer() as server, Journal(journal_path) as journal:
        records = Engine(endpoint(server.url, concurrency=4), journal).send(stream())
        with closing(records):
            for _ in range(5):
                next(records)
    assert read <= 1024 + 5
    assert server.asked.total() < 1024


def test_embeddings_pass_through_the_same_engine(endpoint: Make, journal_path: Path) -> None:
    body = {"input": "a text"}
    embedding = Call(call_key("test-model", "/embeddings", body), "/embeddings", body)
    with FaultServer() as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url), journal)
        [record] = engine.send([embedding])
        [again] = engine.send([embedding])
    assert record == again
    assert record.body is not None
    assert record.body["data"][0]["embedding"] == [0.25, -0.5]
    assert engine.usage.tokens.input == 5
    assert server.bodies == [{"model": "test-model", "input": "a text"}]


FAULTS = [
    "429",
    "429-date",
    "500",
    "502",
    "503",
    "hang",
    "drop",
    "drop-early",
    "truncated",
    "garbage",
    "html-200",
    "error-200",
]


def test_every_fault_that_passes_is_overcome(endpoint: Make, journal_path: Path) -> None:
    script = {fault: [fault] for fault in FAULTS}
    with FaultServer(script) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, timeout=1.0, concurrency=6), journal)
        records = list(engine.send([call(fault) for fault in FAULTS]))
        assert {content(record) for record in records} == {f"answer to {f}" for f in FAULTS}
        assert [record.attempt for record in records] == [2] * len(FAULTS)
    assert set(server.asked.values()) == {2}
    assert len(journal_path.read_bytes().splitlines()) == len(FAULTS)


def test_nothing_is_sent_before_a_retry_after_has_passed(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    script = {"row 0": ["429-together"], "row 1": ["slow"]}
    with FaultServer(script) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, concurrency=2), journal)
        assert len(list(engine.send(calls(6)))) == 6
    assert server.violations == 0
    assert server.asked["row 0"] == 2


CODES = {
    "500": "server_error",
    "502": "server_error",
    "503": "server_error",
    "429": "rate_limit",
    "hang": "timeout",
    "drop": "connection",
    "truncated": "connection",
    "garbage": "malformed",
    "html-200": "malformed",
    "error-200": "malformed",
}


def test_a_fault_that_lasts_ends_in_an_error_that_the_next_run_asks_again(
    endpoint: Make, journal_path: Path
) -> None:
    script = {fault: [fault] * 50 for fault in CODES}
    rows = [*map(call, CODES), call("good")]
    with FaultServer(script) as server, Journal(journal_path) as journal:
        settings = {"timeout": 0.5, "max_attempts": 2, "deadline": 4.0, "concurrency": 11}
        engine = Engine(endpoint(server.url, **settings), journal)
        records = list(engine.send(rows))
        assert [record.failure for record in records] == [*CODES.values(), None]
        assert engine.usage.failed == len(CODES)
        assert server.asked["drop"] == server.asked["500"] == 2
        assert len(journal) == 1
        server.script.clear()
        engine = Engine(endpoint(server.url), journal)
        assert [record.failure for record in engine.send(rows)] == [None] * len(rows)
        assert (engine.usage.replayed, engine.usage.calls) == (1, len(CODES))


def test_being_rate_limited_costs_no_attempt(endpoint: Make, journal_path: Path) -> None:
    script = {"row": ["429-date", "429-date"]}
    with FaultServer(script) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, max_attempts=1), journal)
        [record] = engine.send([call("row")])
    assert (record.failure, record.attempt) == (None, 3)


def test_one_connection_that_fails_among_others_that_work_is_not_the_end(
    endpoint: Make, journal_path: Path
) -> None:
    with FaultServer(latency=0.03) as server, Journal(journal_path) as journal:

        def stream() -> Iterator[Call]:
            yield call("first")
            server.wait_for(1)
            server.refuse_connections()
            for row in range(80):
                yield call(f"row {row}")

        engine = Engine(endpoint(server.url, concurrency=2, max_attempts=3), journal)
        records = list(engine.send(stream()))
    assert len(records) == 81
    assert {record.failure for record in records} <= {None, "connection"}
    assert engine.usage.attempts > 81


def test_a_lasting_error_is_an_answer(endpoint: Make, journal_path: Path) -> None:
    script = {"bad": ["400"], "filtered": ["400-filter"]}
    with FaultServer(script) as server, Journal(journal_path) as journal:
        for _ in range(2):
            records = list(Engine(endpoint(server.url), journal).send(map(call, script)))
            assert [record.failure for record in records] == ["bad_request", "content_filter"]
            assert [record.status_code for record in records] == [400, 400]
    assert server.asked == {"bad": 1, "filtered": 1}


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("401", KEY_VARIABLE),
        ("402", "no quota left"),
        ("403", "give it access to the model 'test-model'"),
        ("404", "correct model or base_url"),
        ("429-quota", "no quota left"),
        ("429-long", "asks to wait 3600 s"),
    ],
)
def test_what_only_a_person_can_mend_stops_the_run(
    endpoint: Make, calls: Calls, journal_path: Path, fault: str, says: str
) -> None:
    with FaultServer(default=fault) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, concurrency=4), journal)
        with pytest.raises(EndpointRefused, match=says):
            list(engine.send(calls(500)))
        assert server.asked.total() <= 4
    assert journal_path.read_bytes() == b""


def test_answers_that_came_before_the_refusal_are_kept(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    rows = calls(50)
    with FaultServer({"row 30": ["401"]}) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, concurrency=4), journal)
        with pytest.raises(EndpointRefused):
            list(engine.send(rows))
        assert len(journal) == server.billed.total() >= 27
        assert len(list(Engine(endpoint(server.url), journal).send(rows))) == 50
    assert set(server.billed.values()) == {1}


@pytest.mark.parametrize("value", ["", "  ", "sk-with\nbreak", "sk-ключ"])
def test_a_missing_or_broken_key_is_told_before_anything_is_sent(
    endpoint: Make, calls: Calls, journal_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, value)
    with FaultServer() as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url), journal)
        for ask in (engine.check, lambda: list(engine.send(calls(3)))):
            with pytest.raises(EndpointRefused, match=KEY_VARIABLE) as caught:
                ask()
            assert "sk-" not in str(caught.value)
    assert server.asked.total() == 0


def test_no_key_is_needed_where_none_is_named(
    endpoint: Make, calls: Calls, journal_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    with FaultServer() as server, Journal(journal_path) as journal:
        assert (
            len(list(Engine(endpoint(server.url, api_key_env=None), journal).send(calls(2)))) == 2
        )
    assert server.authorizations == {"Bearer none"}


def test_check_asks_for_nothing_that_costs(
    endpoint: Make, journal_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer() as server, Journal(journal_path) as journal:
        Engine(endpoint(server.url), journal).check()
        Engine(endpoint(server.url + "/elsewhere"), journal).check()
        monkeypatch.setenv(KEY_VARIABLE, "sk-expired-key")
        with pytest.raises(EndpointRefused, match=KEY_VARIABLE):
            Engine(endpoint(server.url), journal).check()
    assert server.asked.total() == 0
    with pytest.raises(EndpointUnreachable, match=r"127\.0\.0\.1"):
        Engine(endpoint(server.url), journal).check()


@pytest.mark.parametrize(("number", "attempts"), [(5, 2), (500, 50)])
def test_a_server_that_is_not_there(
    endpoint: Make, calls: Calls, journal_path: Path, number: int, attempts: int
) -> None:
    with FaultServer() as server:
        url = server.url
    with Journal(journal_path) as journal:
        engine = Engine(endpoint(url, max_attempts=attempts), journal)
        with pytest.raises(EndpointUnreachable, match="start the server or correct base_url"):
            list(engine.send(calls(number)))
    assert journal_path.read_bytes() == b""


class Cancelled(BaseException):
    pass


def test_an_exception_in_the_reader_stops_sending_and_keeps_what_arrived(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    rows = calls(400)
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
        assert not [thread for thread in threading.enumerate() if thread.name == "generation"]
        assert len(list(engine.send(rows))) == 400
    assert set(server.billed.values()) == {1}


def test_calls_that_do_not_land_in_the_grace_are_given_up(
    endpoint: Make, journal_path: Path
) -> None:
    script = {"stuck": ["hang"]}
    with FaultServer(script) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, timeout=50.0), journal, grace=0.1)
        with closing(engine.send([call("quick"), call("stuck")])) as records:
            assert content(next(records)) == "answer to quick"
            server.wait_for(2)
        assert len(journal) == 1
        # That it may have been billed is written down.
        cut = [(it.failure, it.uncertain) for it in journal.records() if it.failure]
        assert cut == [("connection", 1)]


INTERRUPTED = """
import sys
from persona_assets.generation import Endpoint, Engine, Journal
from persona_assets_tests.generation.sample_calls import call
endpoint = Endpoint(model="test-model", base_url=sys.argv[1], api_key_env=None, concurrency=4)
with Journal(sys.argv[2]) as journal:
    try:
        for record in Engine(endpoint, journal).send(call(f"row {n}") for n in range(100_000)):
            pass
    except KeyboardInterrupt:
        print("interrupted", len(journal))
"""


def test_an_interrupt_of_the_whole_process(journal_path: Path) -> None:
    with FaultServer(latency=0.01) as server:
        child = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", INTERRUPTED, server.url, journal_path],
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


def test_a_disk_that_is_full_stops_the_run(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    script = """
import resource, sys
from persona_assets.generation import Endpoint, Engine, Journal
from persona_assets_tests.generation.sample_calls import call
endpoint = Endpoint(model="test-model", base_url=sys.argv[1], api_key_env=None, concurrency=4)
with Journal(sys.argv[2]) as journal:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        list(Engine(endpoint, journal).send(call(f"row {n}") for n in range(500)))
    except OSError as error:
        print(error.strerror)
"""
    with FaultServer() as server:
        child = subprocess.run(
            [sys.executable, "-W", "error", "-c", script, server.url, journal_path],
            capture_output=True,
            text=True,
            check=True,
        )
        assert (child.stdout, child.stderr) == ("File too large\n", "")
        with Journal(journal_path) as journal:
            kept = len(journal)
            # What was in flight when the disk was full, and what waited for the same write.
            assert 10 < kept <= server.billed.total() <= kept + 8
            list(Engine(endpoint(server.url), journal).send(calls(500)))
    assert set(server.billed) == {f"row {n}" for n in range(500)}
    assert server.billed.total() <= 508


def test_reports_say_how_far_the_run_is(endpoint: Make, calls: Calls, journal_path: Path) -> None:
    reports: list[tuple[int, int | None, int]] = []

    def report(done: int, total: int | None, usage: Usage) -> None:
        reports.append((done, total, usage.calls))

    with FaultServer() as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url), journal, report=report)
        list(engine.send(calls(5)))
        list(engine.send(iter(calls(7))))
    assert reports == [(5, 5, 5), (7, None, 7)]
    assert engine.usage.seconds > 0


def test_the_api_key_is_nowhere(
    endpoint: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Every step whose error body repeats the key, with the client's own log at its loudest.
    logging.getLogger("openai").setLevel(logging.DEBUG)
    stream = logging.StreamHandler()
    logging.getLogger().addHandler(stream)
    told = ""
    try:
        with FaultServer() as server:
            for step in ("400", "500", "401", "403", "404", "ok"):
                server.default = step
                with Journal(tmp_path / f"{step}.jsonl") as journal:
                    engine = Engine(endpoint(server.url, max_attempts=1), journal)
                    try:
                        told += str(list(engine.send([call(step)])))
                    except EndpointRefused as error:
                        told += "".join(traceback.format_exception(error))
            assert server.authorizations == {f"Bearer {CANARY}"}
    finally:
        logging.getLogger().removeHandler(stream)
        logging.getLogger("openai").setLevel(logging.NOTSET)
    assert "your key was Bearer [API key]" in told
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"your key was" in files
    told += "".join(capfd.readouterr())
    assert "HTTP Response: POST" in told or "Sending HTTP Request" in told
    assert CANARY not in told
    assert CANARY.encode() not in files


def test_nothing_is_left_open(endpoint: Make, calls: Calls, journal_path: Path) -> None:
    before = Counter(thread.name for thread in threading.enumerate())
    with FaultServer() as server, Journal(journal_path) as journal:
        list(Engine(endpoint(server.url), journal).send(calls(20)))
    gc.collect()
    assert Counter(thread.name for thread in threading.enumerate()) == before


def test_importing_the_package_loads_no_client() -> None:
    code = (
        "import sys, persona_assets.generation\n"
        "print([m for m in ('openai', 'aiohttp', 'httpx2', 'dagster') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
