"""Launch of a training on several devices by accelerate."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CONFIGS = Path(__file__).with_name("accelerate_configs")
"""Configurations of accelerate that the project ships, by name."""

SINGLE = (sys.executable, "-m")
"""Command before a module's name, for a single process."""


class LaunchError(ValueError):
    """A configuration of accelerate that cannot be used; the message says what to change."""


@dataclass(frozen=True)
class Launch:
    """Command that starts the training program, and its processes.

    Attributes:
        command: Command before the program's module name.
        processes: Number of processes, one per device.
        is_sharded: True if weights are sharded over the processes (FSDP2).
    """

    command: tuple[str, ...] = SINGLE
    processes: int = 1
    is_sharded: bool = False

    @classmethod
    def of(cls, config: str | None, processes: int | None) -> "Launch":
        """Return the launch that the settings ask for.

        Args:
            config: Name of a shipped configuration of accelerate, or the path of a file of
                `accelerate config`; None for `ddp` if there are several processes.
            processes: Number of processes; None for that of the configuration.

        Raises:
            LaunchError: No such configuration, or one that cannot be used.

        Example:
            >>> Launch.of("fsdp2", None).processes
            8
            >>> Launch.of(None, None) == Launch()
            True
        """
        if config is None and processes in (None, 1):
            return cls()
        path = _find(config or "ddp")
        values = _read(path)
        number = processes or values.get("num_processes")
        if not isinstance(number, int) or number < 1:
            raise LaunchError(f"{path}: num_processes is missing: set PERSONA_TRAINING__PROCESSES")
        _check(path, values)
        arguments = ["--config_file", str(path), "--num_processes", str(number)]
        return cls(
            # Port 0 is a free one: another training may run beside this one.
            (*SINGLE, "accelerate.commands.launch", *arguments, "--main_process_port", "0", "-m"),
            number,
            values["distributed_type"] == "FSDP",
        )


def _find(config: str) -> Path:
    path = Path(config).expanduser()
    shipped = {file.stem: file for file in sorted(CONFIGS.glob("*.yaml"))}
    if config in shipped:
        return shipped[config]
    if not path.is_file():
        raise LaunchError(
            f"setting PERSONA_TRAINING__ACCELERATE_CONFIG: {config!r} is no file and none of "
            f"{', '.join(shipped)}"
        )
    return path.absolute()


def _read(path: Path) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LaunchError(f"{path} is no YAML file of `accelerate config`: {error}") from None
    if not isinstance(values, dict) or "distributed_type" not in values:
        raise LaunchError(f"{path} has no distributed_type: write it with `accelerate config`")
    return values


def _check(path: Path, values: Mapping[str, Any]) -> None:
    kind = values["distributed_type"]
    if kind == "DEEPSPEED":
        raise LaunchError(
            f"{path}: DeepSpeed is not supported, as its weights are not gathered in full "
            "precision: use the configuration fsdp2, which shards as much as ZeRO-3"
        )
    if kind == "FSDP" and (values.get("fsdp_config") or {}).get("fsdp_version") != 2:
        raise LaunchError(f"{path}: set fsdp_version: 2 in fsdp_config, as version 1 is deprecated")
    if kind not in ("FSDP", "MULTI_GPU", "NO"):
        raise LaunchError(f"{path}: distributed_type {kind} is none of FSDP, MULTI_GPU and NO")
    if values.get("num_machines", 1) != 1:
        raise LaunchError(
            f"{path}: num_machines must be 1: this process starts the training on its own machine"
        )
