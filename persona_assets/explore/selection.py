"""Search: the rows of a view in their order, and counts of the facets."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from persona_assets.explore.filters import MEANING, Filters
from persona_assets.explore.hub import FACETS, Facet, Hub

ON_PAGE = 25
"""Number of personas of a page."""

MOST_NEAREST = 1_000
"""Number of personas that a search by meaning lists."""

Embed = Callable[[str], np.ndarray]
"""Embedding of a query: a unit vector, float32."""

_LONGEST = (1 << 20) - 1
"""Length of a text from which longer texts are equal in the order of results."""


@dataclass(frozen=True)
class Selection:
    """Personas of a view.

    Attributes:
        mask: True for each row of the view.
        count: Number of rows of the view.
        listed: Number of rows that the pages list, the nearest alone of a search by meaning.
        rows: Rows of this page, in order.
        cosines: Cosine of each row of this page to the query; empty unless searched by meaning.
        totals: Number of rows by value of each facet, without the facet's own filter.
    """

    mask: np.ndarray
    count: int
    listed: int
    rows: Sequence[int]
    cosines: Sequence[float]
    totals: Mapping[str, np.ndarray]

    @property
    def pages(self) -> int:
        """Number of pages, at least 1."""
        return max(1, -(-self.listed // ON_PAGE))


class Search:
    """Search over a hub.

    Args:
        hub: Personas.
        embed: Embedding of a query by the model of the hub's vectors.
    """

    def __init__(self, hub: Hub, embed: Embed) -> None:
        self._hub = hub
        self._embed = embed
        self._lengths = hub.texts.str.len_bytes().clip(upper_bound=_LONGEST).to_numpy()
        self._everywhere = np.ones(len(hub), bool)
        self._totals = {name: _count(facet, None) for name, facet in hub.facets.items()}

    def select(self, filters: Filters) -> Selection:
        """Return the rows of a view.

        Raises:
            ValueError: The query cannot be embedded; the message gives the reason.
        """
        matching, whole, chosen = self._matches(filters)
        mask = _all(matching, chosen.values())
        rows = np.flatnonzero(mask)
        count = len(rows)
        totals = self._totals
        if mask is not self._everywhere:
            totals = {name: _count(self._hub.facets[name], rows) for name in FACETS}
        for name in chosen:
            others = _all(matching, (it for other, it in chosen.items() if other != name))
            totals = {**totals, name: _count(self._hub.facets[name], np.flatnonzero(others))}
        start, stop = (filters.page - 1) * ON_PAGE, filters.page * ON_PAGE
        if filters.query and filters.kind == MEANING:
            vector = self._embed(filters.query)
            found, cosines = self._hub.meaning.nearest(vector, min(stop, MOST_NEAREST), mask)
            listed = min(count, MOST_NEAREST)
            page, near = found[start:].tolist(), cosines[start:].tolist()
            return Selection(mask, count, listed, page, near, totals)
        ordered = _first(rows, self._order(filters, rows, whole), stop)
        return Selection(mask, count, count, ordered[start:].tolist(), [], totals)

    def mask(self, filters: Filters) -> np.ndarray | None:
        """Return the rows that a view marks on the map; None for a view of all personas.

        Those of a search by meaning are the nearest alone.
        """
        if not (filters.query or filters.values):
            return None
        mask, _, chosen = self._matches(filters)
        mask = _all(mask, chosen.values())
        if filters.query and filters.kind == MEANING:
            rows, _ = self._hub.meaning.nearest(self._embed(filters.query), MOST_NEAREST, mask)
            mask = np.zeros(len(mask), bool)
            mask[rows] = True
        return mask

    def _matches(
        self, filters: Filters
    ) -> tuple[np.ndarray, np.ndarray | None, Mapping[str, np.ndarray]]:
        """Return the rows of query and area, their whole words, and the rows of each filter."""
        mask, whole = self._everywhere, None
        if filters.query and filters.kind == MEANING:
            mask = self._hub.meaning.has_vector(len(self._hub))
        elif filters.query:
            found = self._hub.words.find(filters.query)
            # A query of signs alone has no words and finds nothing.
            mask, whole = (found.mask, found.whole) if found else (~mask, None)
        if filters.box is not None:
            left, bottom, right, top = filters.box
            x, y = self._hub.places.T
            mask = mask & (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
        chosen = {
            name: _holds(self._hub.facets[name], values) for name, values in filters.values.items()
        }
        return mask, whole, chosen

    def _order(self, filters: Filters, rows: np.ndarray, whole: np.ndarray | None) -> np.ndarray:
        """Return a number per row by which rows are ordered, the smallest first.

        The most whole words of a query come first, then short texts; in an area the nearest to its
        middle; otherwise rows keep their order of arrival.
        """
        order = rows
        if whole is not None:
            order = (255 - whole[rows].astype(np.int64)) * (_LONGEST + 1) + self._lengths[rows]
        elif filters.box is not None:
            left, bottom, right, top = filters.box
            middle = np.array([(left + right) / 2, (bottom + top) / 2])
            order = ((self._hub.places[rows] - middle) ** 2).sum(axis=1)
        return order


def _all(mask: np.ndarray, others: Iterable[np.ndarray]) -> np.ndarray:
    """Return the rows of all masks; the first mask itself if there is no other."""
    for other in others:
        mask = mask & other
    return mask


def _holds(facet: Facet, values: Iterable[str]) -> np.ndarray:
    """Return the rows that have one of the values."""
    wanted = np.zeros(len(facet.values) + 1, bool)
    for value in values:
        code = bisect_left(facet.values, value)
        if code < len(facet.values) and facet.values[code] == value:
            wanted[code] = True
    rows: np.ndarray = wanted[facet.codes]
    return rows


def _count(facet: Facet, rows: np.ndarray | None) -> np.ndarray:
    """Count the rows by value; all rows for None."""
    codes = facet.codes if rows is None else facet.codes.take(rows)
    counts: np.ndarray = np.bincount(codes, minlength=len(facet.values))
    return counts


def _first(rows: np.ndarray, order: np.ndarray, number: int) -> np.ndarray:
    """Return the first rows by an order; equal rows keep theirs."""
    if order is rows:
        return rows[:number]
    if number < len(rows):
        # Sorting a million rows for a page of them takes ten times as long.
        limit = np.partition(order, number - 1)[number - 1]
        near = np.flatnonzero(order <= limit)
        rows, order = rows[near], order[near]
    return rows[np.argsort(order, kind="stable")][:number]
