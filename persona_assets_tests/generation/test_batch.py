"""The Batch API as a transport, over real HTTP against a server that misbehaves on request."""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from persona_assets.generation import Call, Endpoint, Engine, Journal, Record, Usage, call_key
from persona_assets.generation.batch import Batches
from persona_assets.generation.errors import BudgetReached, EndpointRefused, EndpointUnreachable
from persona_assets.generation.journal import JournalBusy
from persona_assets_tests.generation.batch_sending import Purse, land, take
from persona_assets_tests.generation.batch_server import BatchServer
from persona_assets_tests.generation.sample_calls import CANARY, KEY_VARIABLE, call

MakeEndpoint = Callable[..., Endpoint]
MakeCalls = Callable[[int], list[Call]]


class Open:
    """Batches over a journal, opened and closed together."""

    def __init__(self, endpoint: Endpoint, path: Path, **settings: Any) -> None:
        self.usage = Usage()
        self.journal = Journal(path)
        self.endpoint = endpoint
        self.spending = settings.pop("spending", Purse())
        self.settings = settings

    def __enter__(self) -> "Open":
        self.journal.__enter__()
        self.batches = Batches(
            self.endpoint, self.journal, self.usage, self.spending, run_id="run", **self.settings
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.batches.close()
        self.journal.close()

    def land(self, calls: Sequence[Call]) -> dict[str, Record]:
        return land(self.batches, calls)


def answers(records: Iterable[Record]) -> set[str]:
    return {record.choice["message"]["content"] for record in records}


@pytest.fixture
def opened(endpoint: MakeEndpoint, journal_path: Path) -> Callable[..., Open]:
    """Opens Batches over the test's journal."""

    def make(server: BatchServer, *, max_attempts: int = 3, **settings: Any) -> Open:
        made = endpoint(server.url, batch_poll=0.02, transport="batch", max_attempts=max_attempts)
        return Open(made, journal_path, **settings)

    return make


Opened = Callable[..., Open]


def long_calls(number: int) -> list[Call]:
    return [call(f"row {row} " + "x" * 3000) for row in range(number)]


def test_a_batch_becomes_records_with_what_they_cost(
    opened: Opened, calls: MakeCalls, journal_path: Path
) -> None:
    with BatchServer(looks=3) as server, opened(server) as run:
        asked = [Call(it.key, it.url, it.body, "prompt-7") for it in calls(5)]
        records = run.land(asked)
        assert answers(records.values()) == {f"answer to row {row}" for row in range(5)}
        for record in records.values():
            assert (record.batch, record.run_id, record.attempt) == (True, "run", 1)
            assert (record.prompt_version, record.model) == ("prompt-7", "test-model")
            assert record.cost == Decimal("0.10")
            assert run.journal.get(record.key) == record
        [batch] = server.batches
        assert (batch["endpoint"], batch["completion_window"]) == ("/v1/chat/completions", "24h")
        assert [it["custom_id"] for it in server.requests(server.uploads[0])] == list(records)[::-1]
        assert run.usage.calls == run.usage.attempts == 5
        assert run.usage.cost == Decimal("0.50")
        wait_for(lambda: run.batches.open_batches == run.batches.waiting == 0)
    assert list(journal_path.parent.glob("*.batches")) == []


def test_splits_by_requests(opened: Opened, calls: MakeCalls) -> None:
    with BatchServer() as server, opened(server, most_requests=4) as run:
        assert len(run.land(calls(10))) == 10
        assert [len(server.requests(it)) for it in server.uploads] == [4, 4, 2]
        assert set(server.sent.values()) == {1}


def test_splits_by_the_bytes_of_the_file_to_the_last_one(opened: Opened) -> None:
    asked = long_calls(9)
    with BatchServer() as server, opened(server) as run:
        run.land(asked)
        size = server.uploads[0]["bytes"] // 9
    asked = [Call(call_key("again", it.url, it.body), it.url, it.body) for it in asked]
    with BatchServer() as server, opened(server, most_bytes=3 * size) as run:
        run.land(asked)
        assert [it["bytes"] for it in server.uploads] == [3 * size] * 3
    asked = [Call(call_key("anew", it.url, it.body), it.url, it.body) for it in asked]
    with BatchServer() as server, opened(server, most_bytes=3 * size - 1) as run:
        run.land(asked)
        assert [it["bytes"] for it in server.uploads] == [2 * size] * 4 + [size]


def test_embeddings_count_each_input_and_go_into_files_of_their_own(opened: Opened) -> None:
    bodies = [{"input": [f"text {n}", "text"]} for n in range(3)]
    asked = [Call(call_key("m", "/embeddings", it), "/embeddings", it) for it in bodies]
    with BatchServer() as server, opened(server, most_requests=4) as run:
        records = run.land([*asked, call("row")])
        assert len(records) == 4
        shapes = {(it["endpoint"], it["request_counts"]["total"]) for it in server.batches}
        assert shapes == {("/v1/embeddings", 2), ("/v1/embeddings", 1), ("/v1/chat/completions", 1)}


def test_a_request_that_fits_into_no_file_is_an_error_of_its_own(opened: Opened) -> None:
    large, small = call("x" * 5000), call("small")
    with BatchServer() as server, opened(server, most_bytes=2000) as run:
        records = run.land([large, small])
        assert records[large.key].failure == "bad_request"
        assert records[small.key].failure is None
        assert run.journal.get(large.key) is not None


def test_text_of_all_kinds_arrives_as_it_was(opened: Opened) -> None:
    texts = ["Fünf Bücher, 书", "two\nlines\u2028three", "lone \ud800 surrogate", '"quoted" \\']
    with BatchServer() as server, opened(server) as run:
        run.land([call(text) for text in texts])
        sent = [it["body"]["messages"][0]["content"] for it in server.requests(server.uploads[0])]
        assert sent == texts


def test_a_key_that_is_submitted_twice_is_sent_once(opened: Opened, calls: MakeCalls) -> None:
    with BatchServer() as server, opened(server) as run:
        run.batches.submit(calls(3))
        assert len(run.land(calls(4))) == 4
        assert server.sent.total() == 4
        # By now the journal has them.
        assert len(run.land(calls(4))) == 4
        assert server.sent.total() == 4


def test_errors_are_classed_as_they_are_online(opened: Opened) -> None:
    steps = {"bad": ["400"], "filter": ["400-content_filter"]}
    with BatchServer(lines=steps) as server, opened(server) as run:
        asked = [call("bad"), call("filter"), call("good")]
        records = run.land(asked)
        refused = records[asked[0].key]
        assert (refused.failure, refused.status_code) == ("bad_request", 400)
        assert records[asked[2].key].failure is None
        assert run.usage.failed == 2


@pytest.mark.parametrize("step", ["missing", "expired", "timeout", "500", "429", "malformed"])
def test_a_request_without_an_answer_is_sent_again(opened: Opened, step: str) -> None:
    asked = [call("row 0"), call("row 1")]
    with BatchServer(lines={"row 1": [step, step]}) as server, opened(server) as run:
        records = run.land(asked)
        assert [records[it.key].attempt for it in asked] == [1, 3]
        assert [server.sent[it.key] for it in asked] == [1, 3]
        assert all(record.failure is None for record in records.values())


@pytest.mark.parametrize(
    ("step", "failure"),
    [
        ("missing", "expired"),
        ("expired", "expired"),
        ("500", "server_error"),
        ("429", "rate_limit"),
    ],
)
def test_a_request_is_sent_as_often_as_attempts_are_allowed(
    opened: Opened, step: str, failure: str
) -> None:
    asked = [call("row 0"), call("row 1")]
    with BatchServer(lines={"row 1": [step] * 9}) as server, opened(server) as run:
        records = run.land(asked)
        assert (records[asked[1].key].failure, records[asked[1].key].attempt) == (failure, 3)
        assert server.sent[asked[1].key] == 3
        assert records[asked[0].key].failure is None


@pytest.mark.parametrize("end", ["expired", "expired-bare", "cancelled"])
def test_a_batch_that_ends_early_keeps_its_answers(
    opened: Opened, calls: MakeCalls, end: str
) -> None:
    with BatchServer(ends=[end]) as server, opened(server) as run:
        records = run.land(calls(10))
        assert [len(server.requests(it)) for it in server.uploads] == [10, 5]
        assert set(server.billed.values()) == {1}
        assert sorted(record.attempt for record in records.values()) == [1] * 5 + [2] * 5


def test_a_batch_may_end_with_errors_alone(opened: Opened, calls: MakeCalls) -> None:
    steps = {f"row {row}": ["400"] for row in range(3)}
    with BatchServer(lines=steps) as server, opened(server) as run:
        records = run.land(calls(3))
        assert {record.failure for record in records.values()} == {"bad_request"}
        assert server.batches[0]["output_file_id"] == ""


def test_lines_that_nobody_waits_for_are_counted(opened: Opened, calls: MakeCalls) -> None:
    steps = {"row 0": ["twice"], "row 1": ["twice"], "row 2": ["garbage"]}
    with BatchServer(lines=steps) as server, opened(server) as run:
        assert len(run.land(calls(4))) == 4
        assert run.batches.ignored == 3
        assert len(list(run.journal.records())) == 4
        assert server.sent.total() == 5


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        *product(("upload", "create"), ("500", "drop", "drop-early", "html")),
        *product(("retrieve", "content"), ("429", "cut", "html")),
        ("content", "short"),
        ("create", "cut"),
        ("create", "429"),
    ],
)
def test_an_unclear_answer_is_asked_for_again_and_nothing_is_sent_twice(
    opened: Opened, calls: MakeCalls, kind: str, step: str
) -> None:
    with BatchServer(faults={kind: [step]}, page=1) as server, opened(server) as run:
        assert len(run.land(calls(2))) == 2
        assert server.counts[kind] >= 1
        assert set(server.sent.values()) == {1}


def test_a_failing_server_is_asked_without_end(opened: Opened, calls: MakeCalls) -> None:
    with BatchServer(faults={"retrieve": ["500"] * 3}) as server, opened(server) as run:
        assert len(run.land(calls(2))) == 2
        assert server.counts["retrieve"] == 4


@pytest.mark.parametrize(
    ("kind", "step", "said"),
    [
        *((kind, "401", KEY_VARIABLE) for kind in ("upload", "create", "retrieve", "content")),
        ("create", "403", KEY_VARIABLE),
        ("create", "429-quota", "no quota left"),
        ("create", "400-odd_code", "(400, odd_code)"),
    ],
)
def test_a_refusal_ends_the_run_with_one_sentence_and_costs_nothing_twice(
    opened: Opened, calls: MakeCalls, kind: str, step: str, said: str, journal_path: Path
) -> None:
    with BatchServer(faults={kind: [step]}) as server:
        with opened(server) as run, pytest.raises(EndpointRefused) as refused:
            run.land(calls(2))
        assert said in str(refused.value)
        assert refused.value.__cause__ is refused.value.__context__ is None
        # Once it is mended, the next run goes on where this one was.
        with opened(server) as run:
            assert len(run.land(calls(2))) == 2
        assert set(server.sent.values()) == {1}
        assert server.authorizations == {f"Bearer {CANARY}"}
    for path in journal_path.parent.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes()
    assert CANARY not in str(refused.value)


def test_an_endpoint_without_a_batch_api_says_so(opened: Opened, calls: MakeCalls) -> None:
    with (
        BatchServer(faults={"upload": ["404"]}) as server,
        opened(server) as run,
        pytest.raises(EndpointRefused, match="offers no Batch API"),
    ):
        run.land(calls(1))


def test_a_batch_that_the_provider_has_forgotten_is_not_paid_for_again(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer() as server:
        server.hold = True
        with opened(server) as run:
            run.batches.submit(calls(2))
            run.batches.flush()
            wait_for(lambda: server.counts["retrieve"] > 0)
        forgotten, server.batches = server.batches, []
        for _ in range(2):
            with (
                opened(server, max_attempts=2) as run,
                pytest.raises(EndpointRefused, match="does not know the batch"),
            ):
                run.land(calls(2))
        server.batches, server.hold = forgotten, False
        with opened(server) as run:
            assert len(run.land(calls(2))) == 2
        assert set(server.sent.values()) == {1}


def test_no_server_at_all(endpoint: MakeEndpoint, calls: MakeCalls, journal_path: Path) -> None:
    nowhere = endpoint("http://127.0.0.1:9/v1", max_attempts=2)
    with (
        Open(nowhere, journal_path) as run,
        pytest.raises(EndpointUnreachable, match="cannot be reached"),
    ):
        run.land(calls(1))


def test_a_missing_key_is_told_before_anything_is_written(
    endpoint: MakeEndpoint, journal_path: Path
) -> None:
    keyless = endpoint("http://127.0.0.1:9/v1", api_key_env="PERSONA_ASSETS_TEST_NO_KEY")
    with Journal(journal_path) as journal, pytest.raises(EndpointRefused, match="NO_KEY"):
        Batches(keyless, journal, Usage(), Purse())
    assert list(journal_path.parent.glob("*.batches")) == []


def test_a_line_that_refuses_the_model_ends_the_run_but_keeps_the_other_answers(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer(lines={"row 1": ["404-model"]}) as server:
        with opened(server) as run:
            with pytest.raises(EndpointRefused, match="knows no model"):
                run.land(calls(3))
            assert len(run.journal) == 2
        with opened(server) as run:
            assert len(run.land(calls(3))) == 3
        assert sorted(server.sent.values()) == [1, 1, 2]


def test_a_batch_that_is_not_valid_is_not_sent_again(
    opened: Opened, calls: MakeCalls, journal_path: Path
) -> None:
    with BatchServer(ends=["failed:invalid_json_line"]) as server:
        with opened(server) as run, pytest.raises(EndpointRefused) as refused:
            run.land(calls(3))
        assert "invalid_json_line, line 1" in str(refused.value)
        assert "no, no" not in str(refused.value)
        [kept] = journal_path.parent.rglob("*.requests")
        assert str(kept) in str(refused.value)
        assert kept.read_bytes() == server.content["file-0"]
        assert len(server.batches) == 1
        with opened(server) as run:
            assert len(run.land(calls(3))) == 3


def test_a_batch_that_failed_unseen_is_sent_once_more_and_then_refused(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer(ends=["completed", "failed:empty_file"]) as server:
        server.hold = True
        with opened(server) as run:
            run.batches.submit(calls(3))
            run.batches.flush()
            wait_for(lambda: server.counts["retrieve"] > 0)
        with server.lock:
            server.batches[0] |= {"status": "failed"}
        with opened(server) as run, pytest.raises(EndpointRefused, match="empty_file"):
            run.land(calls(3))


def test_an_error_code_that_is_no_code_is_not_repeated(opened: Opened, calls: MakeCalls) -> None:
    with (
        BatchServer(ends=[f"failed:{CANARY}"]) as server,
        opened(server) as run,
        pytest.raises(EndpointRefused, match=r"refuses a batch \(line 1\)"),
    ):
        run.land(calls(1))


def test_a_file_that_is_too_large_for_the_upload_is_halved(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer(largest=400) as server, opened(server) as run:
        assert len(run.land(calls(9))) == 9
        assert max(len(server.requests(it)) for it in server.uploads) == 2
        assert set(server.sent.values()) == {1}


def test_batches_wait_for_room_in_the_accounts_queue(opened: Opened, calls: MakeCalls) -> None:
    with BatchServer(queue=5, looks=2) as server, opened(server, most_requests=4) as run:
        assert len(run.land(calls(16))) == 16
        assert set(server.sent.values()) == {1}
        assert [it["status"] for it in server.batches].count("completed") == 4
        assert len(server.batches) <= 4 + 3 + 2 + 1


def test_a_batch_that_can_never_fit_into_the_queue_is_halved(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer(queue=3) as server, opened(server) as run:
        assert len(run.land(calls(10))) == 10
        assert set(server.sent.values()) == {1}
        assert max(it["request_counts"]["total"] for it in server.batches) <= 3


def test_what_the_budget_does_not_allow_waits_for_what_comes_back(
    opened: Opened, calls: MakeCalls
) -> None:
    # At worst 10 calls cost 10, in truth 1: 3 leave room for 3, then for more.
    purse = Purse(cap="3", most="1")
    with BatchServer() as server, opened(server, spending=purse) as run:
        assert len(run.land(calls(10))) == 10
        assert purse.left == 2
        assert set(server.sent.values()) == {1}
        assert max(it["request_counts"]["total"] for it in server.batches) <= 3


def test_the_budget_is_never_exceeded(opened: Opened, calls: MakeCalls) -> None:
    purse = Purse(cap="0.45", most="0.15")
    with BatchServer() as server:
        with opened(server, spending=purse) as run, pytest.raises(BudgetReached):
            run.land(calls(10))
        # Each costs 0.10, so a fourth call is affordable and a fifth is not.
        assert server.billed.total() == 4
        assert purse.left == Decimal("0.05")
        purse.left += 10
        with opened(server, spending=purse) as run:
            run.land([it for it in calls(10) if it.key not in run.journal])
        assert purse.left == Decimal("0.05") + 10 - Decimal("0.60")
        assert set(server.sent.values()) == {1}


def test_what_is_not_answered_is_given_back(opened: Opened) -> None:
    purse = Purse(cap="10", most="1")
    steps = {"bad": ["400"], "late": ["expired"]}
    with BatchServer(lines=steps) as server, opened(server, spending=purse) as run:
        run.land([call("bad"), call("late"), call("good")])
        assert purse.left == Decimal("9.8")


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_close_leaves_batches_at_the_provider_for_the_next_run(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer() as server:
        server.hold = True
        with opened(server, most_requests=2) as run:
            run.batches.submit(calls(4))
            run.batches.flush()
            wait_for(lambda: len(server.batches) == 2 and server.counts["retrieve"] > 3)
            assert (run.batches.open_batches, run.batches.waiting) == (2, 4)
        server.hold = False
        with opened(server, most_requests=2) as run:
            assert len(run.land(calls(6))) == 6
        assert set(server.sent.values()) == {1}
        assert len(server.batches) == 3


@pytest.mark.parametrize(("scopes", "left"), [("run:1", "9.7"), ("run:2", "10")])
def test_what_one_run_was_charged_is_not_given_back_to_another(
    opened: Opened, calls: MakeCalls, scopes: str, left: str
) -> None:
    with BatchServer() as server:
        server.hold = True
        first = Purse(cap="10", most="1")
        with opened(server, spending=first) as run:
            run.batches.submit(calls(3))
            run.batches.flush()
            wait_for(lambda: server.counts["retrieve"] > 1)
        assert first.left == 7
        server.hold = False
        # The same caps have 7 left until the batch, which cost 0.3, has landed.
        second = Purse(cap="7" if scopes == "run:1" else "10", most="1", scopes=scopes)
        with opened(server, spending=second) as run:
            assert len(run.land(calls(3))) == 3
            wait_for(lambda: run.batches.open_batches == 0)
        assert second.left == Decimal(left)
        assert len(server.batches) == 1


def test_a_batch_under_way_is_not_paid_for_again_online(
    opened: Opened, calls: MakeCalls, endpoint: MakeEndpoint
) -> None:
    with BatchServer() as server:
        server.hold = True
        with opened(server) as run:
            run.batches.submit(calls(3))
            run.batches.flush()
            wait_for(lambda: server.counts["retrieve"] > 1)
            journal = run.journal
        with journal, pytest.raises(EndpointRefused, match="set the role's transport to batch"):
            list(Engine(endpoint(server.url), journal).send(calls(3)))
        server.hold = False
        with journal:
            engine = Engine(run.endpoint, journal)
            assert len(list(engine.send(calls(3)))) == 3
            assert len(list(Engine(endpoint(server.url), journal).send(calls(3)))) == 3
        assert set(server.sent.values()) == {1}


def test_close_does_not_wait_for_an_answer_to_a_look(opened: Opened, calls: MakeCalls) -> None:
    with BatchServer(faults={"retrieve": ["hang"]}) as server:
        with opened(server) as run:
            run.batches.submit(calls(1))
            run.batches.flush()
            wait_for(lambda: server.counts["retrieve"] == 1)
        # The server holds the answer back until it is closed.
        assert not server.closing.is_set()
        with opened(server) as run:
            assert len(run.land(calls(1))) == 1
        assert server.sent.total() == 1


def test_a_finished_batch_that_nobody_asks_for_is_collected(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer() as server:
        server.hold = True
        with opened(server) as run:
            run.batches.submit(calls(3))
            run.batches.flush()
            wait_for(lambda: server.counts["retrieve"] > 0)
        server.hold = False
        with opened(server) as run:
            assert len(run.land([call("another")])) == 1
            wait_for(lambda: len(run.journal) == 4)
            assert run.batches.landed.empty()
        assert server.sent.total() == 4


def test_what_was_not_sent_and_nobody_asks_for_is_not_sent(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer(faults={"create": ["401"]}) as server:
        with opened(server) as run, pytest.raises(EndpointRefused):
            run.land(calls(3))
        with opened(server) as run:
            assert len(run.land(calls(2))) == 2
        assert server.sent.total() == 2


def test_what_an_earlier_run_left_is_found_behind_what_others_have_made_since(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer(page=2) as server:
        for kind, listed in (("upload", "files"), ("create", "batches")):
            server.faults = {kind: ["drop"], listed: ["401"]}
            with opened(server) as run, pytest.raises(EndpointRefused):
                run.land(calls(2))
            for n in range(5):
                line = json.dumps({"custom_id": f"{kind} {n}", "url": "/v1", "body": {"input": ""}})
                file = server.add_file("another.jsonl", line.encode(), "batch")
                other = {"endpoint": "/v1", "completion_window": "24h", "metadata": None}
                server.add_batch({"input_file_id": file["id"], **other})
        with opened(server) as run:
            assert len(run.land(calls(2))) == 2
        assert [it["filename"] for it in server.uploads].count("another.jsonl") == 10
        assert len(server.uploads) == 11
        assert set(server.sent.values()) == {1}


def test_an_upload_that_was_cut_short_is_not_taken_for_whole(
    opened: Opened, calls: MakeCalls, journal_path: Path
) -> None:
    with BatchServer(faults={"upload": ["drop-early"], "files": ["401"]}) as server:
        with opened(server) as run, pytest.raises(EndpointRefused):
            run.land(calls(2))
        [requests] = journal_path.parent.rglob("*.requests")
        server.add_file(f"persona_assets-{requests.stem}.jsonl", b"{", "batch")
        with opened(server) as run:
            assert len(run.land(calls(2))) == 2


def test_an_upload_that_is_asked_for_again_is_not_made_again(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer(faults={"create": ["401"]}) as server:
        with opened(server) as run, pytest.raises(EndpointRefused):
            run.land(calls(3))
        with opened(server) as run:
            wait_for(lambda: server.counts["batches"] == 1)
            time.sleep(0.05)
            assert len(run.land(calls(3))) == 3
        assert len(server.uploads) == 1


def test_batches_are_found_by_their_upload_where_metadata_is_not_shown(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer(faults={"create": ["drop"]}, tagged=False) as server, opened(server) as run:
        assert len(run.land(calls(2))) == 2
        assert len(server.batches) == 1


def test_a_folder_has_one_holder(opened: Opened, endpoint: MakeEndpoint) -> None:
    with BatchServer() as server, opened(server) as run, pytest.raises(JournalBusy):
        Batches(run.endpoint, run.journal, Usage(), Purse())


def test_models_do_not_share_batches(
    endpoint: MakeEndpoint, calls: MakeCalls, journal_path: Path
) -> None:
    with BatchServer() as server, Journal(journal_path) as journal:
        server.hold = True
        one = endpoint(server.url, batch_poll=0.02)
        two = one.model_copy(update={"model": "another"})
        first, second = (Batches(it, journal, Usage(), Purse()) for it in (one, two))
        for batches in (first, second):
            batches.submit(calls(2))
            batches.flush()
        wait_for(lambda: len(server.batches) == 2)
        models = [server.requests(it)[0]["body"]["model"] for it in server.uploads]
        assert sorted(models) == ["another", "test-model"] or models == ["test-model"] * 2
        first.close()
        second.close()


def test_calls_that_follow_from_answers_go_out_together(opened: Opened, calls: MakeCalls) -> None:
    with BatchServer() as server, opened(server) as run:
        run.batches.submit(calls(1200))
        run.batches.flush()
        wait_for(lambda: run.batches.waiting == 0)
        while not run.batches.landed.empty():
            landed = run.batches.landed.get()
            assert not isinstance(landed, BaseException)
            run.batches.submit([call(f"follows {record.key}") for record in landed])
            run.batches.flush()
            time.sleep(0.05)
        take(run.batches, [call(f"follows {it.key}").key for it in calls(1200)])
        assert len(server.batches) == 2


def test_a_key_that_is_repeated_in_the_results_gets_nowhere(
    opened: Opened, journal_path: Path
) -> None:
    rows = [f"row {row}" for row in range(200)]
    with BatchServer(lines={row: ["400"] for row in rows}) as server, opened(server) as run:
        records = run.land([call(row) for row in rows])
        assert "your key was Bearer [API key]" in str(records[call("row 7").key].body)
    assert CANARY.encode() not in journal_path.read_bytes()


@pytest.mark.parametrize("page", [["html"], ["html", "html"]])
def test_a_page_in_place_of_the_results_does_not_make_them_be_paid_again(
    opened: Opened, calls: MakeCalls, page: list[str]
) -> None:
    with BatchServer(faults={"content": page}) as server:
        with opened(server, max_attempts=2) as run:
            if len(page) == 1:
                assert len(run.land(calls(1))) == 1
            else:
                with pytest.raises(EndpointRefused, match="something else than the results"):
                    run.land(calls(1))
        with opened(server) as run:
            assert len(run.land(calls(1))) == 1
        assert server.sent.total() == 1
