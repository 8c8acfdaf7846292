"""Blocks of the page: tables, drawings, samples, and sections that hold them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from persona_assets.plots.pictures import Picture

MOST_ROWS = 100
"""Number of rows that a table shows."""

MOST_CELL = 300
"""Number of characters that a cell shows."""


@dataclass(frozen=True)
class FigureTable:
    """Table of figures.

    Attributes:
        caption: Caption.
        heads: Column heads.
        rows: Cells by row; the first cell names its row.
        texts: Heads of the columns that hold text; all others hold figures.
        total: Number of rows, of which at most MOST_ROWS are in `rows`.
    """

    kind: ClassVar[str] = "table"

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: frozenset[str]
    total: int


def build_table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]], *texts: str
) -> FigureTable:
    """Build a table of figures; a cell of None is empty.

    Args:
        caption: Caption.
        heads: Column heads; the first column holds text.
        rows: Cells by row.
        texts: Heads of further columns that hold text.

    Example:
        >>> build_table("Rows", ["asset", "rows"], [("persona_hub", 1234)]).rows
        [('persona_hub', '1,234')]
    """
    every = list(rows)
    shown = [tuple(map(_cell, row)) for row in every[:MOST_ROWS]]
    return FigureTable(caption, heads, shown, frozenset([heads[0], *texts]), len(every))


@dataclass(frozen=True)
class Drawing:
    """Picture of the page.

    Attributes:
        name: Name by which it is replaced by its small form.
        alt: Alternative text.
        caption: Sentence below it.
        picture: Picture in two sizes.
    """

    kind: ClassVar[str] = "drawing"

    name: str
    alt: str
    caption: str
    picture: Picture


@dataclass(frozen=True)
class ChainStep:
    """Row in the chain of a sample.

    Attributes:
        asset: Asset that made the row.
        shard: Its shard.
        row_id: Its id.
        text: Its own wording.
        language: Tag of the language of the text; None if unknown.
        fields: Further columns, by name.
        price: Price of the call that made it; empty if no model made it.
    """

    asset: str
    shard: str
    row_id: str
    text: str
    language: str | None
    fields: Sequence[tuple[str, str]]
    price: str


@dataclass(frozen=True)
class SampleCard:
    """Published sample with its chain.

    Attributes:
        sample_id: Id of the sample.
        verdict: Verdict in a sentence.
        price: US dollars of all calls of the chain.
        steps: The sample and its ancestors, nearest first; empty if the catalog lacks the sample.
    """

    kind: ClassVar[str] = "sample"

    sample_id: str
    verdict: str
    price: str
    steps: Sequence[ChainStep]


@dataclass(frozen=True)
class Section:
    """Section of the page: paragraphs, tables, drawings, samples, and sections below it."""

    kind: ClassVar[str] = "section"

    name: str
    title: str
    blocks: Sequence["Block"] = field(default_factory=list["Block"])


Block = str | FigureTable | Drawing | SampleCard | Section
"""Part of a section; a string is a paragraph."""


def shorten(text: str, most: int) -> str:
    """Return a text of at most `most` characters.

    Example:
        >>> shorten("harbour", 5)
        'harb…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else shorten(str(value), MOST_CELL)
