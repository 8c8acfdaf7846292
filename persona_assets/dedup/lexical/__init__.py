"""Near-duplicates by words: all pairs of texts above a Jaccard similarity."""
