"""Eight numbers at a time come to what numpy makes of them one by one."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from persona_assets.dedup.kernels.bits import mix64
from persona_assets.dedup.kernels.simd_u64 import (
    LANES,
    chosen,
    every_other,
    first_lanes,
    gather,
    lanes,
    load,
    load_bytes,
    parity,
    store,
    total,
)

Numbers = npt.NDArray[np.uint64]

numbers = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63, 2**64 - 1])
eight = st.lists(numbers, min_size=LANES, max_size=LANES).map(lambda n: np.array(n, np.uint64))


@njit
def arithmetic(one: Numbers, other: Numbers, number: np.uint64, out: Numbers) -> None:
    a, b = load(one, 0), load(other, 0)
    shift = b & np.uint64(63)
    store(out[0], 0, a + b)
    store(out[1], 0, a - b)
    store(out[2], 0, a * b)
    store(out[3], 0, (a & b) | (number ^ a))
    store(out[4], 0, a << shift)
    store(out[5], 0, a >> shift)
    store(out[6], 0, number - a)
    store(out[7], 0, mix64(a))
    store(out[8], 0, lanes(number))


@njit
def comparisons(one: Numbers, other: Numbers, number: np.uint64) -> tuple[int, ...]:
    a, b = load(one, 0), load(other, 0)
    return a == b, a < b, a > b, a == number, a < number, a > number, number < a


@njit
def rest(values: Numbers, data: npt.NDArray[np.uint8], bits: np.uint64, out: Numbers) -> Numbers:
    some = load(values, 0)
    store(out[0], 0, chosen(bits, some))
    store(out[1], 0, every_other(values, 0))
    store(out[2], 0, every_other(values, 1))
    store(out[3], 0, load_bytes(data, 3))
    first, second = gather(data, some & np.uint64(31))
    store(out[4], 0, first)
    store(out[5], 0, second)
    out[6, 0], out[6, 1] = total(some), parity(some)
    return out


@settings(deadline=None, max_examples=200)
@given(eight, eight | st.none(), numbers)
def test_arithmetic_and_comparisons(one: Numbers, other: Numbers | None, number: int) -> None:
    b, n = one.copy() if other is None else other, np.uint64(number)
    out = np.zeros((9, LANES), np.uint64)
    arithmetic(one, b, n, out)
    shift = b & np.uint64(63)
    mixed = [mix64(value) for value in one]
    with np.errstate(over="ignore"):
        expected = [one + b, one - b, one * b, (one & b) | (n ^ one), one << shift, one >> shift]
        expected += [n - one, np.array(mixed), np.full(LANES, n)]
    assert (out == np.array(expected)).all()
    found = [one == b, one < b, one > b, one == n, one < n, one > n, n < one]
    assert comparisons(one, b, n) == tuple(
        sum(1 << lane for lane in np.flatnonzero(holds).tolist()) for holds in found
    )


@settings(deadline=None, max_examples=100)
@given(eight, eight, st.binary(min_size=48, max_size=48), st.integers(0, 255))
def test_what_is_read_and_chosen(one: Numbers, other: Numbers, text: bytes, bits: int) -> None:
    values = np.concatenate([one, other, np.zeros(1, np.uint64)])
    data = np.frombuffer(text, np.uint8)
    out = rest(values, data, np.uint64(bits), np.zeros((7, LANES), np.uint64))
    assert out[0].tolist() == [v if bits >> i & 1 else 0 for i, v in enumerate(one.tolist())]
    assert (out[1] == values[:16:2]).all()
    assert (out[2] == values[1::2][:LANES]).all()
    assert (out[3] == data[3 : 3 + LANES]).all()
    for lane, at in enumerate((one & np.uint64(31)).tolist()):
        assert out[4, lane] == int.from_bytes(text[at : at + 8], "little")
        assert out[5, lane] == int.from_bytes(text[at + 8 : at + 16], "little")
    assert out[6, 0] == sum(one.tolist()) % 2**64
    assert out[6, 1] == np.bitwise_xor.reduce(one)


@pytest.mark.parametrize("count", range(12))
def test_the_first_lanes(count: int) -> None:
    assert njit(lambda some: first_lanes(some))(count) == 2 ** min(count, LANES) - 1
