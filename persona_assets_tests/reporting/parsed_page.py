"""A page as a strict reader sees it: balanced tags, links, headings, tables, pictures."""

import base64
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

VOID = {"meta", "img", "link", "br", "hr", "input"}
LOADING = {"src", "href", "srcset", "action", "data", "poster", "formaction", "background"}


class ParsedPage(HTMLParser):
    """Page whose tags are balanced; anything else fails.

    Attributes:
        tags: Names of all elements.
        addresses: Values of attributes that load or lead somewhere.
        events: Names of attributes that would run a script.
        ids: Values of `id`.
        headings: Level and text of each heading.
        tables: Rows of cells by caption.
        scopeless: Number of header cells without a scope.
        pictures: SVG by alternative text.
        text: All text.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.events: list[str] = []
        self.ids: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.scopeless = 0
        self.pictures: dict[str, str] = {}
        self.text = ""
        self._open: list[tuple[str, int]] = []
        self._rows: list[list[str]] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.addresses += [value for name, value in given.items() if name in LOADING]
        self.events += [name for name in given if name.startswith("on")]
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "img":
            self._add_picture(given)
        if tag == "th" and given.get("scope") not in ("row", "col"):
            self.scopeless += 1
        if tag == "table":
            self._rows = []
        if tag == "tr":
            self._rows.append([])
        if tag not in VOID:
            self._open.append((tag, len(self.text)))

    def handle_endtag(self, tag: str) -> None:
        opened, start = self._open.pop()
        assert opened == tag
        words = " ".join(self.text[start:].split())
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), words))
        if tag in ("td", "th"):
            self._rows[-1].append(words)
        if tag == "caption":
            self.tables[words] = self._rows

    def handle_data(self, data: str) -> None:
        self.text += data

    def _add_picture(self, given: Mapping[str, str]) -> None:
        head, _, data = given["src"].partition(",")
        assert head == "data:image/svg+xml;base64"
        svg = base64.b64decode(data, validate=True).decode()
        ElementTree.fromstring(svg)
        self.pictures[given["alt"]] = svg

    def rows(self, caption: str) -> list[list[str]]:
        """Return the rows of a table without its heads."""
        return self.tables[caption][1:]


def check_page(html: str) -> ParsedPage:
    """Parse a page and assert the properties of every report."""
    page = ParsedPage(html)
    assert html.count("<!DOCTYPE html>") == 1
    assert len(html.encode()) <= 2_000_000
    assert {"script", "iframe", "object", "form", "base", "link"}.isdisjoint(page.tags)
    assert page.events == []
    assert all(address.startswith(("#", "data:image/svg+xml;")) for address in page.addresses)
    assert {address[1:] for address in page.addresses if address[0] == "#"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.tags.count("table") == page.tags.count("caption")
    assert page.scopeless == 0
    assert all(page.pictures)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", html)
    return page
