"""Bit operations inside kernels: unaligned loads and stores, bit counts, a 64-bit mixer."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from persona_assets.dedup.kernels.compile import inlined


def address(
    context: Any, builder: Any, array_type: Any, array: Any, position: Any, target: ir.Type
) -> Any:
    """Return LLVM's pointer to the element at `position` of an array, cast to type `target`."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [position]), target.as_pointer())


@intrinsic  # type: ignore[untyped-decorator]
def load64(typing: Any, array: Any, position: Any) -> Any:
    """Load eight bytes of a uint8 array from `position` on, little-endian, as uint64.

    The load reads past the end of the array if fewer than eight bytes are left: pad the array.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = address(context, builder, signature.args[0], args[0], args[1], ir.IntType(64))
        return builder.load(source, align=1)

    return types.uint64(array, types.intp), build


@intrinsic  # type: ignore[untyped-decorator]
def store64(typing: Any, array: Any, position: Any, value: Any) -> Any:
    """Store a uint64 in eight bytes of a uint8 array, little-endian; see `load64`."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = address(context, builder, signature.args[0], args[0], args[1], ir.IntType(64))
        builder.store(args[2], target, align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.uint64), build


@intrinsic  # type: ignore[untyped-decorator]
def popcount(typing: Any, value: Any) -> Any:
    """Return the number of set bits of a uint64."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), build


@intrinsic  # type: ignore[untyped-decorator]
def trailing_zeros(typing: Any, value: Any) -> Any:
    """Return the number of zero bits below the lowest set bit of a uint64; 64 for zero."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], cgutils.false_bit)

    return types.uint64(types.uint64), build


@intrinsic  # type: ignore[untyped-decorator]
def leading_zeros(typing: Any, value: Any) -> Any:
    """Return the number of zero bits above the highest set bit of a uint64; 64 for zero."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], cgutils.false_bit)

    return types.uint64(types.uint64), build


@inlined
def mix64(value: Any) -> Any:
    """Map uint64 to uint64 by a bijection in which each output bit depends on every input bit.

    The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
    generators, 2014), constants by David Stafford.
    """
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
