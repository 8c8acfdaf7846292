"""Reference for survivors of near-duplicate texts: every pair is compared, in order of arrival."""

from collections.abc import Iterable
from fractions import Fraction

from persona_assets.dedup.text.words import words


def jaccard(a: frozenset[str], b: frozenset[str]) -> Fraction:
    """Return the Jaccard similarity of two word sets; 1 for two empty sets."""
    return Fraction(len(a & b), len(a | b)) if a | b else Fraction(1)


def greedy_survivors(rows: Iterable[tuple[str, str]], threshold: Fraction) -> dict[str, str]:
    """Return the survivor of each duplicate among pairs of id and text.

    A row leaves if it is similar to a row that stays. Its survivor is the most similar of those, or
    of equally similar ones the first. Rows with the words of an earlier row share its survivor.
    """
    kept: list[tuple[str, frozenset[str]]] = []
    survivor_of: dict[frozenset[str], str] = {}
    found: dict[str, str] = {}
    for row_id, text in rows:
        own = words(text)
        if own not in survivor_of:
            similar = [(jaccard(own, other), survivor) for survivor, other in kept]
            best = max((similarity for similarity, _ in similar), default=Fraction(-1))
            if best < threshold:
                kept.append((row_id, own))
                survivor_of[own] = row_id
                continue
            survivor_of[own] = next(s for similarity, s in similar if similarity == best)
        found[row_id] = survivor_of[own]
    return found
