"""Script of a text, and scripts whose texts an embedding model cannot tell apart.

A model without a script in its vocabulary gives all texts of that script nearly equal vectors, so
that they would count as duplicates. `PROBES`, personas that are not alike, reveal such scripts.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import regex

from persona_assets.steps.probes import PROBES

if TYPE_CHECKING:
    import numpy as np

VERSION = "1"
"""Version of the probes and of `script_of`; changes with either."""

LATIN, OTHER, NONE = "Latin", "other", "none"
"""Latin script, scripts without probes, and texts without letters."""

# Japanese mixes its two syllabaries: they count as a single script.
_CHARACTERS = {name: rf"\p{{Script={name}}}" for name in (LATIN, *PROBES)} | {
    "Kana": r"[\p{Script=Hiragana}\p{Script=Katakana}]",
    OTHER: r"[\p{L}--[\p{Script=Common}\p{Script=Inherited}]]",
}
# A letter of another script is a run of its own: `OTHER` also matches letters of the named scripts,
# and a longer run would include them.
_RUN = regex.compile(
    "(?V1)"
    + "|".join(
        f"(?P<{name}>{letter}{'' if name == OTHER else '++'})"
        for name, letter in _CHARACTERS.items()
    )
)


def script_of(text: str) -> str:
    """Return the script of most characters: `LATIN`, a key of `PROBES`, `OTHER` or `NONE`.

    Characters that scripts share, such as spaces and punctuation, do not count. Between scripts of
    equally many characters, the script that occurs first in the text wins.

    Example:
        >>> script_of("Пекарь"), script_of("A baker"), script_of("42")
        ('Cyrillic', 'Latin', 'none')
    """
    if text.isascii():
        return NONE if text.lower() == text.upper() else LATIN
    counts = Counter[str]()
    for run in _RUN.finditer(text):
        counts[str(run.lastgroup)] += len(run[0])
    return counts.most_common(1)[0][0] if counts else NONE


def scripts_in(text: str) -> frozenset[str]:
    """Return the scripts of all characters of a text, `NONE` left out.

    Example:
        >>> sorted(scripts_in("A baker, пекарь"))
        ['Cyrillic', 'Latin']
    """
    if text.isascii():
        script = script_of(text)
        return frozenset() if script == NONE else frozenset({script})
    return frozenset(str(run.lastgroup) for run in _RUN.finditer(text))


def probes_of(scripts: Iterable[str]) -> list[tuple[str, str]]:
    """Return (script, probe) for all probes of the given scripts, in the order of `PROBES`.

    Example:
        >>> len(probes_of(["Thai", "Latin"]))
        6
    """
    present = set(scripts)
    return [(script, text) for script in PROBES if script in present for text in PROBES[script]]


def confusions(probes: Sequence[tuple[str, str]], vectors: "np.ndarray") -> dict[str, float]:
    """Return the highest cosine between two probes of a script, by script.

    Args:
        probes: Result of `probes_of`.
        vectors: Unit vectors of the probes, shape (len(probes), dimensions).
    """
    import numpy as np

    highest: dict[str, float] = {}
    for script in dict(probes):
        rows = vectors[[name == script for name, _ in probes]].astype(np.float64)
        highest[script] = float((rows @ rows.T)[np.triu_indices(len(rows), 1)].max())
    return highest
