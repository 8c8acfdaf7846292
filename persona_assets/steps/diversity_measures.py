"""Measures of the diversity of texts: by embedding, by words, by near-duplicates.

A measure is made once for all texts and then called with the rows of a sample, so that what does
not depend on the sample is computed once. numpy is imported inside functions: Dagster loads this
module at every start.
"""

import re
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from persona_assets.dedup.edges import Edges

    Rows = npt.NDArray[np.int64]
    Matrix = npt.NDArray[np.float32]

Measure = Callable[["Rows"], float]
"""Function from rows to the diversity of their texts; of no rows it is 0."""

_TOKEN = re.compile(r"\w+")


def tokens(text: str) -> list[str]:
    """Return the words and numbers of a text in order, folded.

    Example:
        >>> tokens("A nurse has 12 beds; 3 are free.")
        ['a', 'nurse', 'has', '12', 'beds', '3', 'are', 'free']
    """
    return _TOKEN.findall(text.casefold())


def mean_cosine(vectors: "Matrix") -> Measure:
    """Return the mean cosine of two different texts; lower is more diverse.

    Args:
        vectors: Unit vectors, shape (n, d).
    """

    def measure(rows: "Rows") -> float:
        count = len(rows)
        if count < 2:
            return 0.0
        total = vectors[rows].sum(axis=0, dtype="float64")
        squares = (vectors[rows].astype("float64") ** 2).sum()
        return float((total @ total - squares) / (count * (count - 1)))

    return measure


def vendi_score(vectors: "Matrix") -> Measure:
    """Return the effective number of different texts, from 1 to their number.

    The exponential of the entropy of the eigenvalues of the cosine matrix over n (Friedman, Dieng,
    "The Vendi Score", TMLR 2023), exactly. The d x d matrix of the same vectors has the same
    eigenvalues besides zeros, and is decomposed where it is smaller.

    Args:
        vectors: Unit vectors, shape (n, d).
    """
    import numpy as np

    def measure(rows: "Rows") -> float:
        if not len(rows):
            return 0.0
        chosen = vectors[rows].astype(np.float64)
        product = chosen @ chosen.T if len(chosen) <= chosen.shape[1] else chosen.T @ chosen
        values = np.linalg.eigvalsh(product / len(chosen))
        # Rounding errors of zeros, of either sign, would add to the entropy.
        values = values[values > 1e-12]
        values /= values.sum()
        return float(np.exp(-(values * np.log(values)).sum()))

    return measure


def distinct_ngrams(texts: Sequence[Sequence[str]], size: int) -> Measure:
    """Return the share of different n-grams among all (distinct-n: Li et al., NAACL 2016).

    Longer texts repeat more: compare texts of the same number of words.

    Args:
        texts: Words of each text.
        size: Number of words of an n-gram.
    """
    import numpy as np

    numbers: dict[tuple[str, ...], int] = {}
    coded = [
        np.array(
            [
                numbers.setdefault(tuple(words[start : start + size]), len(numbers))
                for start in range(len(words) - size + 1)
            ],
            np.int64,
        )
        for words in texts
    ]

    def measure(rows: "Rows") -> float:
        parts = [coded[row] for row in rows]
        joined = np.concatenate(parts) if parts else np.empty(0, np.int64)
        return len(np.unique(joined)) / len(joined) if len(joined) else 0.0

    return measure


def compression_ratio(texts: Sequence[Sequence[str]]) -> Measure:
    """Return the size of the texts over their compressed size; lower is more diverse.

    By gzip's algorithm (Shaib et al., "Standardizing the Measurement of Text Diversity", 2024).

    Args:
        texts: Words of each text.
    """
    lines = [" ".join(words).encode("utf-8", "surrogatepass") for words in texts]

    def measure(rows: "Rows") -> float:
        joined = b"\n".join(lines[row] for row in rows)
        return len(joined) / len(zlib.compress(joined, 9)) if joined else 0.0

    return measure


def lexical_duplicates(texts: Sequence[str], threshold: Fraction) -> Measure:
    """Return the share of texts that the lexical stage would drop for an earlier one.

    Args:
        texts: Texts.
        threshold: Jaccard similarity of word sets from which two texts are duplicates.
    """
    from persona_assets.dedup.lexical.lexical_join import lexical_join

    joined = lexical_join(list(texts), threshold)
    return _duplicates(joined.sets, joined.edges)


def cosine_duplicates(vectors: "Matrix", threshold: float) -> Measure:
    """Return the share of texts that the semantic stage would drop for an earlier one.

    Args:
        vectors: Unit vectors, shape (n, d).
        threshold: Cosine above which two texts are duplicates.
    """
    import numpy as np

    from persona_assets.dedup.semantic.cosine_join import cosine_edges

    return _duplicates(np.arange(len(vectors)), cosine_edges(vectors, threshold))


def _duplicates(sets: "Rows", edges: "Edges") -> Measure:
    import numpy as np

    from persona_assets.dedup.survivors import choose_survivors

    def measure(rows: "Rows") -> float:
        survivors = choose_survivors(sets[rows], edges).row
        return float((survivors != np.arange(len(rows))).mean()) if len(rows) else 0.0

    return measure


def mean_words(texts: Sequence[str]) -> Measure:
    """Return the mean number of words of a text."""
    import numpy as np

    counts = np.array([len(tokens(text)) for text in texts], np.float64)
    return lambda rows: float(counts[rows].mean()) if len(rows) else 0.0
