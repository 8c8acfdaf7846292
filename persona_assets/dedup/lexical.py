"""Near-duplicates by words: all pairs of texts whose word sets have Jaccard similarity >= t.

Both methods propose candidates among the distinct word sets and verify them in integers, so every
edge is right; the exact one also misses none. Texts without words are duplicates of each other and
of nothing else (the Jaccard similarity of two empty sets is taken as 1).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.survivors import Edges, check_edge_count
from persona_assets.dedup.words import words

JACCARD_THRESHOLD = Fraction(9, 10)  # section 2.3
SIGNATURE_SIZE = 128  # section 2.3
SEED = 1
BAND_ROWS = 8
BAND_RECALL = 0.99


def lexical_edges(
    texts: Sequence[str], threshold: Fraction, method: Literal["exact", "minhash"] = "exact"
) -> Edges:
    """All pairs of `texts` whose word sets have a Jaccard similarity of at least `threshold`.

    `exact` finds every pair. `minhash` is the paper's method (section 2.3: words as 1-grams,
    signatures of 128) and finds a pair at the threshold with probability >= 0.99, and one above it
    more surely; what it finds is verified too. `similarity` is |A & B| / |A | B|.

    Raises TypeError for a threshold that is not a Fraction (0.9 as a float is not nine tenths),
    ValueError for one outside (0, 1], for an unknown method, and for more pairs than `MAX_EDGES`.
    """
    if not isinstance(threshold, Fraction):
        raise TypeError(f"threshold must be a Fraction such as Fraction(9, 10), not {threshold!r}")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, not {threshold}")
    if method not in ("exact", "minhash"):
        raise ValueError(f"method must be 'exact' or 'minhash', not {method!r}")
    groups: dict[frozenset[str], list[int]] = {}
    for position, text in enumerate(texts):
        groups.setdefault(words(text), []).append(position)
    sets = list(groups)
    candidates = _prefix_candidates if method == "exact" else _banding_candidates
    matches: list[tuple[int, int, float]] = []
    for i, j in candidates(sets, threshold):
        shared = len(sets[i] & sets[j])
        union = len(sets[i]) + len(sets[j]) - shared
        if shared * threshold.denominator >= union * threshold.numerator:
            matches.append((i, j, shared / union))
    return _expand([np.array(group) for group in groups.values()], matches)


def _prefix_candidates(
    sets: Sequence[frozenset[str]], threshold: Fraction
) -> Iterator[tuple[int, int]]:
    """Prefix and size filter (Bayardo, Ma, Srikant: Scaling up all pairs similarity search, 2007).

    Two sets of similarity >= t share at least ceil(t * n) words, n the size of either. So with the
    words in one order for all, rarest first, they share one of their first n - ceil(t * n) + 1.
    """
    frequency = Counter(word for found in sets for word in found)
    index: defaultdict[str, list[int]] = defaultdict(list)
    for i in sorted(range(len(sets)), key=lambda i: len(sets[i])):
        size = len(sets[i])
        least = -(-threshold.numerator * size // threshold.denominator)
        ordered = sorted(sets[i], key=lambda word: (frequency[word], word))
        found: set[int] = set()
        for word in ordered[: size - least + 1]:
            found.update(index[word])
            index[word].append(i)
        yield from ((j, i) for j in found if len(sets[j]) >= least)


def _banding_candidates(
    sets: Sequence[frozenset[str]], threshold: Fraction
) -> Iterator[tuple[int, int]]:
    """Pairs of sets whose MinHash signatures agree on a whole band (Broder 1997)."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=SIGNATURE_SIZE, params=_bands(threshold))
    encoded = ([word.encode() for word in found] for found in sets)
    signatures = MinHash.generator(encoded, num_perm=SIGNATURE_SIZE, seed=SEED, scheme="affine32")
    for i, signature in enumerate(signatures):
        yield from ((j, i) for j in cast("list[int]", index.query(signature)))
        index.insert(i, signature)


def _bands(threshold: Fraction) -> tuple[int, int]:
    """(bands, rows): the longest bands that still find a pair at the threshold with `BAND_RECALL`.

    Longer bands propose fewer false candidates; beyond 8 rows there is nothing left to save.
    0.9 gives 16 x 8 (a recall of 0.9999), 0.5 gives 42 x 3 (0.996).
    """
    for rows in range(BAND_ROWS, 1, -1):
        bands = SIGNATURE_SIZE // rows
        if 1 - (1 - float(threshold) ** rows) ** bands >= BAND_RECALL:
            return bands, rows
    return SIGNATURE_SIZE, 1


def _expand(
    groups: Sequence[npt.NDArray[np.int64]], matches: Sequence[tuple[int, int, float]]
) -> Edges:
    """From pairs of distinct word sets to pairs of texts; `groups[i]` are the texts of set i."""
    repeated = [group for group in groups if len(group) > 1]
    check_edge_count(
        sum(len(group) * (len(group) - 1) // 2 for group in repeated)
        + sum(len(groups[i]) * len(groups[j]) for i, j, _ in matches)
    )
    a: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
    b: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
    similarity: list[npt.NDArray[np.float64]] = [np.empty(0)]
    for group in repeated:
        rows, columns = np.triu_indices(len(group), k=1)
        a.append(group[rows])
        b.append(group[columns])
        similarity.append(np.ones(len(rows)))
    for i, j, value in matches:
        a.append(np.repeat(groups[i], len(groups[j])))
        b.append(np.tile(groups[j], len(groups[i])))
        similarity.append(np.full(len(a[-1]), value))
    return Edges.of(np.concatenate(a), np.concatenate(b), np.concatenate(similarity))
