import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.index.column_store import STATE, ColumnStore, Shape
from persona_assets_tests.dedup.folders import empty_folder

SHAPES: dict[str, Shape] = {"number": ("i8", ()), "pair": ("u4", (2,))}

Content = tuple[list[int], list[list[int]], dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "columns"


@pytest.fixture
def written(folder: Path) -> Path:
    """A folder in which three numbers and two pairs count."""
    with opened(folder) as columns:
        append(columns, [1, 2, 3], [[4, 5], [6, 7]])
        columns.commit({"done": ["a"]})
    return folder


def opened(folder: Path, fingerprint: str = "one") -> ColumnStore:
    return ColumnStore(folder, SHAPES, fingerprint)


def append(columns: ColumnStore, numbers: list[int], pairs: list[list[int]]) -> None:
    columns.append("number", np.array(numbers, np.int64))
    columns.append("pair", np.array(pairs, np.uint32).reshape(-1, 2))


def held(columns: ColumnStore) -> Content:
    return columns["number"].tolist(), columns["pair"].tolist(), columns.state


def file_of(folder: Path, name: str) -> Path:
    """The only file of a column."""
    (found,) = folder.glob(f"{name}*.bin")
    return found


def content(folder: Path, fingerprint: str = "one") -> Content:
    with opened(folder, fingerprint) as columns:
        return held(columns)


WRITTEN: Content = ([1, 2, 3], [[4, 5], [6, 7]], {"done": ["a"]})
NOTHING: Content = ([], [], {})


def test_what_is_committed_counts_and_is_there_when_opened_again(written: Path) -> None:
    assert content(written) == WRITTEN
    with opened(written) as columns:
        append(columns, [8], [])
        columns.commit({"done": ["a", "b"]})
        assert held(columns) == ([1, 2, 3, 8], [[4, 5], [6, 7]], {"done": ["a", "b"]})
        append(columns, [9], [[1, 1]])
        assert held(columns) == ([1, 2, 3, 8], [[4, 5], [6, 7]], {"done": ["a", "b"]})
        columns.commit({})
    assert content(written) == ([1, 2, 3, 8, 9], [[4, 5], [6, 7], [1, 1]], {})


def test_what_is_appended_and_not_committed_is_forgotten(written: Path) -> None:
    with opened(written) as columns:
        append(columns, [8, 9, 10], [[8, 9]])
    assert content(written) == WRITTEN
    with opened(written) as columns:
        append(columns, [11], [])
        columns.commit({})
    assert content(written) == ([1, 2, 3, 11], [[4, 5], [6, 7]], {})


runs = st.tuples(
    st.sampled_from(["one", "one", "two"]),
    st.lists(st.sampled_from([1, 2, 4, "commit", "clear"]), max_size=5),
)
"""The parameters of a run and what it does: a number appends so many. It may end in between."""


@settings(deadline=None, max_examples=100)
@given(st.lists(runs, max_size=5))
def test_wherever_a_run_ends_what_was_committed_last_counts_or_nothing(
    made: list[tuple[str, list[int | str]]],
) -> None:
    with empty_folder() as folder:
        next_number, committed = 0, dict[str, Content]()
        for fingerprint, steps in made:
            with opened(folder, fingerprint) as columns:
                found = held(columns)
                assert found in (committed.get(fingerprint, NOTHING), NOTHING)
                numbers = found[0]
                for step in steps:
                    if isinstance(step, int):
                        new = list(range(next_number, next_number + step))
                        append(columns, new, [[n, n] for n in new])
                        next_number, numbers = next_number + step, numbers + new
                    elif step == "commit":
                        columns.commit({"count": len(numbers)})
                        held_now = (numbers, [[n, n] for n in numbers], {"count": len(numbers)})
                        committed = {fingerprint: held_now}
                        assert held(columns) == held_now
                    else:
                        columns.clear()
                        numbers = []
                        assert held(columns) == NOTHING


def test_a_run_that_is_killed_after_it_forgot_all_leaves_no_mixture(written: Path) -> None:
    with opened(written) as columns:
        columns.clear()
        append(columns, [7, 8, 9, 10], [[7, 7], [8, 8], [9, 9]])
    assert content(written) in (WRITTEN, NOTHING)


def test_a_run_with_other_parameters_that_is_killed_leaves_no_mixture(written: Path) -> None:
    with opened(written, "two") as columns:
        append(columns, [7, 8, 9, 10], [[7, 7], [8, 8], [9, 9]])
    assert content(written) in (WRITTEN, NOTHING)


def test_what_was_read_stays_as_it_was_when_all_is_forgotten(written: Path) -> None:
    with opened(written) as columns:
        before = columns["number"]
        columns.clear()
        append(columns, [7], [])
        columns.commit({})
        assert columns["number"].tolist() == [7]
        assert before.tolist() == [1, 2, 3]


def test_killed_between_append_and_commit(written: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
import numpy as np
from persona_assets.dedup.index.column_store import ColumnStore
columns = ColumnStore(Path(sys.argv[1]), {"number": ("i8", ()), "pair": ("u4", (2,))}, "one")
with columns:
    columns.append("number", np.arange(5))
    columns.append("pair", np.zeros((9, 2), np.uint32))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code, str(written)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert file_of(written, "number").stat().st_size == 8 * 8
    assert content(written) == WRITTEN


@pytest.mark.parametrize("name", ["number", "pair"])
@pytest.mark.parametrize("left", [0, 7])
def test_a_truncated_file_is_forgotten(written: Path, name: str, left: int) -> None:
    os.truncate(file_of(written, name), left)
    assert content(written) == NOTHING
    with opened(written) as columns:
        append(columns, [1], [[1, 1]])
        columns.commit({})
    assert content(written) == ([1], [[1, 1]], {})


def test_a_missing_file_is_forgotten(written: Path) -> None:
    file_of(written, "pair").unlink()
    assert content(written) == NOTHING


def test_what_was_made_with_other_parameters_is_forgotten(written: Path) -> None:
    assert content(written, "two") == NOTHING
    with opened(written, "two") as columns:
        append(columns, [9], [])
        columns.commit({})
    assert content(written, "two") == ([9], [], {})
    assert content(written, "one") == NOTHING
    assert file_of(written, "number").stat().st_size == 8


good = {"fingerprint": "one", "generation": 1, "lengths": {"number": 3, "pair": 2}, "state": {}}


def test_the_state_that_is_damaged_below_would_be_read(written: Path) -> None:
    (written / STATE).write_text(json.dumps({**good, "state": {"done": ["a"]}}))
    assert content(written) == WRITTEN


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
        json.dumps({**good, "lengths": {}}).encode(),
        json.dumps({**good, "lengths": {"number": 3}}).encode(),
        json.dumps({**good, "lengths": [3, 2]}).encode(),
        json.dumps({**good, "lengths": {"number": 3, "pair": -1}}).encode(),
        json.dumps({**good, "lengths": {"number": "3", "pair": 2}}).encode(),
        json.dumps({**good, "lengths": {"number": 2.5, "pair": 2}}).encode(),
        json.dumps({**good, "state": None}).encode(),
        json.dumps({**good, "generation": "1"}).encode(),
        json.dumps({**good, "generation": 7}).encode(),
        json.dumps({key: good[key] for key in ("fingerprint", "generation", "lengths")}).encode(),
    ],
)
def test_a_damaged_state_is_forgotten(written: Path, damaged: bytes) -> None:
    (written / STATE).write_bytes(damaged)
    assert content(written) == NOTHING


def test_a_column_that_was_not_there_before_makes_all_forgotten(written: Path) -> None:
    with ColumnStore(written, {**SHAPES, "new": ("f8", ())}, "one") as columns:
        assert held(columns) == NOTHING
        assert columns["new"].tolist() == []


def test_values_of_another_type_or_shape_are_refused(folder: Path) -> None:
    with opened(folder) as columns:
        for values in (np.zeros(2, np.int32), np.zeros((2, 1), np.int64)):
            with pytest.raises(TypeError, match="number holds i8"):
                columns.append("number", values)
        with pytest.raises(TypeError, match="pair holds u4"):
            columns.append("pair", np.zeros((2, 3), np.uint32))
        columns.append("pair", np.arange(12, dtype=np.uint32).reshape(2, 6).T[:, :2])
        columns.commit({})
        assert columns["pair"].tolist() == [[0, 6], [1, 7], [2, 8], [3, 9], [4, 10], [5, 11]]


def test_what_is_read_cannot_be_written(written: Path) -> None:
    with opened(written) as columns, pytest.raises(ValueError, match="read-only"):
        columns["number"][0] = 9


def test_a_second_opener_waits_for_the_first(written: Path) -> None:
    seen: list[Content] = []
    second = threading.Thread(target=lambda: seen.append(content(written)))
    with opened(written) as columns:
        second.start()
        second.join(timeout=0.3)
        assert seen == []
        append(columns, [8], [])
        columns.commit({"done": []})
    second.join(timeout=60)
    assert seen == [([1, 2, 3, 8], [[4, 5], [6, 7]], {"done": []})]


def test_the_folder_is_free_again_after_a_failure(written: Path) -> None:
    def fail() -> None:
        with opened(written) as columns:
            append(columns, [8], [])
            columns["no such column"]

    with pytest.raises(KeyError):
        fail()
    assert content(written) == WRITTEN


def test_what_is_rolled_back_does_not_count(written: Path) -> None:
    with opened(written) as columns:
        append(columns, [8], [[8, 8]])
        columns.rollback()
        append(columns, [9], [])
        columns.commit({})
    assert content(written) == ([1, 2, 3, 9], [[4, 5], [6, 7]], {})
