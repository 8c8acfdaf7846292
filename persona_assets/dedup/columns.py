"""Columns that only grow: what a join must remember between runs, one file a column.

A folder holds `<name>.bin` for each column and `state.json`, which says how many elements of each
count and which parameters they were made with. Elements are appended behind those that count and
count from `commit` on, so a run that is killed leaves nothing behind that anyone reads.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from persona_assets.dedup.kernels import frozen

STATE = "state.json"

Shape = tuple[str, tuple[int, ...]]
"""A column's type, as numpy names it, and the shape of one element."""


class Columns:
    """The columns in a folder, opened by one process at a time; use as a context manager.

    `shapes` gives each column's type and the shape of one element. Where the folder was written
    with another `fingerprint` (the parameters on which the content depends), or is damaged, what it
    held is forgotten: it can always be made again from the tables.
    """

    def __init__(self, folder: Path, shapes: Mapping[str, Shape], fingerprint: str) -> None:
        self._folder = folder
        self._shapes = shapes
        self._fingerprint = fingerprint
        self._appended: dict[str, int] = {}
        self.state: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self._folder / "lock")
        self._lock.acquire()
        known = self._read()
        self._lengths: dict[str, int] = (
            known["lengths"] if known else dict.fromkeys(self._shapes, 0)
        )
        self._appended = dict(self._lengths)
        self.state = known["state"] if known else {}
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
        """Writes elements behind those of a column; they count from `commit` on."""
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
        """Makes what was appended count, together with `state`, at once and for good."""
        for name in self._shapes:
            if self._appended[name] != self._lengths[name]:
                with self._path(name).open("rb") as file:
                    os.fsync(file.fileno())
        content = {
            "fingerprint": self._fingerprint,
            "lengths": self._appended,
            "state": dict(state),
        }
        scratch = self._folder / f".{STATE}.tmp"
        with scratch.open("w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._folder / STATE)
        self._lengths = dict(self._appended)
        self.state = dict(state)

    def clear(self) -> None:
        """Forgets all; the files shrink when they are next written."""
        self._lengths = dict.fromkeys(self._shapes, 0)
        self._appended = dict(self._lengths)
        self.state = {}

    def _read(self) -> dict[str, Any] | None:
        try:
            content = json.loads((self._folder / STATE).read_text())
        except (FileNotFoundError, ValueError):
            return None
        if not isinstance(content, dict) or content.get("fingerprint") != self._fingerprint:
            return None
        lengths = content["lengths"]
        for name in self._shapes:
            path = self._path(name)
            held = path.stat().st_size if path.exists() else 0
            if lengths.get(name, -1) < 0 or held < lengths[name] * self._size(name):
                return None
        return content

    def _size(self, name: str) -> int:
        dtype, shape = self._shapes[name]
        return int(np.dtype(dtype).itemsize * np.prod(shape, dtype=np.int64))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.bin"
