"""Position by key in about 16 bytes per key: a 64-bit hash and a 64-bit position, sorted."""

from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_RECENT = 4096
RECENT_SHARE = 64
"""Divisor of the number of sorted keys that bounds the number of unsorted keys.

Keys added since the last sort are in a dict. A dict takes 130 bytes per key, and a sort moves all
keys; with at most a 64th of the keys in the dict both costs stay small.
"""


class KeyIndex:
    """Positions by key, where a position is an integer such as a file offset or a row number.

    The index stores hashes alone, so a position may belong to another key of equal hash: the caller
    has to compare keys. A key may have several positions. A thread may add keys while others look
    keys up.

    Args:
        entries: Keys and their positions.

    Example:
        >>> index = KeyIndex([("a", 0), ("b", 80)])
        >>> index.add("a", 160)
        >>> index.positions("a"), index.positions("c")
        ([0, 160], [])
    """

    def __init__(self, entries: Iterable[tuple[str, int]] = ()) -> None:
        import numpy as np

        hash_buffer, position_buffer = array("q"), array("q")
        for key, position in entries:
            hash_buffer.append(hash(key))
            position_buffer.append(position)
        columns = np.frombuffer(hash_buffer, np.int64), np.frombuffer(position_buffer, np.int64)
        order = np.argsort(columns[0], kind="stable")
        # A tuple, replaced as a whole, so that a look-up in another thread sees a consistent
        # state.
        self._state: tuple[NDArray[np.int64], NDArray[np.int64], dict[int, int]] = (
            columns[0][order],
            columns[1][order],
            {},
        )

    def positions(self, key: str) -> list[int]:
        """Return the candidate positions of a key, in the order in which they were added."""
        hashes, positions, recent = self._state
        key_hash = hash(key)
        candidates = list[int]()
        at = int(hashes.searchsorted(key_hash))
        while at < len(hashes) and hashes[at] == key_hash:
            candidates.append(int(positions[at]))
            at += 1
        if key_hash in recent:
            candidates.append(recent[key_hash])
        return candidates

    def add(self, key: str, position: int) -> None:
        """Add a position behind the earlier positions of the key."""
        hashes, _, recent = self._state
        key_hash = hash(key)
        if key_hash in recent or len(recent) >= max(LEAST_RECENT, len(hashes) // RECENT_SHARE):
            self._sort()
        self._state[2][key_hash] = position

    def _sort(self) -> None:
        """Merge the recent keys into the sorted arrays."""
        import numpy as np

        hashes, positions, recent = self._state
        new = np.fromiter(recent.keys(), np.int64, len(recent))
        order = np.argsort(new)
        at = hashes.searchsorted(new[order], side="right")
        added = np.fromiter(recent.values(), np.int64, len(recent))[order]
        self._state = np.insert(hashes, at, new[order]), np.insert(positions, at, added), {}

    @staticmethod
    def distinct(*indexes: "KeyIndex") -> int:
        """Return the number of distinct key hashes in all indexes together.

        Among a million keys, two have an equal hash with probability 3e-8.
        """
        import numpy as np

        hashes = [np.concatenate([index._state[0], list(index._state[2])]) for index in indexes]
        return len(np.unique(np.concatenate(hashes))) if hashes else 0
