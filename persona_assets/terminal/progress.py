"""Progress of a run: a bar on a terminal, a line every few seconds in a file or pipe."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from persona_assets.terminal.figures import OUT

LINE_SECONDS = 10.0
"""Least seconds between two progress lines in a file or pipe."""


class ProgressDisplay(Protocol):
    """Display of the progress of a run."""

    def advance(self, tables: int) -> None:
        """Add a number of finished or fresh tables."""

    def show_status(self, message: str) -> None:
        """Show the current activity."""

    def print_line(self, message: str) -> None:
        """Print a permanent line."""


class ProgressBar:
    """Progress bar on a terminal."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._bar = progress.add_task("", total=total)

    def advance(self, tables: int) -> None:
        """Move the bar."""
        self._progress.advance(self._bar, tables)

    def show_status(self, message: str) -> None:
        """Show a message behind the bar."""
        self._progress.update(self._bar, description=escape(message))

    def print_line(self, message: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(escape(message))


class ProgressLines:
    """Plain progress lines in a file or pipe, at least `every` seconds apart."""

    def __init__(self, total: int, every: float = LINE_SECONDS) -> None:
        self._total = total
        self._every = every
        self._done = 0
        self._printed_at = time.monotonic()

    def advance(self, tables: int) -> None:
        """Count tables."""
        self._done += tables

    def show_status(self, message: str) -> None:
        """Print a message, unless the last line is less than `every` seconds old."""
        if message and time.monotonic() - self._printed_at >= self._every:
            self._printed_at = time.monotonic()
            self.print_line(f"{self._done}/{self._total} tables, {message}")

    def print_line(self, message: str) -> None:
        """Print a line."""
        OUT.print(escape(message), soft_wrap=True)


@contextmanager
def progress_display(total: int) -> Iterator[ProgressDisplay]:
    """Open a progress bar on a terminal, plain progress lines in a file or pipe."""
    if not OUT.is_terminal:
        yield ProgressLines(total)
        return
    columns = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("tables"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=OUT) as progress:
        yield ProgressBar(progress, total)
