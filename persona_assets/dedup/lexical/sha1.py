"""SHA-1 (FIPS 180-4) of many short byte strings, sixteen at a time.

Not for security: it makes MinHash signatures equal to those of other programs.
"""

from typing import Any

import numpy as np

from persona_assets.dedup.kernels.bits import load64
from persona_assets.dedup.kernels.compile import Array, allocating, inlined

_LANES = 16
"""Number of strings hashed side by side; loops over them compile to vector instructions."""


@allocating
def sha1_hash32(data: Array, starts: Array, stops: Array, result: Array) -> None:
    """Write the first four bytes of each string's digest into `result`, little-endian.

    Args:
        data: Strings, uint8, padded for `load64`. String i is `data[starts[i]:stops[i]]`.
        starts: First byte of each string.
        stops: End of each string.
        result: Output, uint32, of the length of `starts`.
    """
    count = len(starts)
    schedule = np.empty(80 * _LANES, np.uint32)
    # The value of `a` before each round, preceded by four values that stand for the other
    # variables: b is the previous a; c, d and e are the three values before it, rotated.
    a = np.empty(85 * _LANES, np.uint32)
    digest = np.empty(5 * _LANES, np.uint32)
    for first in range(0, count, _LANES):
        blocks = 0
        for lane in range(_LANES):
            i = min(first + lane, count - 1)
            blocks = max(blocks, _block_count(stops[i] - starts[i]))
            digest[lane] = 0x67452301
            digest[_LANES + lane] = 0xEFCDAB89
            digest[2 * _LANES + lane] = 0x98BADCFE
            digest[3 * _LANES + lane] = 0x10325476
            digest[4 * _LANES + lane] = 0xC3D2E1F0
        for block in range(blocks):
            schedule[: 16 * _LANES] = 0
            for lane in range(_LANES):
                i = min(first + lane, count - 1)
                length = stops[i] - starts[i]
                for part in range(min(8, ((length - 64 * block) >> 3) + 1)):
                    value = _load_padded(data, starts[i] + 64 * block + 8 * part, stops[i])
                    row = 2 * part * _LANES + lane
                    schedule[row] = _swap_bytes(np.uint32(value))
                    schedule[row + _LANES] = _swap_bytes(np.uint32(value >> np.uint64(32)))
                if block == _block_count(length) - 1:
                    schedule[14 * _LANES + lane] = np.uint32(length >> 29)
                    schedule[15 * _LANES + lane] = np.uint32(length << 3)
            for i in range(16 * _LANES, 80 * _LANES):
                schedule[i] = _rotate_left(
                    schedule[i - 3 * _LANES]
                    ^ schedule[i - 8 * _LANES]
                    ^ schedule[i - 14 * _LANES]
                    ^ schedule[i - 16 * _LANES],
                    1,
                )
            for lane in range(_LANES):
                a[4 * _LANES + lane] = digest[lane]
                a[3 * _LANES + lane] = digest[_LANES + lane]
                a[2 * _LANES + lane] = _rotate_left(digest[2 * _LANES + lane], 2)
                a[_LANES + lane] = _rotate_left(digest[3 * _LANES + lane], 2)
                a[lane] = _rotate_left(digest[4 * _LANES + lane], 2)
            for t in range(80):
                for lane in range(_LANES):
                    i = t * _LANES + lane
                    b = a[i + 3 * _LANES]
                    c = _rotate_left(a[i + 2 * _LANES], 30)
                    d = _rotate_left(a[i + _LANES], 30)
                    if t < 20:
                        f = np.uint32(((b & c) | (~b & d)) + np.uint32(0x5A827999))
                    elif t < 40:
                        f = np.uint32((b ^ c ^ d) + np.uint32(0x6ED9EBA1))
                    elif t < 60:
                        f = np.uint32(((b & c) | (b & d) | (c & d)) + np.uint32(0x8F1BBCDC))
                    else:
                        f = np.uint32((b ^ c ^ d) + np.uint32(0xCA62C1D6))
                    a[i + 5 * _LANES] = np.uint32(
                        _rotate_left(a[i + 4 * _LANES], 5)
                        + f
                        + _rotate_left(a[i], 30)
                        + schedule[i]
                    )
            for lane in range(_LANES):
                i = min(first + lane, count - 1)
                if block < _block_count(stops[i] - starts[i]):
                    digest[lane] += a[84 * _LANES + lane]
                    digest[_LANES + lane] += a[83 * _LANES + lane]
                    digest[2 * _LANES + lane] += _rotate_left(a[82 * _LANES + lane], 30)
                    digest[3 * _LANES + lane] += _rotate_left(a[81 * _LANES + lane], 30)
                    digest[4 * _LANES + lane] += _rotate_left(a[80 * _LANES + lane], 30)
        for lane in range(min(_LANES, count - first)):
            result[first + lane] = _swap_bytes(digest[lane])


@inlined
def _block_count(length: int) -> int:
    """Return the number of 64-byte blocks for the message, a 1 bit and the length in 8 bytes."""
    return (length + 72) >> 6


@inlined
def _load_padded(data: Array, position: int, stop: int) -> Any:
    """Load eight bytes of the message as uint64; from `stop` on a 1 bit, then zeros."""
    value = load64(data, position)
    if stop - position >= 8:
        return value
    end = np.uint64(1) << np.uint64(8 * (stop - position))
    return (value & (end - np.uint64(1))) | (end << np.uint64(7))


@inlined
def _rotate_left(value: Any, bits: int) -> Any:
    """Rotate a uint32 to the left."""
    return np.uint32((value << np.uint32(bits)) | (value >> np.uint32(32 - bits)))


@inlined
def _swap_bytes(value: Any) -> Any:
    """Reverse the four bytes of a uint32."""
    return np.uint32(
        _rotate_left(value & np.uint32(0xFF00FF), 24)
        | _rotate_left(value & np.uint32(0xFF00FF00), 8)
    )
