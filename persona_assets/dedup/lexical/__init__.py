"""Near-duplicates by words: all pairs of texts whose Jaccard similarity reaches a threshold."""
