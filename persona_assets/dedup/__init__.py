"""Near-duplicate removal for short texts and vectors. Knows nothing of Dagster.

    from fractions import Fraction
    from persona_assets.dedup import choose_survivors, lexical_join

    join = lexical_join(texts, Fraction(9, 10), threads=8)
    survivors = choose_survivors(join.sets, join.edges)
    kept = [i for i, survivor in enumerate(survivors.row) if survivor == i]

Exports are loaded on first use: numba takes half a second to import.
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
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
