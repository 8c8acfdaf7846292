"""Withdrawn texts of a project: `withdrawn.jsonl` in the data folder, which is only appended to.

A text is withdrawn by its content, in every shard and file, now and later. A withdrawal may also
ask that the completions of tables be purged; a table's line then tells that this is done.
"""

import fcntl
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from persona_assets.storage.files import make_folder, sync

TableName = tuple[str, str | None]
"""Asset and partition of a table."""


class Withdrawal(BaseModel):
    """Line of the file.

    Args:
        event: "withdrawn" or "undone" for a text; "purged" for the completions of `tables`.
        content: Content of the text (see `ids.text_content`); empty for "purged".
        text_ids: Ids of the text in the tables of its shards.
        shards: Shards that held the text; the text is withdrawn in all others, too.
        reason: Reason, in the words of the person who withdrew the text.
        tables: Tables with completions on the text; for "purged" those that were purged.
        purges: True if all completions of `tables` that nothing asks for any more are to go.
        time: ISO 8601 time in UTC.
    """

    model_config = ConfigDict(frozen=True)

    event: Literal["withdrawn", "undone", "purged"]
    content: str = ""
    text_ids: tuple[str, ...] = ()
    shards: tuple[str, ...] = ()
    reason: str = ""
    tables: tuple[TableName, ...] = ()
    purges: bool = False
    time: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def and_also(self, later: "Withdrawal") -> "Withdrawal":
        """Return a later withdrawal of the same text, with all that this one covers.

        Example:
            >>> first = Withdrawal(event="withdrawn", shards=("a.txt",), purges=True)
            >>> both = first.and_also(Withdrawal(event="withdrawn", shards=("b.txt",)))
            >>> both.shards, both.purges
            (('a.txt', 'b.txt'), True)
        """
        return later.model_copy(
            update={
                "content": self.content,
                "text_ids": tuple(dict.fromkeys(self.text_ids + later.text_ids)),
                "shards": tuple(dict.fromkeys(self.shards + later.shards)),
                "tables": tuple(dict.fromkeys(self.tables + later.tables)),
                "reason": later.reason or self.reason,
                "purges": self.purges or later.purges,
            }
        )


@dataclass(frozen=True)
class Withdrawals:
    """Withdrawn texts, from the lines of the file in their order.

    Example:
        >>> text = Withdrawal(event="withdrawn", content="c", shards=("a.txt",))
        >>> Withdrawals((text,)).contents_of("a.txt"), Withdrawals((text,)).contents_of("b.txt")
        (('c',), ())
        >>> Withdrawals((text, Withdrawal(event="undone", content="c"))).active
        {}
    """

    lines: tuple[Withdrawal, ...] = ()

    @cached_property
    def active(self) -> dict[str, Withdrawal]:
        """Last withdrawal of each text that is withdrawn now, by content."""
        return {line.content: line for _, line in self._active.values()}

    @cached_property
    def unpurged(self) -> frozenset[TableName]:
        """Tables whose completions wait to be purged."""
        purged = {
            table: number
            for number, line in enumerate(self.lines)
            if line.event == "purged"
            for table in line.tables
        }
        return frozenset(
            table
            for number, line in self._active.values()
            for table in line.tables
            if line.purges and purged.get(table, -1) < number
        )

    def contents_of(self, shard: str, met: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the withdrawn contents that a shard is known to hold, and those of `met`."""
        known = (line.content for line in self.active.values() if shard in line.shards)
        return tuple(sorted({*known, *met}))

    def find(self, text: str) -> Withdrawal | None:
        """Return the active withdrawal of a text by its id or content; None without one."""
        active = self.active.values()
        return next((line for line in active if text in (line.content, *line.text_ids)), None)

    def changed(self, shard: str, obeyed: Collection[str]) -> str:
        """Return why a shard's texts differ from the withdrawals that they obeyed; "" if not."""
        if not set(self.contents_of(shard)) <= set(obeyed):
            return "a text was withdrawn"
        return "" if self.active.keys() >= set(obeyed) else "a withdrawal was undone"

    @cached_property
    def _active(self) -> dict[str, tuple[int, Withdrawal]]:
        active: dict[str, tuple[int, Withdrawal]] = {}
        for number, line in enumerate(self.lines):
            if line.event == "withdrawn":
                active[line.content] = number, line
            elif line.event == "undone":
                active.pop(line.content, None)
        return active


def read_withdrawals(path: Path) -> Withdrawals:
    """Read the file; a last line that a crash cut short counts as not written.

    Raises:
        ValueError: A whole line is damaged: no text may come back unnoticed.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Withdrawals()
    lines: list[Withdrawal] = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            lines.append(Withdrawal.model_validate_json(line))
        except ValidationError:
            raise ValueError(
                f"{path}, line {number} is damaged: restore the file from a copy, or remove that "
                "line and withdraw its text again"
            ) from None
    return Withdrawals(tuple(lines))


def append_withdrawals(path: Path, lines: Iterable[Withdrawal]) -> None:
    """Append lines; when the function returns, they survive a crash of the machine."""
    make_folder(path.parent)
    with path.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        # The beginning of a line that a crash cut short.
        file.truncate(file.read().rfind(b"\n") + 1)
        data = "".join(line.model_dump_json() + "\n" for line in lines)
        file.write(data.encode())
        os.fsync(file.fileno())
    sync(path.parent)
