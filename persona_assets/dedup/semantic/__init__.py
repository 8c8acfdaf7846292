"""Near-duplicates by meaning: all pairs of vectors whose cosine is above a threshold."""
