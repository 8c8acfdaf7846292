"""Specification of `ColumnStore`: a run reads committed elements only, whatever happened before."""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.index.column_store import STATE, ColumnStore, Shape
from persona_assets_tests.dedup.child_process import run_program
from persona_assets_tests.dedup.folders import empty_folder

SHAPES: dict[str, Shape] = {"number": ("i8", ()), "pair": ("u4", (2,))}

Content = tuple[list[int], list[list[int]], dict[str, Any]]
"""Numbers, pairs and state."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "columns"


@pytest.fixture
def written(folder: Path) -> Path:
    """A folder with three committed numbers and two committed pairs."""
    with open_store(folder) as columns:
        append(columns, [1, 2, 3], [[4, 5], [6, 7]])
        columns.commit({"done": ["a"]})
    return folder


def open_store(folder: Path, fingerprint: str = "one") -> ColumnStore:
    return ColumnStore(folder, SHAPES, fingerprint)


def append(columns: ColumnStore, numbers: list[int], pairs: list[list[int]]) -> None:
    columns.append("number", np.array(numbers, np.int64))
    columns.append("pair", np.array(pairs, np.uint32).reshape(-1, 2))


def read_content(columns: ColumnStore) -> Content:
    return columns["number"].tolist(), columns["pair"].tolist(), columns.state


def file_of(folder: Path, name: str) -> Path:
    """Return the only file of a column."""
    (path,) = folder.glob(f"{name}*.bin")
    return path


def reopened(folder: Path, fingerprint: str = "one") -> Content:
    """Return the content that a new run reads."""
    with open_store(folder, fingerprint) as columns:
        return read_content(columns)


WRITTEN: Content = ([1, 2, 3], [[4, 5], [6, 7]], {"done": ["a"]})
NOTHING: Content = ([], [], {})


def test_committed_elements_are_read_by_this_run_and_the_next(written: Path) -> None:
    assert reopened(written) == WRITTEN
    with open_store(written) as columns:
        append(columns, [8], [])
        columns.commit({"done": ["a", "b"]})
        assert read_content(columns) == ([1, 2, 3, 8], [[4, 5], [6, 7]], {"done": ["a", "b"]})
        append(columns, [9], [[1, 1]])
        assert read_content(columns) == ([1, 2, 3, 8], [[4, 5], [6, 7]], {"done": ["a", "b"]})
        columns.commit({})
    assert reopened(written) == ([1, 2, 3, 8, 9], [[4, 5], [6, 7], [1, 1]], {})


def test_uncommitted_elements_are_discarded(written: Path) -> None:
    with open_store(written) as columns:
        append(columns, [8, 9, 10], [[8, 9]])
    assert reopened(written) == WRITTEN
    with open_store(written) as columns:
        append(columns, [11], [])
        columns.commit({})
    assert reopened(written) == ([1, 2, 3, 11], [[4, 5], [6, 7]], {})


runs = st.tuples(
    st.sampled_from(["one", "one", "two"]),
    st.lists(st.sampled_from([1, 2, 4, "commit", "clear"]), max_size=5),
)
"""Fingerprint and steps of a run, which may end without a commit; a number n appends n elements."""


@settings(deadline=None, max_examples=100)
@given(st.lists(runs, max_size=5))
def test_a_run_reads_the_last_commit_or_nothing_wherever_earlier_runs_ended(
    history: list[tuple[str, list[int | str]]],
) -> None:
    with empty_folder() as folder:
        next_number, committed = 0, dict[str, Content]()
        for fingerprint, steps in history:
            with open_store(folder, fingerprint) as columns:
                content = read_content(columns)
                assert content in (committed.get(fingerprint, NOTHING), NOTHING)
                numbers = content[0]
                for step in steps:
                    if isinstance(step, int):
                        new = list(range(next_number, next_number + step))
                        append(columns, new, [[n, n] for n in new])
                        next_number, numbers = next_number + step, numbers + new
                    elif step == "commit":
                        columns.commit({"count": len(numbers)})
                        content = (numbers, [[n, n] for n in numbers], {"count": len(numbers)})
                        committed = {fingerprint: content}
                        assert read_content(columns) == content
                    else:
                        columns.clear()
                        numbers = []
                        assert read_content(columns) == NOTHING


def test_a_run_killed_after_it_cleared_the_store_leaves_no_mixture(written: Path) -> None:
    with open_store(written) as columns:
        columns.clear()
        append(columns, [7, 8, 9, 10], [[7, 7], [8, 8], [9, 9]])
    assert reopened(written) in (WRITTEN, NOTHING)


def test_a_killed_run_with_another_fingerprint_leaves_no_mixture(written: Path) -> None:
    with open_store(written, "two") as columns:
        append(columns, [7, 8, 9, 10], [[7, 7], [8, 8], [9, 9]])
    assert reopened(written) in (WRITTEN, NOTHING)


def test_an_array_read_before_keeps_its_content_when_the_store_is_cleared(written: Path) -> None:
    with open_store(written) as columns:
        before = columns["number"]
        columns.clear()
        append(columns, [7], [])
        columns.commit({})
        assert columns["number"].tolist() == [7]
        assert before.tolist() == [1, 2, 3]


def test_a_run_killed_between_append_and_commit_leaves_the_last_commit(written: Path) -> None:
    assert run_program("append_and_die", written) == -signal.SIGKILL
    # The program has written 5 numbers after the 3 committed numbers.
    assert file_of(written, "number").stat().st_size == 8 * 8
    assert reopened(written) == WRITTEN


@pytest.mark.parametrize("name", ["number", "pair"])
@pytest.mark.parametrize("left", [0, 7])
def test_a_store_with_a_truncated_file_is_empty(written: Path, name: str, left: int) -> None:
    os.truncate(file_of(written, name), left)
    assert reopened(written) == NOTHING
    with open_store(written) as columns:
        append(columns, [1], [[1, 1]])
        columns.commit({})
    assert reopened(written) == ([1], [[1, 1]], {})


def test_a_store_with_a_missing_file_is_empty(written: Path) -> None:
    file_of(written, "pair").unlink()
    assert reopened(written) == NOTHING


def test_a_store_with_another_fingerprint_is_empty_and_replaces_the_old_files(
    written: Path,
) -> None:
    assert reopened(written, "two") == NOTHING
    with open_store(written, "two") as columns:
        append(columns, [9], [])
        columns.commit({})
    assert reopened(written, "two") == ([9], [], {})
    assert reopened(written, "one") == NOTHING
    assert file_of(written, "number").stat().st_size == 8


valid = {"fingerprint": "one", "generation": 1, "lengths": {"number": 3, "pair": 2}, "state": {}}


def test_a_valid_state_file_is_read(written: Path) -> None:
    (written / STATE).write_text(json.dumps({**valid, "state": {"done": ["a"]}}))
    assert reopened(written) == WRITTEN


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"one"',
        b"{}",
        json.dumps({"fingerprint": "one"}).encode(),
        json.dumps({**valid, "lengths": {}}).encode(),
        json.dumps({**valid, "lengths": {"number": 3}}).encode(),
        json.dumps({**valid, "lengths": [3, 2]}).encode(),
        json.dumps({**valid, "lengths": {"number": 3, "pair": -1}}).encode(),
        json.dumps({**valid, "lengths": {"number": "3", "pair": 2}}).encode(),
        json.dumps({**valid, "lengths": {"number": 2.5, "pair": 2}}).encode(),
        json.dumps({**valid, "state": None}).encode(),
        json.dumps({**valid, "generation": "1"}).encode(),
        json.dumps({**valid, "generation": 7}).encode(),
        json.dumps({key: valid[key] for key in ("fingerprint", "generation", "lengths")}).encode(),
    ],
)
def test_a_store_with_a_damaged_state_file_is_empty(written: Path, damaged: bytes) -> None:
    (written / STATE).write_bytes(damaged)
    assert reopened(written) == NOTHING


def test_a_store_with_an_additional_column_is_empty(written: Path) -> None:
    with ColumnStore(written, {**SHAPES, "new": ("f8", ())}, "one") as columns:
        assert read_content(columns) == NOTHING
        assert columns["new"].tolist() == []


def test_append_refuses_values_of_another_type_or_shape(folder: Path) -> None:
    with open_store(folder) as columns:
        for values in (np.zeros(2, np.int32), np.zeros((2, 1), np.int64)):
            with pytest.raises(TypeError, match="number holds i8"):
                columns.append("number", values)
        with pytest.raises(TypeError, match="pair holds u4"):
            columns.append("pair", np.zeros((2, 3), np.uint32))
        columns.append("pair", np.arange(12, dtype=np.uint32).reshape(2, 6).T[:, :2])
        columns.commit({})
        assert columns["pair"].tolist() == [[0, 6], [1, 7], [2, 8], [3, 9], [4, 10], [5, 11]]


def test_columns_are_read_only(written: Path) -> None:
    with open_store(written) as columns, pytest.raises(ValueError, match="read-only"):
        columns["number"][0] = 9


def test_a_second_run_waits_until_the_first_closes_the_store(written: Path) -> None:
    results: list[Content] = []
    second = threading.Thread(target=lambda: results.append(reopened(written)))
    with open_store(written) as columns:
        second.start()
        second.join(timeout=0.3)
        assert results == []
        append(columns, [8], [])
        columns.commit({"done": []})
    second.join(timeout=60)
    assert results == [([1, 2, 3, 8], [[4, 5], [6, 7]], {"done": []})]


def test_a_failed_run_unlocks_the_folder(written: Path) -> None:
    def fail() -> None:
        with open_store(written) as columns:
            append(columns, [8], [])
            columns["no such column"]

    with pytest.raises(KeyError):
        fail()
    assert reopened(written) == WRITTEN


def test_rolled_back_elements_are_discarded(written: Path) -> None:
    with open_store(written) as columns:
        append(columns, [8], [[8, 8]])
        columns.rollback()
        append(columns, [9], [])
        columns.commit({})
    assert reopened(written) == ([1, 2, 3, 9], [[4, 5], [6, 7]], {})
