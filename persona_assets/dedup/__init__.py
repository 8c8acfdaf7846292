"""Near-duplicate removal for short texts: words, edges, survivors. Usable without Dagster.

edges = lexical_edges(texts, JACCARD_THRESHOLD)
rows = duplicates(ids, edges, survivors(len(texts), edges))
"""

from persona_assets.dedup.cosine import COSINE_THRESHOLD, cosine_edges
from persona_assets.dedup.lexical import JACCARD_THRESHOLD, lexical_edges
from persona_assets.dedup.survivors import Edges, duplicates, survivors
from persona_assets.dedup.words import VERSION as WORDS_VERSION
from persona_assets.dedup.words import words

__all__ = [
    "COSINE_THRESHOLD",
    "JACCARD_THRESHOLD",
    "WORDS_VERSION",
    "Edges",
    "cosine_edges",
    "duplicates",
    "lexical_edges",
    "survivors",
    "words",
]
