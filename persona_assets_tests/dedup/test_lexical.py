import itertools
import random
from fractions import Fraction
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.lexical import lexical_edges
from persona_assets.dedup.survivors import Edges
from persona_assets.dedup.words import words

NINE_TENTHS = Fraction(9, 10)
VOCABULARY = [f"w{i}" for i in range(24)]
HOSTILE = [
    "",
    "   ",
    "\x00\x00",
    "\ud800",
    "nurse\x00nurse",
    "\udfff nurse",
    "e" + "\u0301" * 5000,
    "שלום עולם",
    "\u202eשלום\u202c עולם",
    "退休教师",
    "🙂🙂",
    " ".join(f"long{i}" for i in range(3000)),
    " ".join(f"long{i}" for i in range(2999)),
]


def rows(edges: Edges) -> list[tuple[int, int, float]]:
    columns = (edges.left.tolist(), edges.right.tolist(), edges.similarity.tolist())
    return list(zip(*columns, strict=True))


def brute_force(texts: list[str], threshold: Fraction) -> list[tuple[int, int, float]]:
    sets = [words(text) for text in texts]
    found: list[tuple[int, int, float]] = []
    for (i, a), (j, b) in itertools.combinations(enumerate(sets), 2):
        jaccard = Fraction(len(a & b), len(a | b)) if a | b else Fraction(1)
        if jaccard >= threshold:
            found.append((i, j, float(jaccard)))
    return found


@st.composite
def related_texts(draw: st.DrawFn) -> list[str]:
    """Texts that differ from a few base texts by a few words, so that pairs straddle thresholds."""
    some_words = st.sets(st.sampled_from(VOCABULARY))
    bases = draw(st.lists(some_words, min_size=1, max_size=4))
    changes = st.tuples(
        st.sampled_from(bases), st.sets(st.sampled_from(VOCABULARY), max_size=3), st.randoms()
    )
    texts: list[str] = []
    for base, change, order in draw(st.lists(changes, max_size=16)):
        chosen = sorted(base ^ change)
        order.shuffle(chosen)
        texts.append(" ".join(chosen))
    return texts


@settings(deadline=None, max_examples=200)
@given(related_texts(), st.sampled_from([Fraction(1), NINE_TENTHS, Fraction(1, 2), Fraction(1, 7)]))
def test_exact_equals_brute_force(texts: list[str], threshold: Fraction) -> None:
    assert rows(lexical_edges(texts, threshold)) == brute_force(texts, threshold)


@pytest.mark.parametrize("threshold", [Fraction(1), NINE_TENTHS, Fraction(1, 2)])
def test_hostile_texts(threshold: Fraction) -> None:
    expected = brute_force(HOSTILE, threshold)
    assert (0, 1, 1.0) in expected
    assert rows(lexical_edges(HOSTILE, threshold)) == expected
    found = rows(lexical_edges(HOSTILE, threshold, "minhash"))
    assert set(found) <= set(expected)
    assert {pair for pair in expected if pair[2] == 1} <= set(found)


@pytest.mark.parametrize("method", ["exact", "minhash"])
def test_the_threshold_itself_is_a_duplicate(method: Literal["exact", "minhash"]) -> None:
    nineteen = VOCABULARY[:19]
    texts = [" ".join(nineteen), " ".join([*nineteen[:-1], "other"]), " ".join(nineteen[:17])]
    # 18 of 20 words are shared: as floats 1 - 18 / 20 is not 1 - 0.9.
    assert (0, 1, 0.9) in rows(lexical_edges(texts, Fraction(18, 20), method))
    assert (0, 1, 0.9) not in rows(lexical_edges(texts, Fraction(901, 1000), method))


@pytest.mark.parametrize("threshold", [NINE_TENTHS, Fraction(1, 2)])
def test_minhash_finds_planted_pairs_and_nothing_else(threshold: Fraction) -> None:
    rng = random.Random(7)
    texts: list[str] = []
    for i in range(700):
        size = rng.randrange(4, 30)
        base = [f"v{rng.randrange(20_000)}" for _ in range(size)]
        most = (1 - float(threshold)) * size
        variant = base + [f"n{i}x{k}" for k in range(rng.randrange(int(most) + 2))]
        rng.shuffle(variant)
        texts += [" ".join(base), " ".join(variant)]
    exact = set(rows(lexical_edges(texts, threshold)))
    found = set(rows(lexical_edges(texts, threshold, "minhash")))
    assert len(exact) > 400
    assert found <= exact
    assert len(found) >= 0.98 * len(exact)


@pytest.mark.parametrize("method", ["exact", "minhash"])
def test_texts_of_a_hundred_thousand_words(method: Literal["exact", "minhash"]) -> None:
    long = [f"long{i}" for i in range(100_000)]
    texts = [" ".join(long), "a retired nurse", " ".join(long[1000:])]
    assert rows(lexical_edges(texts, NINE_TENTHS, method)) == [(0, 2, 0.99)]


def test_no_texts() -> None:
    assert len(lexical_edges([], NINE_TENTHS)) == 0
    assert len(lexical_edges(["one persona"], NINE_TENTHS, "minhash")) == 0


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match=r"Fraction\(9, 10\)"):
        lexical_edges([], 0.9)  # pyright: ignore[reportArgumentType]
    for threshold in (Fraction(0), Fraction(11, 10)):
        with pytest.raises(ValueError, match="above 0"):
            lexical_edges([], threshold)
    with pytest.raises(ValueError, match="'exact' or 'minhash'"):
        lexical_edges([], NINE_TENTHS, "simhash")  # pyright: ignore[reportArgumentType]


def test_too_many_identical_texts_are_refused_before_they_fill_the_memory() -> None:
    with pytest.raises(ValueError, match="drop identical and empty texts"):
        lexical_edges(["a retired nurse"] * 7_000, NINE_TENTHS)
