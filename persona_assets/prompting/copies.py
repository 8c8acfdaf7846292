"""Copies of demonstrations: answers whose words are nearly those of an example in their request.

Nearly all answers are no copies, and few words show it: an answer with many words that no
demonstration has is none of them, however it goes on.
"""

import re
from collections.abc import Iterable, Sequence

from persona_assets.dedup.text.words import words

COPIED = 0.7
"""Jaccard similarity of words above which an answer counts as a copy of a demonstration."""

_LETTERS = bytes(range(ord("a"), ord("z") + 1))
_MARK = 0xFF
# Per byte of UTF-8: letters and digits in lower case, a space for what separates words. All beyond
# ASCII, and "+" and "#", which may end a word, are marked: words.py decides on those.
_TABLE = bytes(
    _MARK
    if byte >= 0x80 or byte in b"+#"
    else ord(chr(byte).lower())
    if chr(byte).isalnum()
    else ord(" ")
    for byte in range(256)
)
_MARKED = bytes([_MARK])
_FIRST = 12
"""Characters of an answer that are read first, per word that is needed; then twice as many."""

_BREAK = re.compile(r"[\s。，、！？；：]")
"""A character that no word crosses, before which a text may be cut."""


class Copies:
    """Recognition of the copies of demonstrations.

    Args:
        texts: Free text of each demonstration.

    Example:
        >>> copies = Copies(["A baker sells 12 loaves at 3 euros. What does he earn?"])
        >>> copies.has("A BAKER sells 12 loaves at 3 euros: what does he earn?")
        True
        >>> copies.has("A ferry takes 40 cars an hour. How many does it take in a day?")
        False
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._demonstrations: Sequence[frozenset[str]] = [words(text) for text in texts]
        self._known = frozenset[str]().union(*self._demonstrations)
        self._known_bytes = {word.encode(errors="replace") for word in self._known}
        largest = max(map(len, self._demonstrations), default=0)
        self._enough = _foreign_words_of_no_copy(largest)

    def has(self, text: str) -> bool:
        """Return True if a text is a copy of a demonstration."""
        if not self._demonstrations or self._is_foreign(text) or self._starts_foreign(text):
            return False
        answer = words(text)
        return any(_is_copy(answer, bag) for bag in self._demonstrations)

    def _is_foreign(self, text: str) -> bool:
        """Return True if a part of the text has enough words that no demonstration has.

        A word between ASCII separators is a word of the whole text. A text that is read to its end
        without a mark is compared as it is: it has no other words.
        """
        size = _FIRST * (self._enough + 1)
        while True:
            part = text[:size].encode(errors="replace").translate(_TABLE)
            found = part.split()
            if size < len(text) and found:
                # The last word may be cut.
                found.pop()
            foreign = set(found) - self._known_bytes
            if len(foreign) >= self._enough:
                marked = _MARKED in part and sum(_MARKED in word for word in foreign)
                if len(foreign) - marked >= self._enough:
                    return True
            if size >= len(text):
                return _MARKED not in part and not self._is_near(len(foreign), len({*found}))
            size *= 2

    def _starts_foreign(self, text: str) -> bool:
        """Return True if a beginning of the text shows it, by the words of any script."""
        size = 2 * self._enough
        while size < len(text) // 2:
            end = next(_BREAK.finditer(text, size), None)
            if end is None:
                return False
            if len(words(text[: end.start()]) - self._known) >= self._enough:
                return True
            size = 2 * end.start()
        return False

    def _is_near(self, foreign: int, size: int) -> bool:
        """Return True if an answer of a size may be a copy, by the numbers of its words alone."""
        shared = size - foreign
        return any(
            min(shared, len(bag)) > COPIED * max(size, len(bag), len(bag) + foreign)
            for bag in self._demonstrations
        )


def _is_copy(answer: frozenset[str], demonstration: frozenset[str]) -> bool:
    return len(answer & demonstration) > COPIED * len(answer | demonstration)


def _foreign_words_of_no_copy(size: int) -> int:
    """Return the number of foreign words that no copy of a demonstration of a size has.

    Then the demonstration itself is too small a part of both together.
    """
    foreign = 0
    while size > COPIED * (size + foreign):
        foreign += 1
    return foreign
