"""Columns that only grow: what a join must remember between runs, one file a column.

A folder holds `<name>.<generation>.bin` for each column and `state.json`, which says which
generation counts, how many elements of each column, and which parameters they were made with.
Elements are appended behind those that count and count from `commit` on, and what is made anew is a
generation of its own: a run that is killed leaves nothing behind that anyone reads, and arrays that
were taken before stay what they were.
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

Shape = tuple[str, tuple[int, ...]]
"""A column's type, as numpy names it, and the shape of one element."""


class _State(BaseModel):
    model_config = ConfigDict(strict=True)

    fingerprint: str
    generation: NonNegativeInt
    lengths: dict[str, NonNegativeInt]
    state: dict[str, Any]


class ColumnStore:
    """The columns in a folder, opened by one process at a time; use as a context manager.

    `shapes` gives each column's type and the shape of one element. Where the folder was written
    with another `fingerprint` (the parameters on which the content depends), or is damaged, what it
    held is forgotten: it can always be made again from the tables. `state` is what was committed
    with the columns.
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
        known = self._read()
        if known is None:
            self.clear()
        else:
            self._lengths, self.state = known.lengths, known.state
            self.rollback()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """The elements of a column that count, read-only, mapped from its file."""
        dtype, shape = self._shapes[name]
        length = self._lengths[name]
        if length == 0:
            return frozen(np.empty((0, *shape), dtype))
        return frozen(np.memmap(self._path(name), dtype, "r", shape=(length, *shape)))

    def append(self, name: str, values: npt.NDArray[Any]) -> None:
        """Writes elements behind those of a column; they count from `commit` on.

        Raises TypeError for values that are not of the column's type and shape.
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
        """Makes what was appended count, together with `state` (JSON), at once and for good."""
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
        """Forgets what was appended and not committed."""
        self._appended = dict(self._lengths)

    def clear(self) -> None:
        """Forgets all; what is appended and committed next takes its place."""
        self._generation = 1 + max((generation for _, generation in self._files()), default=0)
        self._lengths = dict.fromkeys(self._shapes, 0)
        self.state = {}
        self.rollback()

    def _read(self) -> _State | None:
        try:
            known = _State.model_validate_json((self._folder / STATE).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        if known.fingerprint != self._fingerprint or known.lengths.keys() != self._shapes.keys():
            return None
        self._generation = known.generation
        for name, length in known.lengths.items():
            path = self._path(name)
            if length and (not path.exists() or path.stat().st_size < length * self._size(name)):
                return None
        return known

    def _size(self, name: str) -> int:
        dtype, shape = self._shapes[name]
        return int(np.dtype(dtype).itemsize * np.prod(shape, dtype=np.int64))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.{self._generation}.bin"

    def _files(self) -> Iterator[tuple[Path, int]]:
        """The files of all generations."""
        for path in self._folder.glob("*.*.bin"):
            generation = path.name.split(".")[-2]
            if generation.isdecimal():
                yield path, int(generation)
