"""MinHash signatures equal datasketch's, and their bands find pairs with the promised recall."""

import hashlib
import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from persona_assets.dedup.lexical.minhash import (
    PADDING,
    band_keys,
    choose_bands,
    lean_minhash,
    signatures,
)
from persona_assets.dedup.lexical.sha1 import sha1_hash32
from persona_assets.dedup.text.words import words


def packed(
    texts: list[bytes], before: bytes = b"", behind: bytes = b"\xff" * PADDING
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return texts as the data and offsets that `signatures` reads."""
    data = np.frombuffer(before + b"".join(texts) + behind, np.uint8)
    return data, np.cumsum([len(before), *map(len, texts)], dtype=np.int64)


def reference(texts: list[bytes], size: int = 128, seed: int = 1) -> npt.NDArray[np.uint32]:
    """Return datasketch's signatures of the texts."""
    word_lists = [[word for word in text.split(b" ") if word] for text in texts]
    minhashes = MinHash.generator(word_lists, num_perm=size, seed=seed, scheme="affine32")
    return np.array([signature.hashvalues for signature in minhashes], np.uint32).reshape(-1, size)


def canonical(texts: list[str]) -> list[bytes]:
    """Return the canonical texts."""
    return [" ".join(sorted(words(text))).encode() for text in texts]


def sentences(count: int) -> list[str]:
    """Return random sentences of words from several scripts."""
    rng = random.Random(11)
    syllables = ["ka", "lo", "mi", "tre", "ñá", "po", "ру", "ве", "ster", "ing", "教师", "con"]
    return [
        " ".join(
            "".join(rng.choices(syllables, k=1 + int(rng.expovariate(0.5))))
            for _ in range(rng.randrange(30))
        )
        for _ in range(count)
    ]


def disjoint_words(count: int) -> list[bytes]:
    """Return random words without repeats."""
    return [b"%x" % number for number in random.Random(3).sample(range(1 << 40), count)]


any_word = st.one_of(
    st.text(st.characters(exclude_characters=" ", exclude_categories=["Cs"]), min_size=1).map(
        str.encode
    ),
    st.binary(min_size=1, max_size=30),
    st.integers(1, 300).map(lambda length: b"x" * length),
).map(lambda word: word.replace(b" ", b"!"))
any_text = st.tuples(st.lists(any_word), st.sampled_from([b"", b" "])).map(
    lambda parts: b" ".join(parts[0]) + parts[1]
)


@given(
    st.lists(any_text, max_size=8),
    st.sampled_from([1, 3, 16, 128, 300]),
    st.sampled_from([0, 1, 42, 2**32 - 1]),
    st.sampled_from([b"", b"before "]),
    st.sampled_from([b"\xff" * PADDING, b" " * PADDING, b"a" * 100]),
)
@example([], 128, 1, b"", b"\xff" * PADDING)
@example([b"", b" ", b"nurse", b""], 128, 1, b"", b"\xff" * PADDING)
@example([b"nurse nurse ", b"nurse"], 128, 1, b"", b"\xff" * PADDING)
@example([b"one", b"two", b"one two"], 128, 1, b"", b"a" * 100)
@settings(deadline=None)
def test_signatures_equal_those_of_datasketch(
    texts: list[bytes], size: int, seed: int, before: bytes, behind: bytes
) -> None:
    found = signatures(*packed(texts, before, behind), size, seed)
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(found, reference(texts, size, seed))


def test_signatures_separate_words_of_all_lengths_that_differ_in_a_byte() -> None:
    vocabulary = [b"x" * length for length in range(1, 300)]
    vocabulary += [word[:-1] + last for word in vocabulary for last in (b"y", b"p", b"\0", b"\x01")]
    vocabulary += [b"y" * length + b"\x05" + b"y" * 232 for length in (22, 23, 24)]
    vocabulary += [b"z" * length for length in (55, 56, 63, 64, 65, 119, 120, 4095, 100_000)]
    texts = [*vocabulary, b" ".join(vocabulary), b" ".join(reversed(vocabulary))]
    np.testing.assert_array_equal(signatures(*packed(texts)), reference(texts))


def test_signatures_of_ten_thousand_texts_equal_those_of_datasketch() -> None:
    texts = canonical(sentences(10_000))
    np.testing.assert_array_equal(signatures(*packed(texts)), reference(texts))


def test_signatures_are_right_for_more_words_than_the_cache_holds() -> None:
    stems = [b"", b"eight-by", b"sixteen-bytes-of"]
    vocabulary = [stems[n % 3] + b"%06d" % n for n in range(150_000)]
    once = [b" ".join(vocabulary[i : i + 100]) for i in range(0, len(vocabulary), 100)]
    texts = [*once, *(b" ".join(vocabulary[i::500]) for i in range(500))]
    np.testing.assert_array_equal(signatures(*packed(texts)), reference(texts))


def test_signatures_of_chunks_in_threads_equal_those_of_a_single_call() -> None:
    data, offsets = packed(canonical(sentences(2_000)))
    cuts = [0, 1, 1, 700, 1_300, 2_000]

    def chunk(ends: tuple[int, int]) -> npt.NDArray[np.uint32]:
        return signatures(data, offsets[ends[0] : ends[1] + 1])

    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(chunk, itertools.pairwise(cuts)))
    np.testing.assert_array_equal(np.concatenate(parts), signatures(data, offsets))


@given(st.lists(st.binary(max_size=150), max_size=40), st.integers(0, 5_000))
@settings(deadline=None)
def test_sha1_equals_that_of_the_standard_library(messages: list[bytes], length: int) -> None:
    messages = [*messages, b"\x80" * length]
    data, offsets = packed(messages)
    found = np.empty(len(messages), np.uint32)
    sha1_hash32(data, offsets[:-1], offsets[1:], found)
    expected = [hashlib.sha1(message).digest()[:4] for message in messages]
    assert found.tolist() == [int.from_bytes(digest, "little") for digest in expected]


@pytest.mark.parametrize(
    ("offsets", "message"),
    [([], "one more than texts"), ([-1, 2], "descend"), ([0, 3, 2], "descend"), ([0, 4], "pad it")],
)
def test_signatures_refuse_offsets_that_do_not_fit_the_data(
    offsets: list[int], message: str
) -> None:
    data = np.zeros(3 + PADDING, np.uint8)
    with pytest.raises(ValueError, match=message):
        signatures(data, np.array(offsets, np.int64))


def test_signatures_refuse_bad_sizes_and_seeds() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        signatures(*packed([b"nurse"]), size=0)
    with pytest.raises(ValueError, match="between 0 and"):
        signatures(*packed([b"nurse"]), seed=-1)


@pytest.mark.parametrize("seed", [1, 7])
def test_signatures_query_an_index_built_with_datasketch(seed: int) -> None:
    texts = canonical(sentences(300))
    index = MinHashLSH(threshold=0.9, num_perm=128)
    for i, text in enumerate(texts):
        minhash = MinHash(128, seed, scheme="affine32")
        minhash.update_batch(text.split())
        index.insert(i, minhash)
    rows = signatures(*packed(texts), seed=seed)
    assert all(i in index.query(lean_minhash(row, seed)) for i, row in enumerate(rows))
    assert minhash.jaccard(lean_minhash(rows[-1], seed)) == 1.0
    assert not index.query(lean_minhash(signatures(*packed([b"astronaut"]), seed=seed)[0], seed))


def recall(threshold: Fraction, count: int, rows: int) -> Fraction:
    """Return the probability with which bands propose a pair at the threshold."""
    return 1 - (1 - threshold**rows) ** count


@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize("threshold", [Fraction(k, 20) for k in (1, *range(10, 21))])
def test_choose_bands_returns_the_longest_bands_with_the_promised_recall(
    threshold: Fraction, size: int
) -> None:
    count, rows = choose_bands(threshold, size)
    assert count * rows <= size
    assert recall(threshold, count, rows) >= Fraction(99, 100)
    assert all(
        recall(threshold, size // longer, longer) < Fraction(99, 100)
        for longer in range(rows + 1, size + 1)
    )


def test_choose_bands_at_the_two_thresholds_of_the_paper() -> None:
    assert choose_bands(Fraction(9, 10)) == (12, 10)
    assert choose_bands(Fraction(1, 2)) == (42, 3)


@pytest.mark.parametrize("threshold", [Fraction(0), Fraction(-1, 2), Fraction(21, 20)])
def test_choose_bands_refuses_thresholds_that_are_not_similarities(threshold: Fraction) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        choose_bands(threshold)


def test_choose_bands_refuses_a_threshold_too_low_for_the_size() -> None:
    with pytest.raises(ValueError, match="signatures of 128 values do not find pairs at 1/50"):
        choose_bands(Fraction(1, 50))


def test_band_keys_are_shared_at_the_threshold_with_the_promised_recall() -> None:
    pairs = 20_000
    vocabulary = disjoint_words(pairs * 20)
    texts: list[bytes] = []
    for i in range(0, len(vocabulary), 20):
        shared, left, right = vocabulary[i : i + 18], vocabulary[i + 18], vocabulary[i + 19]
        texts += [b" ".join([*shared, left]), b" ".join([right, *shared])]
    count, rows = choose_bands(Fraction(18, 20))
    keys = band_keys(signatures(*packed(texts)), count, rows)
    found_rate = (keys[0::2] == keys[1::2]).any(axis=1).mean()
    # The tolerance is four standard deviations.
    assert found_rate == pytest.approx(float(recall(Fraction(18, 20), count, rows)), abs=0.0022)
    assert not (keys[:-2:2] == keys[2::2]).any()


@given(st.data(), st.integers(1, 12), st.integers(1, 4), st.integers(0, 2))
@settings(deadline=None)
def test_band_keys_are_equal_if_and_only_if_the_bands_are_equal(
    data: st.DataObject, count: int, rows: int, rest: int
) -> None:
    values = st.sampled_from([0, 1, 2, 2**31, 2**32 - 1])
    size = count * rows + rest
    shape = st.tuples(st.integers(0, 6), st.just(size))
    rows_of_values = data.draw(arrays(np.uint32, shape, elements=values))
    keys = band_keys(rows_of_values, count, rows)
    assert keys.dtype == np.uint64
    assert keys.shape == (len(rows_of_values), count)
    bands_by_position = {
        (i, j): (j, tuple(rows_of_values[i, j * rows : (j + 1) * rows].tolist()))
        for i in range(len(rows_of_values))
        for j in range(count)
    }
    for left, right in itertools.combinations(bands_by_position, 2):
        assert (keys[left] == keys[right]) == (bands_by_position[left] == bands_by_position[right])


@pytest.mark.parametrize(("count", "rows"), [(0, 3), (3, 0), (3, 43), (129, 1)])
def test_band_keys_refuse_bands_that_exceed_the_signature(count: int, rows: int) -> None:
    with pytest.raises(ValueError, match="do not make"):
        band_keys(np.zeros((2, 128), np.uint32), count, rows)
