"""Protocol of a rule, and the data that a rule decides on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import regex

from persona_assets.rules.request_text import NO_REQUEST, RequestText
from persona_assets.rules.units import units_of


# Not frozen, which would take a tenth of the time of all rules on a persona.
@dataclass
class RuleContext:
    """Text of a row and its origin, as a rule sees them; rules change nothing in it.

    Args:
        text: Text without surrounding white space; a typographic apostrophe is a plain apostrophe.
        relation: For a persona, perspective on a text (hop 0), else relation to the parent persona.
        hop: For a persona, number of expansions between the text and the persona.
        language: BCP 47 tag of the language that the text should have; "und" if unknown, as it is
            while rows carry none.
        kind: Kind of the text, see `persona_assets.rules.kinds`.
        script: Script of most characters of the text; "" where nobody asked.
        request: Wording of the request that the text answers.
    """

    text: str
    relation: str = ""
    hop: int = 0
    language: str = "und"
    kind: str = "persona"
    script: str = ""
    request: RequestText = field(default=NO_REQUEST, repr=False)

    @property
    def persona(self) -> str:
        """The text, by the name that rules on personas use."""
        return self.text

    @cached_property
    def is_ascii(self) -> bool:
        """True if a lower-case comparison of the text needs no Unicode."""
        return self.text.isascii()

    @cached_property
    def folded(self) -> str:
        """The text without differences of case."""
        return self.text.lower() if self.is_ascii else self.text.casefold()

    @cached_property
    def units(self) -> list[str]:
        """Words, and characters of scripts without spaces, without differences of case."""
        return units_of(self.text)


class Rule(Protocol):
    """Function that decides whether a text is unfit for its table."""

    def __call__(self, context: RuleContext, /) -> bool:
        """Return True if the row is rejected."""


PersonaContext = RuleContext
"""Context of a rule on personas."""

PersonaRule = Rule
"""Rule on personas."""


class LazyPatterns:
    """Case-insensitive patterns, compiled on first use to keep imports fast.

    Each pattern is searched on its own: `regex` first looks for a literal that the pattern needs,
    which an alternation of all patterns would prevent (150 us instead of 3 us per description).

    Example:
        >>> LazyPatterns("cat", "dog$").occur_in("A DOG")
        True
    """

    def __init__(self, *patterns: str) -> None:
        self._patterns = patterns

    def occur_in(self, text: str) -> bool:
        """Return True if any of the patterns occurs in a text."""
        return any(search(text) for search in self._searches)

    @cached_property
    def _searches(self) -> list[Callable[[str], "regex.Match[str] | None"]]:
        flags = regex.IGNORECASE | regex.VERSION1
        return [regex.compile(pattern, flags).search for pattern in self._patterns]


class Openings:
    """Case-insensitive patterns of the start of a text, compiled on first use.

    Example:
        >>> Openings("an? cat", "dogs").begin("A CAT sat")
        True
    """

    def __init__(self, *patterns: str) -> None:
        self._pattern = "|".join(f"(?:{pattern})" for pattern in patterns)

    def begin(self, text: str) -> bool:
        """Return True if a text begins with any of the patterns."""
        return self._compiled.match(text) is not None

    @cached_property
    def _compiled(self) -> "regex.Pattern[str]":
        return regex.compile(self._pattern, regex.IGNORECASE | regex.VERSION1)
