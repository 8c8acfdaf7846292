"""A key index finds the positions of a key in 16 bytes per key, also while keys are added."""

import threading
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.generation.journal.key_index import KeyIndex


class CollidingKey(str):
    """Key with the same hash as many other keys."""

    __slots__ = ()

    def __hash__(self) -> int:
        return len(self)


keys = st.text("ab", max_size=3)
entries = st.lists(st.tuples(keys.map(CollidingKey) | keys, st.integers(0, 2**62)), max_size=30)


@settings(deadline=None)
@given(entries, entries)
def test_index_returns_the_positions_of_a_key_in_their_order(
    first: list[tuple[str, int]], later: list[tuple[str, int]]
) -> None:
    index = KeyIndex(first)
    for key, position in later:
        index.add(key, position)
    for wanted, _ in [*first, *later, ("absent", 0)]:
        same = [position for key, position in [*first, *later] if hash(key) == hash(wanted)]
        assert index.positions(wanted) == same
    assert KeyIndex.distinct(index) == len({hash(key) for key, _ in [*first, *later]})


def test_index_finds_keys_while_another_thread_adds_keys() -> None:
    index = KeyIndex((f"old {number}", number) for number in range(20_000))
    added = [0]
    missed = list[int]()

    def look_up() -> None:
        while added[0] < 20_000:
            last = added[0]
            for number in range(max(0, last - 50), last):
                missed.extend([number] if index.positions(f"new {number}") != [number] else [])

    reader = threading.Thread(target=look_up)
    reader.start()
    for number in range(20_000):
        index.add(f"new {number}", number)
        added[0] = number + 1
    reader.join()
    assert missed == []
    assert all(index.positions(f"old {number}") == [number] for number in range(20_000))
    other = KeyIndex((f"new {number}", number) for number in range(30_000))
    assert KeyIndex.distinct(index, other) == 50_000


def test_index_needs_less_than_twenty_bytes_per_key() -> None:
    count = 200_000
    # The first index imports its modules.
    KeyIndex([("key", 0)])
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    index = KeyIndex()
    for number in range(count):
        index.add(f"key {number}", number)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert index.positions("key 7") == [7]
    assert (after - before) / count < 20
