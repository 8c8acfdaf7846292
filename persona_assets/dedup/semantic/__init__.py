"""Near-duplicates by meaning: all pairs of vectors above a cosine."""
