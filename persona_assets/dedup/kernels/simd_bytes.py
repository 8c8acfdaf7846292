"""Text in blocks of 64 bytes, each block processed in a few instructions.

Vectors are written in LLVM's terms. LLVM compiles them to the vector instructions of the processor
(AVX-512, AVX2, SSE2, NEON), with the same result everywhere. All functions read and write whole
blocks: pad the arrays.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from persona_assets.dedup.kernels.bits import address

BLOCK_BYTES = 64
"""Number of bytes in a block."""

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_BLOCK = ir.VectorType(_BYTE, BLOCK_BYTES)


@intrinsic  # type: ignore[untyped-decorator]
def fold_block(typing: Any, data: Any, position: Any, out: Any, at: Any) -> Any:
    """Fold the 64 bytes of `data` from `position` on and write them to `out` from `at` on.

    ASCII letters become lower case, digits stay, and all other bytes become spaces.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = address(context, builder, signature.args[0], args[0], args[1], _BLOCK)
        block = builder.load(source, align=1)
        upper = builder.icmp_unsigned("<", builder.sub(block, _block_of("A")), _block_of(26))
        lower = builder.or_(block, builder.select(upper, _block_of(0x20), _block_of(0)))
        letter = builder.icmp_unsigned("<", builder.sub(lower, _block_of("a")), _block_of(26))
        digit = builder.icmp_unsigned("<", builder.sub(block, _block_of("0")), _block_of(10))
        target = address(context, builder, signature.args[2], args[2], args[3], _BLOCK)
        builder.store(
            builder.select(builder.or_(letter, digit), lower, _block_of(" ")), target, align=1
        )
        return context.get_dummy_value()

    return types.void(data, types.intp, out, types.intp), build


@intrinsic  # type: ignore[untyped-decorator]
def special_mask(typing: Any, data: Any, position: Any) -> Any:
    """Return the mask of the bytes from `position` on that are "+", "#" or not ASCII.

    The mask is a uint64 whose lowest bit stands for the first of the 64 bytes.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = address(context, builder, signature.args[0], args[0], args[1], _BLOCK)
        block = builder.load(source, align=1)
        special = builder.icmp_signed("<", block, _block_of(0))
        for sign in "+#":
            special = builder.or_(special, builder.icmp_unsigned("==", block, _block_of(sign)))
        return builder.bitcast(special, _WORD)

    return types.uint64(data, types.intp), build


@intrinsic  # type: ignore[untyped-decorator]
def non_space_mask(typing: Any, data: Any, position: Any) -> Any:
    """Return the mask of the bytes from `position` on that are not spaces; see `special_mask`."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = address(context, builder, signature.args[0], args[0], args[1], _BLOCK)
        non_space = builder.icmp_unsigned("!=", builder.load(source, align=1), _block_of(" "))
        return builder.bitcast(non_space, _WORD)

    return types.uint64(data, types.intp), build


def _block_of(value: int | str) -> ir.Constant:
    """Return a block of 64 equal bytes."""
    number = ord(value) if isinstance(value, str) else value
    return ir.Constant(_BLOCK, [ir.Constant(_BYTE, number)] * BLOCK_BYTES)
