"""A record of another table settles a call, and trouble with another table's files never raises."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from persona_assets.generation import CallRecord, Journal
from persona_assets.generation.journal import paid_records
from persona_assets.generation.journal.journal import compact
from persona_assets.generation.journal.paid_records import PaidRecords
from persona_assets.ids import content_id

EARLIER = Path(__file__).parent / "earlier" / "a.parquet"
"""Completions file of a version without the column `reused`."""


def paid_of(root: Path, told: list[str] | None = None, own: str = "own") -> PaidRecords:
    folder, journals, completions = root / "paid_keys", root / "journals", root / "completions"
    report: Callable[[str], None] = (told if told is not None else list[str]()).append
    return PaidRecords(folder, journals, completions, journals / f"{own}.jsonl", report)


def record(root: Path, table: str, *records: CallRecord, published: bool = False) -> None:
    path = root / "journals" / f"{table}.jsonl"
    with Journal(path) as journal:
        journal.append(*records)
    if published:
        compact(path, root / "completions" / f"{table}.parquet")


def answer(key: str, **changes: Any) -> CallRecord:
    return CallRecord(key, 200, {"choices": [{"message": {"content": f"to {key}"}}]}, **changes)


@pytest.mark.parametrize("published", [True, False])
def test_record_of_another_table_is_found_unchanged(tmp_path: Path, published: bool) -> None:
    known = [answer(content_id(str(number)), uncertain=number) for number in range(5)]
    odd = [answer("odd"), answer("\ud800", model="\udfff"), answer("")]
    record(tmp_path, "hop/a", *known, published=published)
    record(tmp_path, "hop/b", *odd, published=published)
    with paid_of(tmp_path) as paid:
        assert [paid.get(one.key) for one in known + odd] == known + odd
        assert paid.get("absent") is None


ERRORS = {"timeout": False, "rate_limit": False, "bad_request": False, "content_filter": True}
"""Error codes, and whether the error depends on the request alone."""


@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize(("code", "is_reused"), ERRORS.items())
def test_only_an_error_that_depends_on_the_request_is_reused(
    tmp_path: Path, code: str, is_reused: bool, published: bool
) -> None:
    error = CallRecord("k", 400, {}, error={"code": code, "message": "no"})
    record(tmp_path, "hop/a", error, published=published)
    with paid_of(tmp_path) as paid:
        assert paid.get("k") == (error if is_reused else None)


def test_own_records_are_left_out(tmp_path: Path) -> None:
    record(tmp_path, "own", answer("published"), published=True)
    record(tmp_path, "own", answer("live"))
    with paid_of(tmp_path) as paid:
        assert (paid.get("published"), paid.get("live")) == (None, None)


def test_second_table_settles_a_key_that_the_first_does_not(tmp_path: Path) -> None:
    late = CallRecord("k", error={"code": "timeout", "message": "no"})
    record(tmp_path, "hop/a", late, published=True)
    record(tmp_path, "hop/b", answer("k"))
    with paid_of(tmp_path) as paid:
        found = paid.get("k")
        assert found is not None
        assert found.answered


def test_records_that_move_are_found_at_any_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paid_records, "REFRESH", 1e9)
    first, second = answer("first"), answer("second")
    record(tmp_path, "hop/a", first, second)
    with paid_of(tmp_path) as paid:
        assert paid.get("first") == first
        compact(tmp_path / "journals/hop/a.jsonl", tmp_path / "completions/hop/a.parquet")
        assert paid.get("second") == second
        record(tmp_path, "hop/a", answer("third"), published=True)
        assert paid.get("first") == first
        shutil.rmtree(tmp_path / "completions")
        assert paid.get("first") is None


def test_record_that_another_run_adds_is_found_after_the_next_refresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with paid_of(tmp_path) as paid, Journal(tmp_path / "journals" / "hop" / "a.jsonl") as journal:
        assert paid.get("k") is None
        journal.append(answer("k"))
        assert paid.get("k") is None
        monkeypatch.setattr(paid_records, "REFRESH", 0.0)
        monkeypatch.setattr(paid_records, "REFRESH_SHARE", 0.0)
        paid._due = 0.0
        assert paid.get("k") is not None
        journal.append(answer("next"))
        assert paid.get("next") is not None


def test_journal_that_another_run_writes_is_read_on_from_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paid_records, "REFRESH", 0.0)
    monkeypatch.setattr(paid_records, "REFRESH_SHARE", 0.0)
    late = CallRecord("late", error={"code": "timeout", "message": "no"})
    path = tmp_path / "journals" / "hop" / "a.jsonl"
    with paid_of(tmp_path) as paid, Journal(path) as journal:
        for number in range(6):
            journal.append(late, answer(f"key {number}"), late)
            assert paid.get(f"key {number}") == journal.get(f"key {number}")
            with path.open("ab") as file:
                # Half a line, as a reader may see it.
                file.write(answer("torn").to_line()[:30])
            assert paid.get("torn") is None
            with path.open("ab") as file:
                file.truncate(path.stat().st_size - 30)
        [(_, reader)] = paid._open.values()
        assert reader.get("late") is None
        assert reader.get("key 0") == journal.get("key 0")


def test_file_of_an_earlier_version_is_read_and_grows(tmp_path: Path) -> None:
    path = tmp_path / "completions" / "hop" / "a.parquet"
    path.parent.mkdir(parents=True)
    shutil.copy(EARLIER, path)
    with paid_of(tmp_path) as paid:
        records = [paid.get(f"{number:032x}") for number in range(4)]
        assert [one is not None for one in records] == [True, True, False, True]
        assert not any(one.reused for one in records if one is not None)
    with Journal(tmp_path / "journals/hop/a.jsonl", path) as journal:
        before = list(journal.records())
        copy = answer("copy", reused=True)
        journal.append(copy)
    assert compact(tmp_path / "journals/hop/a.jsonl", path) == 1
    with Journal(tmp_path / "journals/hop/a.jsonl", path) as journal:
        assert list(journal.records()) == [*before, copy]


def test_number_of_open_files_is_bounded(tmp_path: Path) -> None:
    for number in range(30):
        record(tmp_path, f"hop/{number}", answer(f"key {number}"), published=number % 2 == 0)
    with paid_of(tmp_path) as paid:
        for number in (*range(30), *range(30)):
            assert paid.get(f"key {number}") is not None
            assert len(paid._open) <= paid_records.MOST_OPEN
    assert not paid._open


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-60]),
        lambda path: path.write_bytes(b"garbage"),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_damage_after_indexing_is_told_once_and_not_raised(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    record(tmp_path, "hop/a", answer("k"), answer("l"), published=True)
    with paid_of(tmp_path) as paid:
        assert paid.get("k") is not None
    told: list[str] = []
    with paid_of(tmp_path, told) as paid:
        assert paid.get("absent") is None
        damage(tmp_path / "completions" / "hop" / "a.parquet")
        assert (paid.get("k"), paid.get("l")) == (None, None)
    [message] = told
    assert message.startswith("records of hop/a are not reused: ")


def test_index_that_cannot_be_written_is_told_and_not_raised(tmp_path: Path) -> None:
    record(tmp_path, "hop/a", answer("k"))
    (tmp_path / "paid_keys").write_text("a file where the index should be")
    told: list[str] = []
    with paid_of(tmp_path, told) as paid:
        assert (paid.get("k"), paid.get("absent")) == (None, None)
    [message] = told
    assert "calls may be sent again that other tables have paid for" in message


def test_nothing_is_read_before_the_first_look_up(tmp_path: Path) -> None:
    record(tmp_path, "hop/a", answer("k"))
    with paid_of(tmp_path):
        pass
    assert not (tmp_path / "paid_keys").exists()
