"""A purge removes responses and keeps accounts, and no crash costs a response that stays."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.completion_store import CompletionStore
from persona_assets.generation.journal.journal import Journal, JournalBusy, compact
from persona_assets.generation.journal.purge import PURGED, purge

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def record(key: str, word: str) -> CallRecord:
    choice = {"message": {"content": word}, "finish_reason": "stop"}
    return CallRecord(
        key, 200, {"choices": [choice], "usage": USAGE}, cost=Decimal("0.0000000000001234")
    )


REFUSED = CallRecord("refused", error={"code": "content_filter", "message": "about Quillon"})
RECORDS = [record("stays", "barley"), record("goes", "Quillon \ud800"), REFUSED]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Journal and completions of a table, with a record in each and a torn line."""
    journal, completions = tmp_path / "a.jsonl", tmp_path / "a.parquet"
    for records in (RECORDS[:2], RECORDS[2:]):
        with Journal(journal, completions) as opened:
            opened.append(*records)
        if records is not RECORDS[2:] and not completions.exists():
            compact(journal, completions)
    Path(f"{journal}.torn").write_text("Quillon")
    return journal, completions


def read(completions: Path) -> Sequence[CallRecord]:
    with CompletionStore(completions) as store:
        return list(store.records())


def test_responses_go_and_accounts_stay(files: tuple[Path, Path]) -> None:
    journal, completions = files
    assert purge(journal, completions, {"stays"}) == 2
    stays, goes, refused = read(completions)
    assert stays == RECORDS[0]
    assert (goes.id, goes.time, goes.cost, goes.tokens) == (
        RECORDS[1].id,
        RECORDS[1].time,
        RECORDS[1].cost,
        RECORDS[1].tokens,
    )
    assert (goes.body, goes.failure, refused.error) == (
        {"usage": USAGE},
        PURGED,
        {"code": "content_filter"},
    )
    with CompletionStore(completions) as store:
        rows = [
            str(row) for group in store.columns("body", "line", "error_message") for row in group
        ]
    assert not any("Quillon" in row for row in rows)
    assert [path.name for path in journal.parent.iterdir() if path.suffix != ".lock"] == [
        completions.name
    ]
    with Journal(journal, completions) as opened:
        assert opened.get("stays") == RECORDS[0]
        assert opened.get("goes") is None


def test_purge_again_changes_nothing(files: tuple[Path, Path]) -> None:
    purge(*files, {"stays"})
    before = files[1].read_bytes()
    assert purge(*files, {"stays"}) == 0
    assert files[1].read_bytes() == before


def test_purge_of_a_table_without_calls(tmp_path: Path) -> None:
    assert purge(tmp_path / "a.jsonl", tmp_path / "a.parquet", ()) == 0


def test_purge_waits_for_no_run(files: tuple[Path, Path]) -> None:
    with Journal(*files), pytest.raises(JournalBusy):
        purge(*files, ())
    assert [each.key for each in Journal(*files).records()] == ["stays", "goes", "refused"]
