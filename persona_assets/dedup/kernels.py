"""How the inner loops of this package are compiled, and the machine instructions they share.

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
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])
Array = npt.NDArray[Any]
Int = Any
"""A whole number inside a kernel: int64 or uint64, never mixed: compared, both become float64."""


def _cache_dir() -> str:
    folder = Path(__file__).parent
    sources = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(folder.glob("*.py"))))
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


def address(context: Any, builder: Any, kind: Any, array: Any, position: Any, wide: ir.Type) -> Any:
    """LLVM's pointer to what begins at `position` of an array and is as `wide` as that type."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [position]), wide.as_pointer())


@intrinsic  # type: ignore[untyped-decorator]
def load64(typing: Any, array: Any, position: Any) -> Any:
    """The eight bytes of a uint8 array from `position` on, little-endian, as uint64.

    It reads past the end of the array if fewer are left: leave room.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = address(context, builder, signature.args[0], args[0], args[1], ir.IntType(64))
        return builder.load(source, align=1)

    return types.uint64(array, types.intp), build


@intrinsic  # type: ignore[untyped-decorator]
def store64(typing: Any, array: Any, position: Any, value: Any) -> Any:
    """Writes a uint64 into eight bytes of a uint8 array, little-endian; see `load64`."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = address(context, builder, signature.args[0], args[0], args[1], ir.IntType(64))
        builder.store(args[2], target, align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.uint64), build


@intrinsic  # type: ignore[untyped-decorator]
def popcount(typing: Any, value: Any) -> Any:
    """The number of set bits of a uint64."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), build


@intrinsic  # type: ignore[untyped-decorator]
def trailing_zeros(typing: Any, value: Any) -> Any:
    """The number of zero bits below the lowest set bit of a uint64; 64 for zero."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], cgutils.false_bit)

    return types.uint64(types.uint64), build


@intrinsic  # type: ignore[untyped-decorator]
def leading_zeros(typing: Any, value: Any) -> Any:
    """The number of zero bits above the highest set bit of a uint64; 64 for zero."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], cgutils.false_bit)

    return types.uint64(types.uint64), build


@inlined
def mix64(value: Any) -> Any:
    """A bijection of uint64 in which every bit of the result depends on every bit of `value`.

    The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
    generators, 2014), constants by David Stafford.
    """
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
