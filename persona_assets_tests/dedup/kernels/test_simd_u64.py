"""Operations on eight lanes equal numpy's operations on arrays of eight numbers."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from persona_assets.dedup.kernels.bits import mix64
from persona_assets.dedup.kernels.simd_u64 import (
    LANES,
    broadcast,
    first_lanes,
    gather,
    load,
    load_bytes,
    load_strided,
    select_lanes,
    store,
    sum_lanes,
    xor_lanes,
)

Numbers = npt.NDArray[np.uint64]

numbers = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63, 2**64 - 1])
eight = st.lists(numbers, min_size=LANES, max_size=LANES).map(lambda n: np.array(n, np.uint64))


@njit
def arithmetic(left: Numbers, right: Numbers, number: np.uint64, out: Numbers) -> None:
    a, b = load(left, 0), load(right, 0)
    shift = b & np.uint64(63)
    store(out[0], 0, a + b)
    store(out[1], 0, a - b)
    store(out[2], 0, a * b)
    store(out[3], 0, (a & b) | (number ^ a))
    store(out[4], 0, a << shift)
    store(out[5], 0, a >> shift)
    store(out[6], 0, number - a)
    store(out[7], 0, mix64(a))
    store(out[8], 0, broadcast(number))


@njit
def comparisons(left: Numbers, right: Numbers, number: np.uint64) -> tuple[int, ...]:
    a, b = load(left, 0), load(right, 0)
    return a == b, a < b, a > b, a == number, a < number, a > number, number < a


@njit
def loads_and_reductions(
    values: Numbers, data: npt.NDArray[np.uint8], bits: np.uint64, out: Numbers
) -> Numbers:
    block = load(values, 0)
    store(out[0], 0, select_lanes(bits, block))
    store(out[1], 0, load_strided(values, 0))
    store(out[2], 0, load_strided(values, 1))
    store(out[3], 0, load_bytes(data, 3))
    first, second = gather(data, block & np.uint64(31))
    store(out[4], 0, first)
    store(out[5], 0, second)
    out[6, 0], out[6, 1] = sum_lanes(block), xor_lanes(block)
    return out


@settings(deadline=None, max_examples=200)
@given(eight, eight | st.none(), numbers)
def test_arithmetic_and_comparisons_equal_numpys(
    left: Numbers, right: Numbers | None, number: int
) -> None:
    operand, scalar = left.copy() if right is None else right, np.uint64(number)
    out = np.zeros((9, LANES), np.uint64)
    arithmetic(left, operand, scalar, out)
    shift = operand & np.uint64(63)
    mixed = [mix64(value) for value in left]
    with np.errstate(over="ignore"):
        expected = [
            left + operand,
            left - operand,
            left * operand,
            (left & operand) | (scalar ^ left),
            left << shift,
            left >> shift,
        ]
        expected += [scalar - left, np.array(mixed), np.full(LANES, scalar)]
    assert (out == np.array(expected)).all()
    expected_masks = [
        left == operand,
        left < operand,
        left > operand,
        left == scalar,
        left < scalar,
        left > scalar,
        scalar < left,
    ]
    assert comparisons(left, operand, scalar) == tuple(
        sum(1 << lane for lane in np.flatnonzero(holds).tolist()) for holds in expected_masks
    )


@settings(deadline=None, max_examples=100)
@given(eight, eight, st.binary(min_size=48, max_size=48), st.integers(0, 255))
def test_loads_selection_and_reductions_equal_numpys(
    left: Numbers, right: Numbers, text: bytes, bits: int
) -> None:
    values = np.concatenate([left, right, np.zeros(1, np.uint64)])
    data = np.frombuffer(text, np.uint8)
    out = loads_and_reductions(values, data, np.uint64(bits), np.zeros((7, LANES), np.uint64))
    assert out[0].tolist() == [v if bits >> i & 1 else 0 for i, v in enumerate(left.tolist())]
    assert (out[1] == values[:16:2]).all()
    assert (out[2] == values[1::2][:LANES]).all()
    assert (out[3] == data[3 : 3 + LANES]).all()
    for lane, at in enumerate((left & np.uint64(31)).tolist()):
        assert out[4, lane] == int.from_bytes(text[at : at + 8], "little")
        assert out[5, lane] == int.from_bytes(text[at + 8 : at + 16], "little")
    assert out[6, 0] == sum(left.tolist()) % 2**64
    assert out[6, 1] == np.bitwise_xor.reduce(left)


@pytest.mark.parametrize("count", range(12))
def test_first_lanes_masks_at_most_all_lanes(count: int) -> None:
    assert njit(lambda lane_count: first_lanes(lane_count))(count) == 2 ** min(count, LANES) - 1
