"""Protection of people: personal data and unsafe content in a text, and what is done about them.

Personal data drops the row, or is replaced by a mark such as "[redacted email]". Unsafe content
always drops the row. A reason names the kind alone, never the text.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from persona_assets.rules.protection.personal_data import (
    NO_NAMES,
    Names,
    find_personal_data,
)
from persona_assets.rules.protection.unsafe import unsafe_kind

__all__ = ["DROP", "SETTINGS", "VERSION", "Names", "PersonalData", "Protected", "Protection"]

VERSION = "1"
"""Version of the detectors; changes with any finding of theirs."""

SETTINGS = ("personal_data", "protected_names")
"""Settings that decide what is done."""

PersonalData = Literal["drop", "redact", "keep"]


class Protected(NamedTuple):
    """Text after protection: the text, the reason to drop its row, and the kinds redacted."""

    text: str
    reason: str | None = None
    redacted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Protection:
    """What is done about personal data, and the names of people that count as such.

    Example:
        >>> protection = Protection("redact")
        >>> protection.apply("Write to ann@mill.co.uk", "persona").text
        'Write to [redacted email]'
        >>> Protection("drop").apply("Write to ann@mill.co.uk", "persona").reason
        'personal_data:email'
    """

    personal_data: PersonalData = "drop"
    names: Names = field(default=NO_NAMES)

    @classmethod
    def of(cls, personal_data: PersonalData, names: Iterable[str] = ()) -> "Protection":
        """Return the protection with a list of names."""
        return cls(personal_data, Names(names))

    def apply(self, text: str, kind: str) -> Protected:
        """Return the text, redacted if that is the policy, and the reason to drop its row.

        Args:
            text: Text of a row.
            kind: Kind of the text.
        """
        unsafe = unsafe_kind(text)
        if unsafe is not None:
            return Protected(text, f"unsafe:{unsafe}")
        if self.personal_data == "keep":
            return Protected(text)
        found = find_personal_data(text, kind, self.names)
        if not found:
            return Protected(text)
        if self.personal_data == "drop":
            return Protected(text, f"personal_data:{found[0].kind}")
        parts: list[str] = []
        redacted: list[str] = []
        done = 0
        for data in sorted(found, key=lambda data: (data.start, -data.end)):
            if data.start >= done:
                parts += [text[done : data.start], f"[redacted {data.kind.replace('_', ' ')}]"]
                redacted.append(data.kind)
                done = data.end
            elif data.end > done:
                # Overlapping data: nothing of the second stays.
                done = data.end
        return Protected("".join([*parts, text[done:]]), None, tuple(redacted))


DROP = Protection("drop")
"""Drop rows with personal data; no list of names."""
