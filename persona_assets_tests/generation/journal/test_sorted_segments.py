"""Segments hold a set of integers, whatever the order of its parts, and damage to a file shows."""

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.generation.journal import sorted_segments
from persona_assets.generation.journal.sorted_segments import (
    GROWTH,
    MappedSegment,
    SegmentDamaged,
    add,
)

values = st.integers(0, 2**64 - 1) | st.integers(0, 50)


def filled(folder: Path, parts: list[list[int]]) -> list[MappedSegment]:
    segments: list[MappedSegment] = []
    for part in parts:
        segments = add(folder, segments, np.array(part, np.uint64))
    return segments


@given(parts=st.lists(st.lists(values, max_size=40), max_size=12), bounds=st.tuples(values, values))
def test_segments_hold_the_union_of_the_parts(
    parts: list[list[int]], bounds: tuple[int, int]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        segments = filled(Path(name), parts)
        first, last = sorted(bounds)
        expected = {value for part in parts for value in part if first <= value <= last}
        found = [segment.between(first, last) for segment in segments]
        assert {value for part in found for value in part} == expected
        assert all(part == sorted(set(part)) for part in found)
        sizes = [segment.segment.count for segment in segments]
        assert all(large > GROWTH * small for large, small in itertools.pairwise(sizes))


def test_merge_in_chunks_equals_the_union(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_segments, "CHUNK", 7)
    random = np.random.default_rng(3)
    parts = [random.integers(0, 400, count).tolist() for count in (90, 30, 40, 300)]
    [segment] = filled(tmp_path, parts)
    assert segment.between(0, 400) == sorted({value for part in parts for value in part})
    again = MappedSegment(tmp_path, segment.segment)
    assert again.array().tolist() == segment.array().tolist()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-8],
        lambda data: b"",
        lambda data: bytes(len(data)),
        lambda data: data[::-1],
        lambda data: data + data[:8],
    ],
)
def test_damaged_file_is_refused(tmp_path: Path, damage: "object") -> None:
    [segment] = filled(tmp_path, [list(range(5000))])
    path = tmp_path / segment.segment.name
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(damage(data))  # type: ignore[operator]
    with pytest.raises(SegmentDamaged):
        MappedSegment(tmp_path, segment.segment)
