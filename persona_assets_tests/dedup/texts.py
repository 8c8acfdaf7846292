"""Texts that are hard for the lexical join, and the expected pairs by brute force.

Expected results depend on `words.words` alone, which is the definition of a word.
"""

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.lexical.lexical_join import Method
from persona_assets.dedup.text.word_hashes import word_hashes
from persona_assets.dedup.text.words import words

METHODS: list[Method] = ["exact", "minhash"]
NINE_TENTHS, HALF = Fraction(9, 10), Fraction(1, 2)

VOCABULARY = [
    *(f"w{i}" for i in range(16)),
    *(f"eightby{i}" for i in range(4)),
    *(f"sixteen-bytes-of{i}" for i in range(2)),
    *("x" * 40 + last for last in "abc"),
    "退休教师",
    "c++",
]
"""Words that differ only in their last byte, shorter than, equal to and longer than eight bytes."""

ONE_HASH = ["oceanographers42", "ingocaa97t84cip4"]
"""Two words of sixteen bytes that share a hash."""

LONGER_OF_ONE_HASH = ["electroencephalographers", "8en9qadbhg3rp4gte7x5w2kx"]
"""Two words of more than sixteen bytes that share a hash."""

CHARACTERS = [
    *"abzABZ09 +#'-_@[`{\x00\n\x85\u2028\u200b\ufeff",
    *"退休教师医ーラｱﾊﾞครูสอน้ລາ០ဆရာ",
    *"각각ㄱﾡ한",
    *"\u0301\u0316\u0327\u0345\u3099\u309a\u0e38\u093f\u20dd",
    *"\u00ad\u034f\u115f\u1160\u17b4\u200d\u202e\ufe0f\u3164\uffa0\U000e0100",
    *"éÉßẞıİſKÅΣσςﬁǅ½²①ªﷺ＋＃⁺＊𝐀𝒜𖵃𖵩𐐀𠀀🙂🇩",
    *"\ud800\udbff\udc00\udfff",
]
"""Signs that end words, scripts without spaces, characters that compose, fold or are removed, and
halves of surrogate pairs, which are not characters."""

characters = st.sampled_from(CHARACTERS) | st.characters(exclude_categories=())
any_texts = st.text(characters, max_size=40)
valid_texts = st.text(characters.filter(lambda c: not "\ud800" <= c <= "\udfff"), max_size=40)

HOSTILE = [
    "",
    "   ",
    "\x00\x00",
    "\ud800",
    "nurse\x00nurse",
    "\udfff nurse",
    "NURSE nurse\u00ad",
    "e" + "\u0301" * 5000,
    "שלום עולם",
    "\u202eשלום\u202c עולם",
    "退休教师",
    "退休\u200d教师",
    "🙂🙂",
    "c++ c#",
    "c# c",
    "x" * 3000,
    "x" * 2999 + "y",
    " ".join(f"long{i}" for i in range(3000)),
    " ".join(f"long{i}" for i in range(2999)),
]

Row = tuple[int, int, float]
"""Left row, right row and similarity of a pair."""


def rows(edges: Edges) -> list[Row]:
    """Return the pairs as (left, right, similarity) rows."""
    columns = (edges.left.tolist(), edges.right.tolist(), edges.similarity.tolist())
    return list(zip(*columns, strict=True))


def brute_force(texts: Sequence[str], threshold: Fraction) -> list[Row]:
    """Return all pairs that reach the threshold, by comparing every pair; see `rows`."""
    bits: dict[str, int] = {}
    sets = [sum(1 << bits.setdefault(word, len(bits)) for word in words(text)) for text in texts]
    numerator, denominator = threshold.numerator, threshold.denominator
    pairs: list[Row] = []
    for (i, left), (j, right) in itertools.combinations(enumerate(sets), 2):
        shared, union = (left & right).bit_count(), (left | right).bit_count()
        if shared * denominator >= union * numerator:
            pairs.append((i, j, shared / union if union else 1.0))
    return pairs


def texts_of_one_bitmap() -> list[str]:
    """Return texts of a word or two out of 20 words that all flip the same bit of a bitmap."""
    candidates = [f"v{i}" for i in range(4000)]
    bits = word_hashes(candidates)[0] & np.uint64(127)
    same_bit = [word for word, bit in zip(candidates, bits.tolist(), strict=True) if bit == 5][:20]
    assert len(same_bit) == 20
    return [*same_bit, *(" ".join(pair) for pair in itertools.combinations(same_bit, 2))]


@st.composite
def related_texts(draw: st.DrawFn) -> list[str]:
    """Draw texts a few words apart from a few base texts, so that pairs straddle thresholds."""
    # At high thresholds, only sets of many words can differ and still be similar.
    vocabulary = [*VOCABULARY, *ONE_HASH, *LONGER_OF_ONE_HASH]
    small_sets = st.sets(st.sampled_from(vocabulary), max_size=8)
    bases = draw(
        st.lists(small_sets | small_sets.map(set(vocabulary).difference), min_size=1, max_size=4)
    )
    changes = st.tuples(
        st.sampled_from(bases), st.sets(st.sampled_from(vocabulary), max_size=3), st.booleans()
    )
    return [
        " ".join(sorted(base ^ change, reverse=backwards))
        for base, change, backwards in draw(st.lists(changes, max_size=16))
    ]
