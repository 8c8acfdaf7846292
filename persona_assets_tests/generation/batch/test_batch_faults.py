"""The batch transport survives a misbehaving server, and sends and pays for nothing twice."""

from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest

from persona_assets.generation.calls.errors import EndpointRefused, EndpointUnreachable
from persona_assets_tests.generation.batch_sending import (
    BatchRun,
    FlatSpending,
    MakeCalls,
    MakeEndpoint,
    OpenRun,
)
from persona_assets_tests.generation.batch_server import BatchServer
from persona_assets_tests.generation.sample_calls import CANARY, KEY_VARIABLE, call


@pytest.mark.parametrize("step", ["missing", "expired", "timeout", "500", "429", "malformed"])
def test_request_without_a_response_is_sent_again(open_run: OpenRun, step: str) -> None:
    sent = [call("row 0"), call("row 1")]
    with BatchServer(lines={"row 1": [step, step]}) as server, open_run(server) as run:
        records = run.land(sent)
        assert [records[row.key].attempt for row in sent] == [1, 3]
        assert [server.sent[row.key] for row in sent] == [1, 3]
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
def test_request_is_sent_up_to_the_number_of_attempts(
    open_run: OpenRun, step: str, failure: str
) -> None:
    sent = [call("row 0"), call("row 1")]
    with BatchServer(lines={"row 1": [step] * 9}) as server, open_run(server) as run:
        records = run.land(sent)
        assert (records[sent[1].key].failure, records[sent[1].key].attempt) == (failure, 3)
        assert server.sent[sent[1].key] == 3
        assert records[sent[0].key].failure is None


@pytest.mark.parametrize(("times", "failure"), [(1, None), (9, "unfinished")])
def test_response_that_was_broken_off_is_accounted_and_its_request_sent_again(
    open_run: OpenRun, times: int, failure: str | None
) -> None:
    sent = [call("row 0"), call("row 1")]
    spending = FlatSpending(cap="9", most="1")
    lines = {"row 1": ["finish:error"] * times}
    with BatchServer(lines=lines) as server, open_run(server, spending=spending) as run:
        records = run.land(sent)
        billed = server.billed.total()
        assert billed == 2 + min(times, 2)
        assert [records[row.key].failure for row in sent] == [None, failure]
        # 7 tokens of input and 3 of output at a cent each.
        written = list(run.journal.records())
        assert [str(record.cost) for record in written] == ["0.10"] * billed
        assert (run.usage.calls, run.usage.cost) == (billed, Decimal("0.10") * billed)
        assert run.usage.failed == (failure is not None)
        assert spending.left == 9 - Decimal("0.10") * billed


@pytest.mark.parametrize("end", ["expired", "expired-bare", "cancelled"])
def test_batch_that_ends_early_keeps_its_responses(
    open_run: OpenRun, calls: MakeCalls, end: str
) -> None:
    with BatchServer(ends=[end]) as server, open_run(server) as run:
        records = run.land(calls(10))
        assert [len(server.requests(upload)) for upload in server.uploads] == [10, 5]
        assert set(server.billed.values()) == {1}
        assert sorted(record.attempt for record in records.values()) == [1] * 5 + [2] * 5


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
def test_request_with_an_unclear_response_is_repeated_and_nothing_is_sent_twice(
    open_run: OpenRun, calls: MakeCalls, kind: str, step: str
) -> None:
    with BatchServer(faults={kind: [step]}, page=1) as server, open_run(server) as run:
        assert len(run.land(calls(2))) == 2
        assert server.counts[kind] >= 1
        assert set(server.sent.values()) == {1}


def test_poll_of_a_failing_server_is_repeated_without_end(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    with BatchServer(faults={"retrieve": ["500"] * 3}) as server, open_run(server) as run:
        assert len(run.land(calls(2))) == 2
        assert server.counts["retrieve"] == 4


@pytest.mark.parametrize(
    ("kind", "step", "reason"),
    [
        *((kind, "401", KEY_VARIABLE) for kind in ("upload", "create", "retrieve", "content")),
        ("create", "403", KEY_VARIABLE),
        ("create", "429-quota", "no quota left"),
        ("create", "400-odd_code", "(400, odd_code)"),
    ],
)
def test_refusal_ends_the_run_with_a_sentence_and_costs_nothing_twice(
    open_run: OpenRun, calls: MakeCalls, kind: str, step: str, reason: str, journal_path: Path
) -> None:
    with BatchServer(faults={kind: [step]}) as server:
        with open_run(server) as run, pytest.raises(EndpointRefused) as refused:
            run.land(calls(2))
        assert reason in str(refused.value)
        assert refused.value.__cause__ is refused.value.__context__ is None
        # Once the cause is removed, the next run continues.
        with open_run(server) as run:
            assert len(run.land(calls(2))) == 2
        assert set(server.sent.values()) == {1}
        assert server.authorizations == {f"Bearer {CANARY}"}
    for path in journal_path.parent.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes()
    assert CANARY not in str(refused.value)


def test_endpoint_without_a_batch_api_is_reported(open_run: OpenRun, calls: MakeCalls) -> None:
    with (
        BatchServer(faults={"upload": ["404"]}) as server,
        open_run(server) as run,
        pytest.raises(EndpointRefused, match="offers no Batch API"),
    ):
        run.land(calls(1))


def test_unreachable_server_is_reported(
    endpoint: MakeEndpoint, calls: MakeCalls, journal_path: Path
) -> None:
    nowhere = endpoint("http://127.0.0.1:9/v1", max_attempts=2)
    with (
        BatchRun(nowhere, journal_path) as run,
        pytest.raises(EndpointUnreachable, match="cannot be reached"),
    ):
        run.land(calls(1))


def test_line_that_refuses_the_model_amid_responses_is_sent_again(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    with BatchServer(lines={"row 1": ["404-model"]}) as server, open_run(server) as run:
        records = run.land(calls(3))
        assert {record.failure for record in records.values()} == {None}
        assert sorted(server.sent.values()) == [1, 1, 2]


def test_batch_that_refuses_the_model_in_each_line_ends_the_run(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    with BatchServer(lines={f"row {row}": ["404-model"] for row in range(3)}) as server:
        with open_run(server) as run, pytest.raises(EndpointRefused, match="knows no model"):
            run.land(calls(3))
        with open_run(server) as run:
            assert len(run.land(calls(3))) == 3


def test_batch_that_refuses_each_line_alike_ends_the_run_and_quotes_the_reason(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    with BatchServer(lines={f"row {row}": ["400"] for row in range(5)}) as server:
        with open_run(server) as run, pytest.raises(EndpointRefused, match='It says: "your key'):
            run.land(calls(5))
        with open_run(server) as run:
            assert {record.failure for record in run.land(calls(5)).values()} == {None}


def test_invalid_batch_is_not_sent_again(
    open_run: OpenRun, calls: MakeCalls, journal_path: Path
) -> None:
    with BatchServer(ends=["failed:invalid_json_line"]) as server:
        with open_run(server) as run, pytest.raises(EndpointRefused) as refused:
            run.land(calls(3))
        assert "invalid_json_line, line 1" in str(refused.value)
        assert "no, no" not in str(refused.value)
        [kept] = journal_path.parent.rglob("*.requests")
        assert str(kept) in str(refused.value)
        assert kept.read_bytes() == server.content["file-0"]
        assert len(server.batches) == 1
        with open_run(server) as run:
            assert len(run.land(calls(3))) == 3


def test_error_code_of_unusual_form_is_not_shown(open_run: OpenRun, calls: MakeCalls) -> None:
    with (
        BatchServer(ends=[f"failed:{CANARY}"]) as server,
        open_run(server) as run,
        pytest.raises(EndpointRefused, match=r"refuses a batch \(line 1\)"),
    ):
        run.land(calls(1))


def test_batch_without_metadata_is_found_by_its_upload(open_run: OpenRun, calls: MakeCalls) -> None:
    with BatchServer(faults={"create": ["drop"]}, tagged=False) as server, open_run(server) as run:
        assert len(run.land(calls(2))) == 2
        assert len(server.batches) == 1


@pytest.mark.parametrize("page", [["html"], ["html", "html"]])
def test_web_page_in_place_of_the_results_does_not_pay_for_them_again(
    open_run: OpenRun, calls: MakeCalls, page: list[str]
) -> None:
    with BatchServer(faults={"content": page}) as server:
        with open_run(server, max_attempts=2) as run:
            if len(page) == 1:
                assert len(run.land(calls(1))) == 1
            else:
                with pytest.raises(EndpointRefused, match="something else than the results"):
                    run.land(calls(1))
        with open_run(server) as run:
            assert len(run.land(calls(1))) == 1
        assert server.sent.total() == 1
