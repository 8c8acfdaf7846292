"""Which script a text is in, and which scripts an embedding model cannot tell texts apart in.

To a model without a script in its vocabulary all texts of that script are about the same: by their
vectors they would be duplicates of each other. PROBES, personas that are nothing alike, show it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import regex

from persona_assets.steps.probes import PROBES

if TYPE_CHECKING:
    import numpy as np

VERSION = "1"
"""Changes with the probes and with what a text's script is."""

LATIN, OTHER, NONE = "Latin", "other", "none"

# Japanese mixes its two syllabaries: they are one script here.
_CHARACTERS = {name: rf"\p{{Script={name}}}" for name in (LATIN, *PROBES)} | {
    "Kana": r"[\p{Script=Hiragana}\p{Script=Katakana}]",
    OTHER: r"[\p{L}--[\p{Script=Common}\p{Script=Inherited}]]",
}
# A letter of another script is one run: as a longer one it would swallow letters of these.
_RUN = regex.compile(
    "(?V1)"
    + "|".join(
        f"(?P<{name}>{one}{'' if name == OTHER else '++'})" for name, one in _CHARACTERS.items()
    )
)


def script_of(text: str) -> str:
    """The script of most of a text's characters: LATIN, one of PROBES, OTHER, or NONE.

    Spaces, punctuation and what else scripts have in common do not count. Of two with as many
    characters it is the one that comes first in the text.
    """
    if text.isascii():
        return NONE if text.lower() == text.upper() else LATIN
    counts = Counter[str]()
    for run in _RUN.finditer(text):
        counts[str(run.lastgroup)] += len(run[0])
    return counts.most_common(1)[0][0] if counts else NONE


def probes_of(scripts: Iterable[str]) -> list[tuple[str, str]]:
    """The probes, each behind its script, of those of the scripts that have some."""
    present = set(scripts)
    return [(script, text) for script in PROBES if script in present for text in PROBES[script]]


def confusions(probes: Sequence[tuple[str, str]], vectors: "np.ndarray") -> dict[str, float]:
    """By script the highest cosine of two of its probes, from their unit vectors as rows."""
    import numpy as np

    found: dict[str, float] = {}
    for script in dict(probes):
        rows = vectors[[one == script for one, _ in probes]].astype(np.float64)
        found[script] = float((rows @ rows.T)[np.triu_indices(len(rows), 1)].max())
    return found
