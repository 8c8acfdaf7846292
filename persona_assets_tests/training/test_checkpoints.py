"""A checkpoint is used if it is complete and of the same training, and older ones are removed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.training.checkpoints import (
    MARKER,
    complete,
    is_due,
    latest_checkpoint,
    remove_other_checkpoints,
)
from persona_assets.training.job import Checkpointing
from persona_assets.training.progress import evaluates_at

MINE = {"inputs": "ab", "processes": 1, "sharded": False}


def write(folder: Path, step: int, identity: dict[str, object] | None = None) -> Path:
    """Write a checkpoint; without an identity, as a kill leaves it."""
    checkpoint = folder / f"checkpoint-{step}"
    (checkpoint / "shards").mkdir(parents=True)
    (checkpoint / "shards" / "weights.safetensors").write_bytes(b"w")
    if identity is not None:
        complete(checkpoint, identity)
    return checkpoint


def test_newest_complete_checkpoint_is_used(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path, MINE) is None
    write(tmp_path, 9, MINE)
    newest = write(tmp_path, 10, MINE)
    write(tmp_path, 11)
    assert latest_checkpoint(tmp_path, MINE) == newest


@pytest.mark.parametrize("other", [{"inputs": "cd"}, {"processes": 2}, {"sharded": True}])
def test_checkpoint_of_another_training_is_never_used(
    tmp_path: Path, other: dict[str, object]
) -> None:
    write(tmp_path, 10, MINE | other)
    assert latest_checkpoint(tmp_path, MINE) is None


def test_damaged_marker_is_no_marker(tmp_path: Path) -> None:
    (write(tmp_path, 10, MINE) / MARKER).write_text('{"inputs"')
    assert latest_checkpoint(tmp_path, MINE) is None


def test_all_but_one_checkpoint_are_removed(tmp_path: Path) -> None:
    write(tmp_path, 9, MINE)
    kept = write(tmp_path, 10, MINE)
    write(tmp_path, 11)
    remove_other_checkpoints(tmp_path, kept)
    assert list(tmp_path.iterdir()) == [kept]


def test_checkpoints_are_due_by_either_interval() -> None:
    both = Checkpointing(seconds=60, steps=5)
    assert [is_due(both, 4, 59.0), is_due(both, 5, 1.0), is_due(both, 1, 60.0)] == [
        False,
        True,
        True,
    ]
    assert not is_due(Checkpointing(seconds=None), 10**6, 1e9)


@given(st.integers(1, 400), st.integers(1, 40))
def test_evaluations_are_as_many_as_asked_for_and_the_last_is_at_the_end(
    steps: int, evaluations: int
) -> None:
    at = [step for step in range(1, steps + 1) if evaluates_at(step, steps, evaluations)]
    assert len(at) == min(steps, evaluations)
    assert at[-1] == steps
