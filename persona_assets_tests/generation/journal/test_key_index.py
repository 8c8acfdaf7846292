import threading
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.generation.journal.key_index import KeyIndex


class Clashing(str):
    """A key whose hash is that of many others."""

    __slots__ = ()

    def __hash__(self) -> int:
        return len(self)


keys = st.text("ab", max_size=3)
entries = st.lists(st.tuples(keys.map(Clashing) | keys, st.integers(0, 2**62)), max_size=30)


@settings(deadline=None)
@given(entries, entries)
def test_a_key_has_the_places_that_were_added_in_their_order(
    first: list[tuple[str, int]], later: list[tuple[str, int]]
) -> None:
    index = KeyIndex(first)
    for key, place in later:
        index.add(key, place)
    for wanted, _ in [*first, *later, ("absent", 0)]:
        same = [place for key, place in [*first, *later] if hash(key) == hash(wanted)]
        assert index.places(wanted) == same
    assert KeyIndex.distinct(index) == len({hash(key) for key, _ in [*first, *later]})


def test_many_keys_are_found_while_more_are_added() -> None:
    index = KeyIndex((f"old {number}", number) for number in range(20_000))
    added = [0]
    missed = list[int]()

    def look_up() -> None:
        while added[0] < 20_000:
            last = added[0]
            for number in range(max(0, last - 50), last):
                missed.extend([number] if index.places(f"new {number}") != [number] else [])

    reader = threading.Thread(target=look_up)
    reader.start()
    for number in range(20_000):
        index.add(f"new {number}", number)
        added[0] = number + 1
    reader.join()
    assert missed == []
    assert all(index.places(f"old {number}") == [number] for number in range(20_000))
    both = KeyIndex((f"new {number}", number) for number in range(30_000))
    assert KeyIndex.distinct(index, both) == 50_000


def test_a_key_takes_less_than_twenty_bytes() -> None:
    count = 200_000
    # The first index imports what it needs.
    KeyIndex([("key", 0)])
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    index = KeyIndex()
    for number in range(count):
        index.add(f"key {number}", number)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert index.places("key 7") == [7]
    assert (after - before) / count < 20
