"""Append-only columns on disk, in which a join keeps its state between runs.

A folder holds a file `<name>.<generation>.bin` per column, and `state.json` with the current
generation, the committed length of each column and the fingerprint of the parameters. Appended
elements are written after the committed elements and become visible on `commit`. Clearing starts a
new generation in new files. So a killed run leaves nothing behind that a later run reads, and
arrays returned earlier keep their content.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from persona_assets.dedup.kernels.compile import frozen

STATE = "state.json"
"""Name of the file that makes a commit atomic."""

Shape = tuple[str, tuple[int, ...]]
"""Numpy type of a column and shape of an element."""


class _State(BaseModel):
    model_config = ConfigDict(strict=True)

    fingerprint: str
    generation: NonNegativeInt
    lengths: dict[str, NonNegativeInt]
    state: dict[str, Any]


class ColumnStore:
    """Append-only columns in a folder; a context manager that locks the folder for a process.

    A folder that is damaged, or was written with another fingerprint or other columns, is treated
    as empty: its content can always be computed again from the tables.

    Args:
        folder: Folder of the columns, created if missing.
        shapes: Type and element shape by column name.
        fingerprint: Parameters on which the content depends.

    Attributes:
        state: JSON object that was committed together with the columns.
    """

    def __init__(self, folder: Path, shapes: Mapping[str, Shape], fingerprint: str) -> None:
        self._folder = folder
        self._shapes = shapes
        self._fingerprint = fingerprint
        self._generation = 0
        self._lengths: dict[str, int] = {}
        self._appended: dict[str, int] = {}
        self.state: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self._folder / "lock")
        self._lock.acquire()
        committed = self._read()
        if committed is None:
            self.clear()
        else:
            self._lengths, self.state = committed.lengths, committed.state
            self.rollback()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return the committed elements of a column, read-only, mapped from its file."""
        dtype, shape = self._shapes[name]
        length = self._lengths[name]
        if length == 0:
            return frozen(np.empty((0, *shape), dtype))
        return frozen(np.memmap(self._path(name), dtype, "r", shape=(length, *shape)))

    def append(self, name: str, values: npt.NDArray[Any]) -> None:
        """Append elements to a column; they become visible on `commit`.

        Raises:
            TypeError: `values` differ from the column in type or element shape.
        """
        dtype, shape = self._shapes[name]
        if values.dtype != np.dtype(dtype) or values.shape[1:] != shape:
            raise TypeError(f"{name} holds {dtype} {shape}, not {values.dtype} {values.shape[1:]}")
        path = self._path(name)
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.seek(self._appended[name] * self._size(name))
            file.truncate()
            file.write(np.ascontiguousarray(values).data)
        self._appended[name] += len(values)

    def commit(self, state: Mapping[str, Any]) -> None:
        """Make appended elements visible and durable, atomically with `state`.

        Args:
            state: JSON object that replaces the previous state.
        """
        for name in self._shapes:
            if self._appended[name] != self._lengths[name]:
                with self._path(name).open("rb") as file:
                    os.fsync(file.fileno())
        content = _State(
            fingerprint=self._fingerprint,
            generation=self._generation,
            lengths=self._appended,
            state=dict(state),
        )
        scratch = self._folder / f".{STATE}.tmp"
        with scratch.open("w") as file:
            file.write(content.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._folder / STATE)
        self._lengths, self.state = dict(self._appended), content.state
        for path, generation in self._files():
            if generation != self._generation:
                path.unlink()

    def rollback(self) -> None:
        """Discard elements appended since the last commit."""
        self._appended = dict(self._lengths)

    def clear(self) -> None:
        """Discard all columns and the state; on disk they stay until the next commit."""
        self._generation = 1 + max((generation for _, generation in self._files()), default=0)
        self._lengths = dict.fromkeys(self._shapes, 0)
        self.state = {}
        self.rollback()

    def _read(self) -> _State | None:
        """Read the committed state; None if it is missing, damaged or does not fit."""
        try:
            state = _State.model_validate_json((self._folder / STATE).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        if state.fingerprint != self._fingerprint or state.lengths.keys() != self._shapes.keys():
            return None
        self._generation = state.generation
        for name, length in state.lengths.items():
            path = self._path(name)
            if length and (not path.exists() or path.stat().st_size < length * self._size(name)):
                return None
        return state

    def _size(self, name: str) -> int:
        """Return the bytes of an element."""
        dtype, shape = self._shapes[name]
        return int(np.dtype(dtype).itemsize * np.prod(shape, dtype=np.int64))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.{self._generation}.bin"

    def _files(self) -> Iterator[tuple[Path, int]]:
        """Yield the files of all generations, with their generation."""
        for path in self._folder.glob("*.*.bin"):
            generation = path.name.split(".")[-2]
            if generation.isdecimal():
                yield path, int(generation)
