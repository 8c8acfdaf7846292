"""Text 64 bytes at a time, in a few instructions.

Vectors are written in LLVM's terms, which turns them into what the processor at hand has (AVX-512,
AVX2, SSE2, NEON); the result is the same everywhere. All read and write whole blocks: leave room.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from persona_assets.dedup.kernels.bits import address

BYTES = 64
"""Bytes in a block."""

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_BLOCK = ir.VectorType(_BYTE, BYTES)


@intrinsic  # type: ignore[untyped-decorator]
def fold_block(typing: Any, data: Any, position: Any, out: Any, at: Any) -> Any:
    """Folds the 64 bytes of `data` from `position` on into those of `out` from `at` on.

    ASCII letters and digits are kept, in lower case; all else becomes a space.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = address(context, builder, signature.args[0], args[0], args[1], _BLOCK)
        x = builder.load(source, align=1)
        upper = builder.icmp_unsigned("<", builder.sub(x, _bytes("A")), _bytes(26))
        lower = builder.or_(x, builder.select(upper, _bytes(0x20), _bytes(0)))
        letter = builder.icmp_unsigned("<", builder.sub(lower, _bytes("a")), _bytes(26))
        digit = builder.icmp_unsigned("<", builder.sub(x, _bytes("0")), _bytes(10))
        target = address(context, builder, signature.args[2], args[2], args[3], _BLOCK)
        builder.store(
            builder.select(builder.or_(letter, digit), lower, _bytes(" ")), target, align=1
        )
        return context.get_dummy_value()

    return types.void(data, types.intp, out, types.intp), build


@intrinsic  # type: ignore[untyped-decorator]
def odd_bytes(typing: Any, data: Any, position: Any) -> Any:
    """Which of the 64 bytes from `position` on are "+", "#" or beyond ASCII.

    A uint64, its lowest bit for the first byte.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = address(context, builder, signature.args[0], args[0], args[1], _BLOCK)
        x = builder.load(source, align=1)
        found = builder.icmp_signed("<", x, _bytes(0))
        for sign in "+#":
            found = builder.or_(found, builder.icmp_unsigned("==", x, _bytes(sign)))
        return builder.bitcast(found, _WORD)

    return types.uint64(data, types.intp), build


@intrinsic  # type: ignore[untyped-decorator]
def letters(typing: Any, data: Any, position: Any) -> Any:
    """Which of the 64 bytes from `position` on are no space: a uint64 like that of `odd_bytes`."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = address(context, builder, signature.args[0], args[0], args[1], _BLOCK)
        found = builder.icmp_unsigned("!=", builder.load(source, align=1), _bytes(" "))
        return builder.bitcast(found, _WORD)

    return types.uint64(data, types.intp), build


def _bytes(value: int | str) -> ir.Constant:
    """The byte, 64 times."""
    number = ord(value) if isinstance(value, str) else value
    return ir.Constant(_BLOCK, [ir.Constant(_BYTE, number)] * BYTES)
