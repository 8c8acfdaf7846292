"""Eight uint64 lanes as a single value inside a kernel, so that scalar code works on eight numbers.

    block = load(hashes, i)
    store(hashes, i, mix64(block ^ np.uint64(1)))

`+ - * & | ^ << >>` accept two values of eight lanes, or lanes and a uint64; shifts are by less than
64. `==`, `<` and `>` return a uint64 mask of the lanes where the comparison holds; its lowest bit
stands for the first lane. LLVM compiles this to the vector instructions of the processor (AVX-512,
AVX2, SSE2, NEON), with the same result everywhere. Loads and stores cover whole blocks: pad arrays.
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
"""Number of lanes in a value."""

_BYTE, _INDEX, _WORD = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, LANES)


class _LanesType(types.Type):  # type: ignore[misc]
    """Numba's type of a value of eight lanes."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


_LANES = _LanesType()


@register_model(_LanesType)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def _broadcast(builder: Any, value: Any) -> Any:
    """Copy a scalar to all lanes; return a value of lanes unchanged."""
    if value.type == _VECTOR:
        return value
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    return _shuffle(builder, builder.insert_element(undefined, value, _INDEX(0)), [0] * LANES)


def _shuffle(builder: Any, vector: Any, order: list[int], other: Any = None) -> Any:
    """Return the elements of a vector, or of a vector followed by `other`, in the given order."""
    indices = ir.Constant(ir.VectorType(_INDEX, len(order)), order)
    return builder.shuffle_vector(vector, other or ir.Constant(vector.type, ir.Undefined), indices)


def _operator(function: Any, result: Any, build: Callable[[Any, Any, Any], Any]) -> None:
    """Register a binary operator with the compiler."""
    operands = ((_LANES, _LANES), (_LANES, types.uint64), (types.uint64, _LANES))

    @infer_global(function)
    class _Template(ConcreteTemplate):  # type: ignore[misc]
        cases = [signature(result, *pair) for pair in operands]  # noqa: RUF012

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return build(builder, *(_broadcast(builder, value) for value in args))

    for pair in operands:
        lower_builtin(function, *pair)(lower)


def _comparison(predicate: str) -> Callable[[Any, Any, Any], Any]:
    """Build a comparison of lanes that returns a mask."""

    def build(builder: Any, left: Any, right: Any) -> Any:
        holds = builder.icmp_unsigned(predicate, left, right)
        return builder.zext(builder.bitcast(holds, ir.IntType(LANES)), _WORD)

    return build


_operator(operator.add, _LANES, ir.IRBuilder.add)
_operator(operator.sub, _LANES, ir.IRBuilder.sub)
_operator(operator.mul, _LANES, ir.IRBuilder.mul)
_operator(operator.and_, _LANES, ir.IRBuilder.and_)
_operator(operator.or_, _LANES, ir.IRBuilder.or_)
_operator(operator.xor, _LANES, ir.IRBuilder.xor)
_operator(operator.lshift, _LANES, ir.IRBuilder.shl)
_operator(operator.rshift, _LANES, ir.IRBuilder.lshr)
_operator(operator.eq, types.uint64, _comparison("=="))
_operator(operator.lt, types.uint64, _comparison("<"))
_operator(operator.gt, types.uint64, _comparison(">"))


@intrinsic  # type: ignore[untyped-decorator]
def broadcast(typing: Any, value: Any) -> Any:
    """Copy a uint64 to all lanes."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _broadcast(builder, args[0])

    return _LANES(types.uint64), build


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, values: Any, position: Any) -> Any:
    """Load eight elements of a uint64 array from `position` on."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = address(context, builder, signature.args[0], args[0], args[1], _VECTOR)
        return builder.load(source, align=8)

    return _LANES(values, types.intp), build


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, values: Any, position: Any, block: Any) -> Any:
    """Store eight lanes in a uint64 array from `position` on."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = address(context, builder, signature.args[0], args[0], args[1], _VECTOR)
        builder.store(args[2], target, align=8)
        return context.get_dummy_value()

    return types.void(values, types.intp, _LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def load_bytes(typing: Any, data: Any, position: Any) -> Any:
    """Load eight elements of a uint8 array from `position` on, widened to uint64."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        eight_bytes = ir.VectorType(_BYTE, LANES)
        source = address(context, builder, signature.args[0], args[0], args[1], eight_bytes)
        return builder.zext(builder.load(source, align=1), _VECTOR)

    return _LANES(data, types.intp), build


@intrinsic  # type: ignore[untyped-decorator]
def load_strided(typing: Any, values: Any, position: Any) -> Any:
    """Load eight elements of a uint64 array, every second from `position` on; sixteen are read."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sixteen = ir.VectorType(_WORD, 2 * LANES)
        source = address(context, builder, signature.args[0], args[0], args[1], sixteen)
        return _shuffle(builder, builder.load(source, align=8), list(range(0, 2 * LANES, 2)))

    return _LANES(values, types.intp), build


@intrinsic  # type: ignore[untyped-decorator]
def gather(typing: Any, data: Any, positions: Any) -> Any:
    """Load sixteen bytes of a uint8 array from each of eight positions, little-endian.

    Returns:
        Two values of eight lanes: the first eight bytes, and the last eight bytes.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pair = ir.VectorType(_WORD, 2)
        vectors = []
        for lane in range(LANES):
            at = builder.extract_element(args[1], _INDEX(lane))
            source = address(context, builder, signature.args[0], args[0], at, pair)
            vectors.append(builder.load(source, align=1))
        while len(vectors) > 1:
            order = list(range(2 * vectors[0].type.count))
            halves = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [_shuffle(builder, left, order, right) for left, right in halves]
        parts = [_shuffle(builder, vectors[0], list(range(i, 2 * LANES, 2))) for i in range(2)]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(_LANES, 2)(data, _LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def select_lanes(typing: Any, bits: Any, block: Any) -> Any:
    """Keep the lanes whose bit is set in the mask `bits`, and set the other lanes to zero."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.trunc(args[0], ir.IntType(LANES))
        mask = builder.bitcast(bits, ir.VectorType(ir.IntType(1), LANES))
        return builder.select(mask, args[1], ir.Constant(_VECTOR, [0] * LANES))

    return _LANES(types.uint64, _LANES), build


@inlined
def first_lanes(count: Int) -> Int:
    """Return the mask of the first `count` lanes; of all lanes if `count` is larger."""
    return (np.uint64(1) << np.uint64(min(count, LANES))) - np.uint64(1)


def _reduction(name: str, docstring: str) -> Any:
    """Define a reduction of all lanes to a uint64 by LLVM's `llvm.vector.reduce`."""

    def reduction(typing: Any, block: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            function = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(_WORD, [_VECTOR]),
                f"llvm.vector.reduce.{name}.v{LANES}i64",
            )
            return builder.call(function, args)

        return types.uint64(_LANES), build

    reduction.__doc__ = docstring
    return intrinsic(reduction)


sum_lanes = _reduction("add", "Return the sum of all lanes, modulo 2^64.")
xor_lanes = _reduction("xor", "Return the exclusive or of all lanes.")
