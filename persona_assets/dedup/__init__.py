"""Near-duplicate removal for short texts and vectors, independent of Dagster.

    from fractions import Fraction
    from persona_assets.dedup import choose_survivors, lexical_join

    join = lexical_join(texts, Fraction(9, 10), threads=8)
    survivors = choose_survivors(join.sets, join.edges)
    kept = [row for row, survivor in enumerate(survivors.row) if survivor == row]

Belongs here: signatures, joins and kernels over arrays. Does not belong here: tables, assets,
settings. Each export is loaded on first use, because importing numba takes half a second.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from persona_assets.dedup.edges import Edges
    from persona_assets.dedup.lexical.lexical_join import LexicalJoin, lexical_edges, lexical_join
    from persona_assets.dedup.semantic.cosine_join import cosine_edges
    from persona_assets.dedup.survivors import Survivors, choose_survivors
    from persona_assets.dedup.text.words import words

_MODULES = {
    "Edges": "edges",
    "LexicalJoin": "lexical.lexical_join",
    "Survivors": "survivors",
    "choose_survivors": "survivors",
    "cosine_edges": "semantic.cosine_join",
    "lexical_edges": "lexical.lexical_join",
    "lexical_join": "lexical.lexical_join",
    "words": "text.words",
}

__all__ = [
    "Edges",
    "LexicalJoin",
    "Survivors",
    "choose_survivors",
    "cosine_edges",
    "lexical_edges",
    "lexical_join",
    "words",
]


def __getattr__(name: str) -> Any:
    """Import the module that defines an export, and return the export."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
