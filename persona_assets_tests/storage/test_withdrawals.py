"""Withdrawals are read in their order, and none is lost to a crash or to damage."""

from pathlib import Path

import pytest

from persona_assets.storage.withdrawals import (
    Withdrawal,
    Withdrawals,
    append_withdrawals,
    read_withdrawals,
)

FIRST = Withdrawal(event="withdrawn", content="c1", text_ids=("t1",), shards=("a.txt",))
SECOND = Withdrawal(
    event="withdrawn", content="c2", shards=("b.txt",), tables=(("hop", "b.txt"), ("sums", None))
)


def test_withdrawals_survive_a_line_cut_at_any_byte(tmp_path: Path) -> None:
    path = tmp_path / "data" / "withdrawn.jsonl"
    append_withdrawals(path, [FIRST])
    first = path.read_bytes()
    append_withdrawals(path, [SECOND])
    both = path.read_bytes()
    for end in range(len(first), len(both)):
        path.write_bytes(both[:end])
        assert read_withdrawals(path).lines == (FIRST,)
    append_withdrawals(path, [SECOND])
    assert read_withdrawals(path).lines == (FIRST, SECOND)


def test_damaged_line_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "withdrawn.jsonl"
    path.write_bytes(b'{"event": "forgotten"}\n')
    with pytest.raises(ValueError, match=r"line 1 is damaged: restore"):
        read_withdrawals(path)


def test_no_file_is_no_withdrawal(tmp_path: Path) -> None:
    assert read_withdrawals(tmp_path / "withdrawn.jsonl") == Withdrawals()


def test_shard_is_stale_until_it_obeys() -> None:
    known = Withdrawals((FIRST,))
    assert known.changed("a.txt", ()) == "a text was withdrawn"
    assert known.changed("a.txt", ("c1",)) == known.changed("b.txt", ()) == ""
    # The text came again in another file, which a table of that file has left out.
    assert known.changed("b.txt", known.contents_of("b.txt", met=["c1"])) == ""
    undone = Withdrawals((FIRST, Withdrawal(event="undone", content="c1")))
    assert undone.changed("b.txt", ("c1",)) == "a withdrawal was undone"
    assert undone.find("t1") is None
    assert known.find("t1") == known.find("c1") == FIRST


def test_each_table_is_purged_once_for_each_wish() -> None:
    wish = SECOND.and_also(Withdrawal(event="withdrawn", purges=True))
    purged = [Withdrawal(event="purged", tables=(table,)) for table in SECOND.tables]
    assert Withdrawals((SECOND,)).unpurged == frozenset()
    assert Withdrawals((SECOND, wish)).unpurged == set(SECOND.tables)
    assert Withdrawals((SECOND, wish, purged[0])).unpurged == {("sums", None)}
    assert Withdrawals((SECOND, wish, *purged)).unpurged == frozenset()
    assert Withdrawals((*purged, wish)).unpurged == set(SECOND.tables)
    undone = Withdrawal(event="undone", content="c2")
    assert Withdrawals((wish, undone)).unpurged == frozenset()
