"""Compilation of the inner loops of this package.

A kernel is a plain function over numpy arrays without Python objects, so threads run kernels in
parallel. Kernels unpack a tuple of arrays before a loop: in a kernel that allocates, each access to
a member counts references.

Compiled code is cached in the user's cache folder (or NUMBA_CACHE_DIR) under a hash of all sources
of this package: numba itself checks only the file of the kernel, not the files of its callees.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import config, njit

Function = TypeVar("Function", bound=Callable[..., Any])
Array = npt.NDArray[Any]
Int = Any
"""Integer inside a kernel: int64 or uint64. Never mix the two: a comparison makes them float64."""


def _cache_dir() -> str:
    """Return the cache folder for the current sources of this package."""
    folder = Path(__file__).parents[1]
    sources = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.rglob("*.py"))))
    root = Path(os.environ.get("NUMBA_CACHE_DIR", "~/.cache/persona_assets/kernels")).expanduser()
    return str(root / sources.hexdigest()[:16])


config.CACHE_DIR = _cache_dir()


def kernel(function: Function) -> Function:
    """Compile a function on its first call with given types; it runs without the interpreter lock.

    The kernel borrows its arrays and allocates none. Counting references would take an atomic
    operation per array: more than the work on a short text.
    """
    return cast(Function, njit(nogil=True, cache=True, _nrt=False)(function))


def allocating(function: Function) -> Function:
    """Compile a kernel that allocates arrays; see `kernel`."""
    return cast(Function, njit(nogil=True, cache=True, _nrt=True)(function))


def inlined(function: Function) -> Function:
    """Compile a kernel that is inlined into its callers."""
    return cast(Function, njit(nogil=True, inline="always")(function))


def frozen(array: Array) -> Array:
    """Return a read-only view, so that a kernel compiles once for arrays in memory and on disk.

    Example:
        >>> frozen(np.zeros(2)).flags.writeable
        False
    """
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
