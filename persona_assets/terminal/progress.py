"""How far a run is: a bar on a terminal, now and then a line elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from persona_assets.terminal.figures import OUT

LINE_SECONDS = 10.0
"""Least time between two lines where there is no terminal to draw a bar on."""


class Progressing(Protocol):
    """Where a run says how far it is."""

    def advance(self, tables: int) -> None:
        """So many tables more need nothing or are done."""

    def tell(self, message: str) -> None:
        """What is being done now."""

    def say(self, message: str) -> None:
        """Prints a line that stays."""


class Bar:
    """Progress on a terminal, behind a bar that is drawn over and over."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._bar = progress.add_task("", total=total)

    def advance(self, tables: int) -> None:
        """Moves the bar."""
        self._progress.advance(self._bar, tables)

    def tell(self, message: str) -> None:
        """Puts the message behind the bar."""
        self._progress.update(self._bar, description=escape(message))

    def say(self, message: str) -> None:
        """Prints a line above the bar."""
        self._progress.console.print(escape(message))


class Lines:
    """Progress in a file or a pipe: a plain line, at most one in `every` seconds."""

    def __init__(self, total: int, every: float = LINE_SECONDS) -> None:
        self._total = total
        self._every = every
        self._made = 0
        self._told = time.monotonic()

    def advance(self, tables: int) -> None:
        """Counts tables."""
        self._made += tables

    def tell(self, message: str) -> None:
        """Prints the message, unless there was one a moment ago."""
        if message and time.monotonic() - self._told >= self._every:
            self._told = time.monotonic()
            self.say(f"{self._made}/{self._total} tables, {message}")

    def say(self, message: str) -> None:
        """Prints a line."""
        OUT.print(escape(message), soft_wrap=True)


@contextmanager
def progressing(total: int) -> Iterator[Progressing]:
    """A bar on a terminal, plain lines elsewhere."""
    if not OUT.is_terminal:
        yield Lines(total)
        return
    columns = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("tables"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=OUT) as progress:
        yield Bar(progress, total)
