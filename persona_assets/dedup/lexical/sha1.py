"""SHA-1 (FIPS 180-4) of many short byte strings, sixteen at a time.

Not for security: it makes MinHash signatures equal to those of other programs.
"""

from typing import Any

import numpy as np

from persona_assets.dedup.kernels.bits import load64
from persona_assets.dedup.kernels.compile import Array, allocating, inlined

_LANES = 16
"""Strings side by side; the compiler turns each loop over them into vector instructions."""


@allocating
def sha1_hash32(data: Array, starts: Array, stops: Array, result: Array) -> None:
    """The first four bytes of each digest of `data[starts[i]:stops[i]]`, little-endian.

    `result` is uint32, the length of `starts`. `data` is uint8 with room for `load64`.
    """
    count = len(starts)
    schedule = np.empty(80 * _LANES, np.uint32)
    # `a` before each round, after four earlier ones that stand for the other variables:
    # b is the last a; c, d and e are those before it, rotated.
    a = np.empty(85 * _LANES, np.uint32)
    digest = np.empty(5 * _LANES, np.uint32)
    for first in range(0, count, _LANES):
        blocks = 0
        for lane in range(_LANES):
            i = min(first + lane, count - 1)
            blocks = max(blocks, _blocks(stops[i] - starts[i]))
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
                    value = _padded(data, starts[i] + 64 * block + 8 * part, stops[i])
                    row = 2 * part * _LANES + lane
                    schedule[row] = _swapped(np.uint32(value))
                    schedule[row + _LANES] = _swapped(np.uint32(value >> np.uint64(32)))
                if block == _blocks(length) - 1:
                    schedule[14 * _LANES + lane] = np.uint32(length >> 29)
                    schedule[15 * _LANES + lane] = np.uint32(length << 3)
            for i in range(16 * _LANES, 80 * _LANES):
                schedule[i] = _rotated(
                    schedule[i - 3 * _LANES]
                    ^ schedule[i - 8 * _LANES]
                    ^ schedule[i - 14 * _LANES]
                    ^ schedule[i - 16 * _LANES],
                    1,
                )
            for lane in range(_LANES):
                a[4 * _LANES + lane] = digest[lane]
                a[3 * _LANES + lane] = digest[_LANES + lane]
                a[2 * _LANES + lane] = _rotated(digest[2 * _LANES + lane], 2)
                a[_LANES + lane] = _rotated(digest[3 * _LANES + lane], 2)
                a[lane] = _rotated(digest[4 * _LANES + lane], 2)
            for t in range(80):
                for lane in range(_LANES):
                    i = t * _LANES + lane
                    b = a[i + 3 * _LANES]
                    c = _rotated(a[i + 2 * _LANES], 30)
                    d = _rotated(a[i + _LANES], 30)
                    if t < 20:
                        f = np.uint32(((b & c) | (~b & d)) + np.uint32(0x5A827999))
                    elif t < 40:
                        f = np.uint32((b ^ c ^ d) + np.uint32(0x6ED9EBA1))
                    elif t < 60:
                        f = np.uint32(((b & c) | (b & d) | (c & d)) + np.uint32(0x8F1BBCDC))
                    else:
                        f = np.uint32((b ^ c ^ d) + np.uint32(0xCA62C1D6))
                    a[i + 5 * _LANES] = np.uint32(
                        _rotated(a[i + 4 * _LANES], 5) + f + _rotated(a[i], 30) + schedule[i]
                    )
            for lane in range(_LANES):
                i = min(first + lane, count - 1)
                if block < _blocks(stops[i] - starts[i]):
                    digest[lane] += a[84 * _LANES + lane]
                    digest[_LANES + lane] += a[83 * _LANES + lane]
                    digest[2 * _LANES + lane] += _rotated(a[82 * _LANES + lane], 30)
                    digest[3 * _LANES + lane] += _rotated(a[81 * _LANES + lane], 30)
                    digest[4 * _LANES + lane] += _rotated(a[80 * _LANES + lane], 30)
        for lane in range(min(_LANES, count - first)):
            result[first + lane] = _swapped(digest[lane])


@inlined
def _blocks(length: int) -> int:
    """How many blocks of 64 bytes hold the message, a 1 bit and the length in 8 bytes."""
    return (length + 72) >> 6


@inlined
def _padded(data: Array, position: int, stop: int) -> Any:
    """Eight bytes of the message as uint64; from `stop` on a 1 bit, then zeros."""
    value = load64(data, position)
    if stop - position >= 8:
        return value
    end = np.uint64(1) << np.uint64(8 * (stop - position))
    return (value & (end - np.uint64(1))) | (end << np.uint64(7))


@inlined
def _rotated(value: Any, bits: int) -> Any:
    return np.uint32((value << np.uint32(bits)) | (value >> np.uint32(32 - bits)))


@inlined
def _swapped(value: Any) -> Any:
    """The four bytes of a uint32 in the opposite order."""
    return np.uint32(
        _rotated(value & np.uint32(0xFF00FF), 24) | _rotated(value & np.uint32(0xFF00FF00), 8)
    )
