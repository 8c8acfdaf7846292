"""The address of a view: query, filters, area of the map and page, read from and written as a query
string."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Self
from urllib.parse import parse_qsl, urlencode

from persona_assets.explore.hub import FACETS

WORDS, MEANING = "words", "meaning"
"""Kinds of search."""

MOST_QUERY = 2_000
"""Number of characters of a query that count."""

MOST_PAGE = 1_000_000

Box = tuple[float, float, float, float]
"""Area of the map: left, bottom, right, top."""


@dataclass(frozen=True)
class Filters:
    """Query, filters, area of the map and page of a view.

    Values of a facet are alternatives; facets hold together.

    Attributes:
        query: Words, or a sentence whose meaning is searched.
        kind: WORDS or MEANING.
        values: Chosen values by facet.
        box: Area of the map; None for the whole map.
        page: Number of the page of results, from 1.

    Example:
        >>> filters = Filters.parse("q=pilot&hop=1&hop=2&unknown=3&page=2")
        >>> filters.values, filters.page
        ({'hop': ('1', '2')}, 2)
        >>> filters.toggled("hop", "1").address()
        '/?q=pilot&hop=2'
    """

    query: str = ""
    kind: str = WORDS
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    box: Box | None = None
    page: int = 1

    @classmethod
    def parse(cls, query_string: str) -> Self:
        """Read a query string; whatever is unknown or malformed in it is left out."""
        values: dict[str, tuple[str, ...]] = {}
        single: dict[str, str] = {}
        for name, value in parse_qsl(query_string, keep_blank_values=True, errors="replace"):
            if name in FACETS and value not in values.get(name, ()):
                values[name] = (*values.get(name, ()), value)
            single[name] = value
        page = single.get("page", "")
        number = int(page) if page.isdecimal() and page.isascii() and len(page) < 8 else 1
        return cls(
            query=single.get("q", "").strip()[:MOST_QUERY],
            kind=MEANING if single.get("by") == MEANING else WORDS,
            values=values,
            box=_box(single.get("box", "")),
            page=min(max(number, 1), MOST_PAGE),
        )

    @property
    def is_empty(self) -> bool:
        """True if all personas are shown."""
        return not (self.query or self.values or self.box)

    def toggled(self, facet: str, value: str) -> Self:
        """Return the view with a value of a facet chosen, or no longer chosen."""
        chosen = self.values.get(facet, ())
        other = tuple(it for it in chosen if it != value)
        values = {**self.values, facet: other if len(other) < len(chosen) else (*chosen, value)}
        kept = {name: those for name, those in values.items() if those}
        return replace(self, values=kept, page=1)

    def on_page(self, page: int) -> Self:
        """Return the view on another page."""
        return replace(self, page=page)

    def within(self, box: Box | None) -> Self:
        """Return the view of another area of the map."""
        return replace(self, box=box, page=1)

    def without(self, facet: str) -> Self:
        """Return the view without the values of a facet."""
        values = {name: those for name, those in self.values.items() if name != facet}
        return replace(self, values=values)

    def pairs(self, *left_out: str) -> Sequence[tuple[str, str]]:
        """Return names and values of the query string, without some names."""
        given: Iterable[tuple[str, str]] = (
            *((("q", self.query),) if self.query else ()),
            *((("by", self.kind),) if self.kind != WORDS else ()),
            *((name, value) for name, those in self.values.items() for value in those),
            *((("box", ",".join(f"{edge:.9g}" for edge in self.box)),) if self.box else ()),
            *((("page", str(self.page)),) if self.page > 1 else ()),
        )
        return [(name, value) for name, value in given if name not in left_out]

    def address(self, path: str = "/") -> str:
        """Return the address of the view."""
        text = urlencode(self.pairs(), errors="replace")
        return f"{path}?{text}" if text else path


def _box(text: str) -> Box | None:
    try:
        left, bottom, right, top = map(float, text.split(","))
    except ValueError:
        return None
    if not all(map(isfinite, (left, bottom, right, top))) or left >= right or bottom >= top:
        return None
    return left, bottom, right, top
