"""Rows that a run shows: the first answer of each asset, and a row of each table as it lands."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import polars as pl

from persona_assets.number_format import plural
from persona_assets.storage.footer import Footer

_SHOWN = 100
"""Characters of a text that a line shows."""

_LABEL = 10
"""Characters up to which a text is the name of something, such as a script, and not shown."""


class RowLines:
    """Lines about rows, for a person to read while a run goes on.

    Attributes:
        print_line: Called with each line; does nothing until it is set.
    """

    def __init__(self) -> None:
        self.print_line: Callable[[str], None] = lambda line: None
        self._answered = set[str]()

    def show_answer(self, asset: str, value: Mapping[str, Any]) -> None:
        """Show an answer, unless one of the asset was shown before.

        Args:
            asset: Asset that asked.
            value: Fields of the answer.
        """
        if asset in self._answered:
            return
        self._answered.add(asset)
        if text := _excerpt(value):
            self.print_line(f"{asset}, first answer: {text}")

    def show_table(self, footer: Footer, rows: pl.DataFrame) -> None:
        """Show the number of rows of a table, of those dropped, and its first row."""
        name = footer.asset if footer.shard is None else f"{footer.asset} ({footer.shard})"
        dropped = sum(footer.dropped.values())
        counts = plural(footer.rows, "row") + (f", {dropped:,} dropped" if dropped else "")
        is_text = pl.col(pl.String).exclude("^.*_id$", "^.*_sha256$")
        first = rows.head(1).select(is_text).to_dicts()
        text = _excerpt(first[0]) if first else ""
        self.print_line(f"{name}: {counts}" + (f": {text}" if text else ""))


def _excerpt(value: Mapping[str, Any]) -> str:
    """Return the start of the longest text in a row or an answer; "" if it holds labels alone."""
    text = " ".join(max(_texts(value), key=len, default="").split())
    if len(text) <= _LABEL:
        return ""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
