"""Near-duplicate removal for short texts, without Dagster: words, edges, survivors.

    from persona_assets.dedup.lexical import JACCARD_THRESHOLD, lexical_edges
    from persona_assets.dedup.survivors import duplicates, survivors

    edges = lexical_edges(texts, JACCARD_THRESHOLD)
    rows = duplicates(ids, edges, survivors(len(texts), edges))

Nothing is imported here: `words` is needed at start-up, and must not bring numpy with it.
"""
