"""Remove near-duplicates from lines of text, without a project and without Dagster.

    python examples/near_duplicates.py [FILE]

Prints each dropped line with the line that survives in its place and their similarity.
"""

import argparse
from fractions import Fraction
from pathlib import Path

import numpy as np

from persona_assets import choose_survivors, cosine_edges, lexical_join

TEXTS = [
    "A retired miner who carves birds from driftwood and sells them at the harbour.",
    "A night nurse who repairs old radios.",
    "A retired miner who carves birds from driftwood, and sells them at the old harbour!",
    "A beekeeper who teaches chess in a prison.",
]


def drop_similar_texts(texts: list[str], threshold: Fraction) -> list[str]:
    """Return the lines to keep: no two share `threshold` of their words."""
    join = lexical_join(texts, threshold, threads=2)
    survivors = choose_survivors(join.sets, join.edges)
    for row in survivors.dropped():
        survivor, similarity = survivors.row[row], survivors.similarity[row]
        print(f"dropped {texts[row]!r}\n   kept {texts[survivor]!r} ({similarity:.2f})")
    return [text for row, text in enumerate(texts) if survivors.row[row] == row]


def count_similar_vectors() -> int:
    """Return the number of pairs with a cosine above 0.9 among vectors of any model."""
    vectors = np.array([[1.0, 0.0], [0.99, 0.1], [0.0, 1.0]], np.float32)
    return len(cosine_edges(vectors, 0.9))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="text file, one text per line")
    parser.add_argument("--threshold", type=Fraction, default=Fraction(9, 10))
    options = parser.parse_args()
    texts = options.file.read_text("utf-8").splitlines() if options.file else TEXTS
    kept = drop_similar_texts(texts, options.threshold)
    print(f"{len(kept)} of {len(texts)} texts kept")
    print(f"{count_similar_vectors()} pair of similar vectors")


if __name__ == "__main__":
    main()
