"""Memory and disk of this machine, held against the needs of a training before it starts."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from persona_assets.training.job import Hyperparameters
from persona_assets.training.launch import Launch
from persona_assets.training.model_shape import ModelShape
from persona_assets.training.requirements import Memory, device_memory, disk_bytes

SPARE_DISK = 1 << 30
"""Bytes of disk that remain free: tables and Dagster's databases are written during a training."""


class RoomError(RuntimeError):
    """A training does not fit this machine; the message says what to change."""


@dataclass(frozen=True)
class Devices:
    """Devices that a training can use.

    Attributes:
        memory: Bytes of each device.
        on_gpu: True for GPUs; False for the processors, whose memory all processes share.
        is_given: True if a setting gave the memory.
    """

    memory: tuple[int, ...]
    on_gpu: bool
    is_given: bool = False

    @classmethod
    def here(cls, memory: int | None = None) -> "Devices":
        """Return the GPUs of this machine that `nvidia-smi` lists, else its processors.

        Args:
            memory: Bytes of each device where neither can be asked; None to ask.
        """
        gpus = _gpu_memory()
        own = gpus or (_machine_memory(),)
        given = own if memory is None else (memory,) * len(own)
        return cls(given, bool(gpus), memory is not None)


def check_devices(
    shape: ModelShape, hyper: Hyperparameters, launch: Launch, devices: Devices
) -> Memory:
    """Estimate the memory of a training, and refuse a training that does not fit.

    Args:
        shape: Shape of the base model.
        hyper: Hyper-parameters.
        launch: Processes.
        devices: Devices of this machine.

    Returns:
        Memory per process.

    Raises:
        RoomError: Too few devices, or too little memory.
    """
    number = len(devices.memory)
    if devices.on_gpu and launch.processes > number:
        raise RoomError(
            f"the training is set to {launch.processes} processes, and there are {number} GPUs: "
            "set PERSONA_TRAINING__PROCESSES to a number that is here"
        )
    need = device_memory(shape, hyper, launch.processes, launch.is_sharded, devices.on_gpu)
    shared = 1 if devices.on_gpu else launch.processes
    there = min(devices.memory[: launch.processes] if devices.on_gpu else devices.memory)
    if need.total * shared > there:
        where = "a GPU" if devices.on_gpu else "this machine"
        raise RoomError(
            f"the training needs about {_gigabytes(need.total * shared)} of memory and {where} has "
            f"{_gigabytes(there)}: set PERSONA_TRAINING__HYPER__GRADIENT_ACCUMULATION higher, "
            "PERSONA_TRAINING__HYPER__LORA_RANK, or PERSONA_TRAINING__ACCELERATE_CONFIG=fsdp2 on "
            "more GPUs (PERSONA_TRAINING__DEVICE_GIB overrides the memory found)"
        )
    return need


def check_disk(
    shape: ModelShape,
    hyper: Hyperparameters,
    folder: Path,
    *,
    checkpoints: bool,
    examples: int,
    held: int = 0,
) -> int:
    """Count the disk space of a training, and refuse a training that would fill the disk.

    Args:
        shape: Shape of the base model.
        hyper: Hyper-parameters.
        folder: Folder of models, which exists.
        checkpoints: True if checkpoints are written.
        examples: Bytes of the examples.
        held: Bytes that an interrupted training of the same inputs already has there.

    Returns:
        Bytes.

    Raises:
        RoomError: Too little disk space.
    """
    need = disk_bytes(shape, hyper, checkpoints, examples)
    free = shutil.disk_usage(folder).free
    if need + SPARE_DISK - held > free:
        raise RoomError(
            f"the training needs about {_gigabytes(need + SPARE_DISK - held)} of disk and "
            f"{_gigabytes(free)} are free at {folder}: free some, set PERSONA_DATA_DIR to another "
            "disk, or set PERSONA_TRAINING__CHECKPOINT_SECONDS=null and no "
            "PERSONA_TRAINING__CHECKPOINT_STEPS to keep no checkpoints"
        )
    return need


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder; 0 if it does not exist."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _gpu_memory() -> tuple[int, ...]:
    # Both hide all GPUs.
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or not shutil.which("nvidia-smi"):
        return ()
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if answer.returncode:
        return ()
    sizes = [int(line) << 20 for line in answer.stdout.split("\n") if line.strip().isdigit()]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return tuple(sizes if visible is None else sizes[: len(visible.split(","))])


def _machine_memory() -> int:
    """Return the bytes of this machine's memory, or of the container's limit."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
