"""Eight uint64 as one value inside a kernel: what is written for a number works on eight at once.

    some = load(hashes, i)
    store(hashes, i, mix64(some ^ np.uint64(1)))

`+ - * & | ^ << >>` take two of them, or one and a uint64; shifts are by less than 64. `==`, `<` and
`>` give the lanes for which they hold as the lowest bits of a uint64, that of the first one lowest.
LLVM turns this into what the processor at hand has (AVX-512, AVX2, SSE2, NEON); the result is the
same everywhere. Whole blocks are read and written: leave room.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from persona_assets.dedup.kernels.bits import address
from persona_assets.dedup.kernels.compile import Int, inlined

LANES = 8

_BYTE, _INDEX, _WORD = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_LANES = ir.VectorType(_WORD, LANES)


class _Lanes(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name="Lanes")


_KIND = _Lanes()


@register_model(_Lanes)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _LANES)


def _broadcast(builder: Any, value: Any) -> Any:
    """A number, eight times; lanes as they are."""
    if value.type == _LANES:
        return value
    nothing = ir.Constant(_LANES, ir.Undefined)
    return _shuffled(builder, builder.insert_element(nothing, value, _INDEX(0)), [0] * LANES)


def _shuffled(builder: Any, vector: Any, order: list[int], other: Any = None) -> Any:
    """Elements of a vector, or of one and another behind it, in that order."""
    picked = ir.Constant(ir.VectorType(_INDEX, len(order)), order)
    return builder.shuffle_vector(vector, other or ir.Constant(vector.type, ir.Undefined), picked)


def _operator(function: Any, result: Any, build: Callable[[Any, Any, Any], Any]) -> None:
    """Teaches the compiler a binary operator."""
    operands = ((_KIND, _KIND), (_KIND, types.uint64), (types.uint64, _KIND))

    @infer_global(function)
    class _Template(ConcreteTemplate):  # type: ignore[misc]
        cases = [signature(result, *pair) for pair in operands]  # noqa: RUF012

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return build(builder, *(_broadcast(builder, value) for value in args))

    for pair in operands:
        lower_builtin(function, *pair)(lower)


def _compared(sign: str) -> Callable[[Any, Any, Any], Any]:
    def build(builder: Any, one: Any, other: Any) -> Any:
        found = builder.icmp_unsigned(sign, one, other)
        return builder.zext(builder.bitcast(found, ir.IntType(LANES)), _WORD)

    return build


_operator(operator.add, _KIND, ir.IRBuilder.add)
_operator(operator.sub, _KIND, ir.IRBuilder.sub)
_operator(operator.mul, _KIND, ir.IRBuilder.mul)
_operator(operator.and_, _KIND, ir.IRBuilder.and_)
_operator(operator.or_, _KIND, ir.IRBuilder.or_)
_operator(operator.xor, _KIND, ir.IRBuilder.xor)
_operator(operator.lshift, _KIND, ir.IRBuilder.shl)
_operator(operator.rshift, _KIND, ir.IRBuilder.lshr)
_operator(operator.eq, types.uint64, _compared("=="))
_operator(operator.lt, types.uint64, _compared("<"))
_operator(operator.gt, types.uint64, _compared(">"))


@intrinsic  # type: ignore[untyped-decorator]
def lanes(typing: Any, value: Any) -> Any:
    """A uint64, eight times."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _broadcast(builder, args[0])

    return _KIND(types.uint64), build


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, values: Any, position: Any) -> Any:
    """The eight of a uint64 array from `position` on."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = address(context, builder, signature.args[0], args[0], args[1], _LANES)
        return builder.load(source, align=8)

    return _KIND(values, types.intp), build


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, values: Any, position: Any, some: Any) -> Any:
    """Writes eight into a uint64 array from `position` on."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = address(context, builder, signature.args[0], args[0], args[1], _LANES)
        builder.store(args[2], target, align=8)
        return context.get_dummy_value()

    return types.void(values, types.intp, _KIND), build


@intrinsic  # type: ignore[untyped-decorator]
def load_bytes(typing: Any, data: Any, position: Any) -> Any:
    """The eight numbers of a uint8 array from `position` on."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        few = ir.VectorType(_BYTE, LANES)
        source = address(context, builder, signature.args[0], args[0], args[1], few)
        return builder.zext(builder.load(source, align=1), _LANES)

    return _KIND(data, types.intp), build


@intrinsic  # type: ignore[untyped-decorator]
def every_other(typing: Any, values: Any, position: Any) -> Any:
    """The first, third and so on of sixteen of a uint64 array from `position` on."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.VectorType(_WORD, 2 * LANES)
        source = address(context, builder, signature.args[0], args[0], args[1], wide)
        return _shuffled(builder, builder.load(source, align=8), list(range(0, 2 * LANES, 2)))

    return _KIND(values, types.intp), build


@intrinsic  # type: ignore[untyped-decorator]
def gather(typing: Any, data: Any, positions: Any) -> Any:
    """Sixteen bytes of a uint8 array from each of eight positions on, little-endian.

    Two values: the first eight bytes, and the others.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pair = ir.VectorType(_WORD, 2)
        found = []
        for lane in range(LANES):
            at = builder.extract_element(args[1], _INDEX(lane))
            source = address(context, builder, signature.args[0], args[0], at, pair)
            found.append(builder.load(source, align=1))
        while len(found) > 1:
            both = list(range(2 * found[0].type.count))
            halves = zip(found[::2], found[1::2], strict=True)
            found = [_shuffled(builder, one, both, other) for one, other in halves]
        parts = [_shuffled(builder, found[0], list(range(i, 2 * LANES, 2))) for i in range(2)]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(_KIND, 2)(data, _KIND), build


@intrinsic  # type: ignore[untyped-decorator]
def chosen(typing: Any, bits: Any, some: Any) -> Any:
    """The lanes whose bit is set, and zero in place of the others."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.trunc(args[0], ir.IntType(LANES))
        kept = builder.bitcast(bits, ir.VectorType(ir.IntType(1), LANES))
        return builder.select(kept, args[1], ir.Constant(_LANES, [0] * LANES))

    return _KIND(types.uint64, _KIND), build


@inlined
def first_lanes(count: Int) -> Int:
    """The bits of the first `count` lanes; of all, if `count` is more."""
    return (np.uint64(1) << np.uint64(min(count, LANES))) - np.uint64(1)


def _reduction(name: str, meaning: str) -> Any:
    def reduced(typing: Any, some: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            function = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(_WORD, [_LANES]),
                f"llvm.vector.reduce.{name}.v{LANES}i64",
            )
            return builder.call(function, args)

        return types.uint64(_KIND), build

    reduced.__doc__ = meaning
    return intrinsic(reduced)


total = _reduction("add", "The sum of all lanes, modulo 2^64.")
parity = _reduction("xor", "The exclusive or of all lanes.")
