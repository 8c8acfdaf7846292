"""Compile the inner loops of this package.

A kernel is a plain function over numpy arrays: no Python object inside, so threads run them side by
side. Members of a tuple of arrays are taken out of it before a loop: where arrays are made, each
access counts references.

Compiled code is kept in the user's cache (or where NUMBA_CACHE_DIR says) under a hash of all
sources of this package: numba looks only at the file of the kernel itself, not at those it calls.
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
"""A whole number inside a kernel: int64 or uint64, never mixed: compared, both become float64."""


def _cache_dir() -> str:
    folder = Path(__file__).parents[1]
    sources = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(folder.rglob("*.py"))))
    root = Path(os.environ.get("NUMBA_CACHE_DIR", "~/.cache/persona_assets/kernels")).expanduser()
    return str(root / sources.hexdigest()[:16])


config.CACHE_DIR = _cache_dir()


def kernel(function: Function) -> Function:
    """Compiles `function` on its first call with given types; it releases the interpreter.

    It borrows its arrays and makes none. To count references to them takes an atomic operation for
    each: more than the work on a short text.
    """
    return cast(Function, njit(nogil=True, cache=True, _nrt=False)(function))


def allocating(function: Function) -> Function:
    """A kernel that makes arrays."""
    return cast(Function, njit(nogil=True, cache=True, _nrt=True)(function))


def inlined(function: Function) -> Function:
    """A kernel that is part of those that call it."""
    return cast(Function, njit(nogil=True, inline="always")(function))


def frozen(array: Array) -> Array:
    """A read-only view. A kernel is compiled once for it, whether it came from a file or not."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
