"""Where each key lies, in about 16 bytes a key: its 64-bit hash and a place, in sorted arrays."""

from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_RECENT = 4096
RECENT_SHARE = 64
"""Keys added since the last sort are in a dict, at most a 64th of those that are sorted: a dict
takes 130 bytes a key, and a sort moves all of them."""


class KeyIndex:
    """Places by key. A place is an integer: an offset in a file, the number of a row.

    Only hashes are kept, so a place may be that of another key: whoever reads it has to compare.
    A key may have several places. One thread may add while others look up.
    """

    def __init__(self, entries: Iterable[tuple[str, int]] = ()) -> None:
        import numpy as np

        hashes, places = array("q"), array("q")
        for key, place in entries:
            hashes.append(hash(key))
            places.append(place)
        found = np.frombuffer(hashes, np.int64), np.frombuffer(places, np.int64)
        order = np.argsort(found[0], kind="stable")
        # One tuple, replaced as a whole, so that a look-up in another thread meets a whole state.
        self._state: tuple[NDArray[np.int64], NDArray[np.int64], dict[int, int]] = (
            found[0][order],
            found[1][order],
            {},
        )

    def places(self, key: str) -> list[int]:
        """The places that may be the key's, in the order in which they were added."""
        hashes, places, recent = self._state
        wanted = hash(key)
        found = list[int]()
        at = int(hashes.searchsorted(wanted))
        while at < len(hashes) and hashes[at] == wanted:
            found.append(int(places[at]))
            at += 1
        if wanted in recent:
            found.append(recent[wanted])
        return found

    def add(self, key: str, place: int) -> None:
        """Adds one place, behind those that the key has."""
        hashes, _, recent = self._state
        wanted = hash(key)
        if wanted in recent or len(recent) >= max(LEAST_RECENT, len(hashes) // RECENT_SHARE):
            self._sort()
        self._state[2][wanted] = place

    def _sort(self) -> None:
        import numpy as np

        hashes, places, recent = self._state
        new = np.fromiter(recent.keys(), np.int64, len(recent))
        order = np.argsort(new)
        at = hashes.searchsorted(new[order], side="right")
        added = np.fromiter(recent.values(), np.int64, len(recent))[order]
        self._state = np.insert(hashes, at, new[order]), np.insert(places, at, added), {}

    @staticmethod
    def distinct(*indexes: "KeyIndex") -> int:
        """Number of different keys in all of them, two of equal hash being one.

        Of a million keys two have an equal hash with probability 3e-8.
        """
        import numpy as np

        hashes = [np.concatenate([it._state[0], list(it._state[2])]) for it in indexes]
        return len(np.unique(np.concatenate(hashes))) if hashes else 0
