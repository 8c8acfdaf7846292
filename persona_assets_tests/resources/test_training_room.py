"""A training that does not fit the machine is refused before it starts, with the remedy."""

from pathlib import Path

import pytest

from persona_assets.resources.trainer import Trainer
from persona_assets.resources.training_room import (
    Devices,
    RoomError,
    check_devices,
    check_disk,
    folder_bytes,
)
from persona_assets.training.job import Hyperparameters
from persona_assets.training.launch import Launch
from persona_assets.training.model_shape import QWEN2_7B
from persona_assets_tests.training.tiny_model import write_tiny_gguf

GPUS = Devices((80 << 30,) * 8, on_gpu=True)
SHARDED = Launch.of("fsdp2", None)


def test_full_training_of_the_papers_base_model_fits_eight_gpus_and_not_one() -> None:
    assert check_devices(QWEN2_7B, Hyperparameters(), SHARDED, GPUS).total < 80 << 30
    alone = Hyperparameters(gradient_accumulation=128)
    with pytest.raises(RoomError, match=r"about 141.9 GB of memory and a GPU has 85.9 GB: set "):
        check_devices(QWEN2_7B, alone, Launch(), GPUS)
    adapted = alone.model_copy(update={"lora_rank": 16})
    assert check_devices(QWEN2_7B, adapted, Launch(), GPUS).total < 24 << 30


def test_more_processes_than_gpus_are_refused() -> None:
    with pytest.raises(RoomError, match="8 processes, and there are 2 GPUs"):
        check_devices(QWEN2_7B, Hyperparameters(), SHARDED, Devices((80 << 30,) * 2, True))


def test_processes_share_the_memory_of_the_machine() -> None:
    hyper = Hyperparameters(lora_rank=16, gradient_accumulation=16)
    alone = check_devices(QWEN2_7B, hyper, Launch(), Devices((64 << 30,), False)).total
    assert alone > 32 << 30
    with pytest.raises(RoomError, match=r"and this machine has 68\.7 GB"):
        check_devices(QWEN2_7B, hyper, Launch.of("cpu", 2), Devices((64 << 30,), False))


def test_memory_of_this_machine_is_found_or_given() -> None:
    assert all(size > 1 << 30 for size in Devices.here().memory)
    assert set(Devices.here(5).memory) == {5}


def test_disk_for_two_checkpoints_and_the_weights_is_counted(tmp_path: Path) -> None:
    tiny = Hyperparameters(lora_rank=1)
    without = check_disk(QWEN2_7B, tiny, tmp_path, checkpoints=False, examples=0, held=1 << 60)
    both = check_disk(QWEN2_7B, tiny, tmp_path, checkpoints=True, examples=0, held=1 << 60)
    assert both - without == 2 * 12 * QWEN2_7B.adapter_parameters(1)
    with pytest.raises(RoomError, match=r"GB are free at .*CHECKPOINT_SECONDS=null"):
        check_disk(QWEN2_7B, tiny, tmp_path, checkpoints=True, examples=1 << 60)


def test_bytes_of_a_folder_are_those_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"123")
    assert (folder_bytes(tmp_path), folder_bytes(tmp_path / "none")) == (3, 0)


def test_training_without_memory_starts_no_work(tmp_path: Path) -> None:
    base = write_tiny_gguf(tmp_path / "tiny.gguf")
    trainer = Trainer(str(base), tmp_path / "cache", Hyperparameters(), device_memory=1 << 20)
    with pytest.raises(RoomError, match="PERSONA_TRAINING__DEVICE_GIB"):
        trainer.train([{"problem": "a", "solution": "b"}], tmp_path / "models", pytest.fail)
    assert list((tmp_path / "models").iterdir()) == []
