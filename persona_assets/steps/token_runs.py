"""Index of the runs of consecutive tokens of some texts, and the texts whose runs occur in others.

Runs are compared by 64-bit hashes: among a billion runs against a million the chance of one false
match is below one in ten thousand.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_FACTOR = 0x9E3779B97F4A7C15
_SPARSENESS = 16
"""Entries of a filter per hash: a run that is not in the index passes in one case of this many."""


class Shares(NamedTuple):
    """Pairs of a text and an indexed text, with the share of the latter's runs that occur."""

    rows: "Array"
    indexed: "Array"
    shares: "Array"


class RunIndex:
    """Hashes of all runs of some texts.

    Args:
        texts: Token ids of each text.
        length: Tokens of a run; a text with fewer is a single run, an empty text has none.

    Example:
        >>> import numpy as np
        >>> index = RunIndex([np.array([5, 6, 7])], length=2)
        >>> index.shares(np.array([9, 5, 6]), np.array([0, 0, 0])).shares
        array([0.5])
    """

    def __init__(self, texts: "Sequence[Array]", length: int) -> None:
        import numpy as np

        none = np.empty(0, np.int64)
        ids = np.concatenate([none, *texts])
        sizes = np.array([len(text) for text in texts], np.int64)
        rows = np.repeat(np.arange(len(texts)), sizes)
        lengths = np.minimum(sizes, length)
        hashes, owners = [np.empty(0, np.uint64)], [none]
        self._filters: dict[int, Array] = {}
        for size, (found, places) in enumerate(_runs(ids, rows, length), start=1):
            chosen = lengths[rows[places]] == size
            if chosen.any():
                hashes.append(found[chosen])
                owners.append(rows[places][chosen])
                self._filters[size] = _filter(found[chosen])
        run, owner = np.concatenate(hashes), np.concatenate(owners)
        order = np.lexsort((owner, run))
        run, owner = run[order], owner[order]
        distinct = np.ones(len(run), np.bool_)
        distinct[1:] = (run[1:] != run[:-1]) | (owner[1:] != owner[:-1])
        run, self._owners = run[distinct], owner[distinct]
        self._runs, starts = np.unique(run, return_index=True)
        self._starts = np.append(starts, len(run))
        self._sizes = np.bincount(self._owners, minlength=len(texts))
        self._length = length

    def shares(self, ids: "Array", rows: "Array") -> Shares:
        """Return the pairs of a text and an indexed text that have a run in common.

        Args:
            ids: Token ids of all texts, one after the other.
            rows: Number of each token's text, ascending.
        """
        import numpy as np

        runs, of = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for size, (hashes, places) in enumerate(_runs(ids, rows, self._length), start=1):
            passing = self._filters.get(size)
            if passing is None:
                continue
            chosen = np.flatnonzero(passing[_slots(hashes, passing)])
            at = np.searchsorted(self._runs, hashes[chosen])
            at[at == len(self._runs)] = 0
            known = self._runs[at] == hashes[chosen]
            runs.append(at[known])
            of.append(rows[places[chosen[known]]])
        width = max(len(self._runs), 1)
        distinct = np.unique(np.concatenate(of) * width + np.concatenate(runs))
        text, run = distinct // width, distinct % width
        counts = self._starts[run + 1] - self._starts[run]
        # Positions in `_owners` of the owners of each run.
        firsts = np.repeat(self._starts[run] - np.cumsum(counts) + counts, counts)
        owners = self._owners[firsts + np.arange(counts.sum())]
        keys, hits = np.unique(
            np.repeat(text, counts) * len(self._sizes) + owners, return_counts=True
        )
        indexed = keys % max(len(self._sizes), 1)
        return Shares(keys // max(len(self._sizes), 1), indexed, hits / self._sizes[indexed])


def _runs(ids: "Array", rows: "Array", length: int) -> "Iterator[tuple[Array, Array]]":
    """Yield, for runs of 1 to `length` tokens, their hashes and the places where they start."""
    import numpy as np

    mixed = _mixed(ids)
    hashes = np.zeros(len(ids), np.uint64)
    for size in range(1, min(length, len(ids)) + 1):
        count = len(ids) - size + 1
        hashes = hashes[:count] * np.uint64(_FACTOR) + mixed[size - 1 :]
        places = np.flatnonzero(rows[:count] == rows[size - 1 :])
        yield hashes[places] ^ np.uint64(size), places


def _mixed(ids: "Array") -> "Array":
    """Return a hash of each id (the finalizer of SplitMix64)."""
    import numpy as np

    value = (ids.astype(np.uint64) + np.uint64(1)) * np.uint64(_FACTOR)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _filter(hashes: "Array") -> "Array":
    """Return a table of Booleans with True at the slots of the hashes."""
    import numpy as np

    table = np.zeros(1 << int(len(hashes) * _SPARSENESS).bit_length(), np.bool_)
    table[_slots(hashes, table)] = True
    return table


def _slots(hashes: "Array", table: "Array") -> "Array":
    import numpy as np

    bits = np.uint64(65 - len(table).bit_length())
    return (hashes * np.uint64(_FACTOR)) >> bits
