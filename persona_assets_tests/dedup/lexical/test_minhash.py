import hashlib
import itertools
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from persona_assets.dedup.lexical.minhash import ROOM, band_keys, bands, lean, signatures
from persona_assets.dedup.lexical.sha1 import sha1_hash32
from persona_assets.dedup.text.words import words


def packed(
    texts: list[bytes], before: bytes = b"", behind: bytes = b"\xff" * ROOM
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    data = np.frombuffer(before + b"".join(texts) + behind, np.uint8)
    return data, np.cumsum([len(before), *map(len, texts)], dtype=np.int64)


def reference(texts: list[bytes], size: int = 128, seed: int = 1) -> npt.NDArray[np.uint32]:
    word_lists = [[word for word in text.split(b" ") if word] for text in texts]
    made = MinHash.generator(word_lists, num_perm=size, seed=seed, scheme="affine32")
    return np.array([signature.hashvalues for signature in made], np.uint32).reshape(-1, size)


def canonical(texts: list[str]) -> list[bytes]:
    return [" ".join(sorted(words(text))).encode() for text in texts]


def sentences(count: int) -> list[str]:
    rng = random.Random(11)
    syllables = ["ka", "lo", "mi", "tre", "ñá", "po", "ру", "ве", "ster", "ing", "教师", "con"]
    return [
        " ".join(
            "".join(rng.choices(syllables, k=1 + int(rng.expovariate(0.5))))
            for _ in range(rng.randrange(30))
        )
        for _ in range(count)
    ]


def personas() -> list[str]:
    folder = os.environ.get("SHARED_DATA")
    if not folder or not (path := Path(folder) / "personahub_tool.jsonl").exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["input persona"] for line in lines]


def disjoint_words(count: int) -> list[bytes]:
    return [b"%x" % number for number in random.Random(3).sample(range(1 << 40), count)]


WORDS = st.one_of(
    st.text(st.characters(exclude_characters=" ", exclude_categories=["Cs"]), min_size=1).map(
        str.encode
    ),
    st.binary(min_size=1, max_size=30),
    st.integers(1, 300).map(lambda length: b"x" * length),
).map(lambda word: word.replace(b" ", b"!"))
TEXTS = st.tuples(st.lists(WORDS), st.sampled_from([b"", b" "])).map(
    lambda parts: b" ".join(parts[0]) + parts[1]
)


@given(
    st.lists(TEXTS, max_size=8),
    st.sampled_from([1, 3, 16, 128, 300]),
    st.sampled_from([0, 1, 42, 2**32 - 1]),
    st.sampled_from([b"", b"before "]),
    st.sampled_from([b"\xff" * ROOM, b" " * ROOM, b"a" * 100]),
)
@example([], 128, 1, b"", b"\xff" * ROOM)
@example([b"", b" ", b"nurse", b""], 128, 1, b"", b"\xff" * ROOM)
@example([b"nurse nurse ", b"nurse"], 128, 1, b"", b"\xff" * ROOM)
@example([b"one", b"two", b"one two"], 128, 1, b"", b"a" * 100)
@settings(deadline=None)
def test_signatures_are_those_of_datasketch(
    texts: list[bytes], size: int, seed: int, before: bytes, behind: bytes
) -> None:
    found = signatures(*packed(texts, before, behind), size, seed)
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(found, reference(texts, size, seed))


def test_words_of_all_lengths_that_differ_in_their_last_byte_only() -> None:
    pairs = [b"x" * length for length in range(1, 300)]
    pairs += [word[:-1] + last for word in pairs for last in (b"y", b"p", b"\0", b"\x01")]
    pairs += [b"y" * length + b"\x05" + b"y" * 232 for length in (22, 23, 24)]
    pairs += [b"z" * length for length in (55, 56, 63, 64, 65, 119, 120, 4095, 100_000)]
    texts = [*pairs, b" ".join(pairs), b" ".join(reversed(pairs))]
    np.testing.assert_array_equal(signatures(*packed(texts)), reference(texts))


def test_ten_thousand_texts() -> None:
    real = personas()
    texts = canonical(real + sentences(10_000 - len(real)))
    np.testing.assert_array_equal(signatures(*packed(texts)), reference(texts))


def test_more_distinct_words_than_are_remembered() -> None:
    stems = [b"", b"eight-by", b"sixteen-bytes-of"]
    vocabulary = [stems[n % 3] + b"%06d" % n for n in range(150_000)]
    once = [b" ".join(vocabulary[i : i + 100]) for i in range(0, len(vocabulary), 100)]
    texts = [*once, *(b" ".join(vocabulary[i::500]) for i in range(500))]
    np.testing.assert_array_equal(signatures(*packed(texts)), reference(texts))


def test_chunks_in_threads_give_what_one_call_gives() -> None:
    data, offsets = packed(canonical(sentences(2_000)))
    cuts = [0, 1, 1, 700, 1_300, 2_000]

    def chunk(ends: tuple[int, int]) -> npt.NDArray[np.uint32]:
        return signatures(data, offsets[ends[0] : ends[1] + 1])

    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(chunk, itertools.pairwise(cuts)))
    np.testing.assert_array_equal(np.concatenate(parts), signatures(data, offsets))


@given(st.lists(st.binary(max_size=150), max_size=40), st.integers(0, 5_000))
@settings(deadline=None)
def test_sha1_is_that_of_the_standard_library(messages: list[bytes], length: int) -> None:
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
def test_offsets_that_do_not_fit_the_data_are_refused(offsets: list[int], message: str) -> None:
    data = np.zeros(3 + ROOM, np.uint8)
    with pytest.raises(ValueError, match=message):
        signatures(data, np.array(offsets, np.int64))


def test_bad_sizes_and_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        signatures(*packed([b"nurse"]), size=0)
    with pytest.raises(ValueError, match="between 0 and"):
        signatures(*packed([b"nurse"]), seed=-1)


@pytest.mark.parametrize("seed", [1, 7])
def test_a_row_queries_an_index_built_with_datasketch(seed: int) -> None:
    texts = canonical(sentences(300))
    index = MinHashLSH(threshold=0.9, num_perm=128)
    for i, text in enumerate(texts):
        own = MinHash(128, seed, scheme="affine32")
        own.update_batch(text.split())
        index.insert(i, own)
    rows = signatures(*packed(texts), seed=seed)
    assert all(i in index.query(lean(row, seed)) for i, row in enumerate(rows))
    assert own.jaccard(lean(rows[-1], seed)) == 1.0
    assert not index.query(lean(signatures(*packed([b"astronaut"]), seed=seed)[0], seed))


def recall(threshold: Fraction, count: int, rows: int) -> Fraction:
    return 1 - (1 - threshold**rows) ** count


@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize("threshold", [Fraction(k, 20) for k in (1, *range(10, 21))])
def test_bands_are_the_longest_that_find_a_pair_at_the_threshold(
    threshold: Fraction, size: int
) -> None:
    count, rows = bands(threshold, size)
    assert count * rows <= size
    assert recall(threshold, count, rows) >= Fraction(99, 100)
    assert all(
        recall(threshold, size // longer, longer) < Fraction(99, 100)
        for longer in range(rows + 1, size + 1)
    )


def test_bands_of_the_two_thresholds_of_the_paper() -> None:
    assert bands(Fraction(9, 10)) == (12, 10)
    assert bands(Fraction(1, 2)) == (42, 3)


@pytest.mark.parametrize("threshold", [Fraction(0), Fraction(-1, 2), Fraction(21, 20)])
def test_thresholds_that_are_no_similarity_are_refused(threshold: Fraction) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        bands(threshold)


def test_a_threshold_too_low_for_the_size_is_refused() -> None:
    with pytest.raises(ValueError, match="signatures of 128 values do not find pairs at 1/50"):
        bands(Fraction(1, 50))


def test_pairs_at_the_threshold_share_a_band_as_often_as_promised() -> None:
    pairs = 20_000
    vocabulary = disjoint_words(pairs * 20)
    texts: list[bytes] = []
    for i in range(0, len(vocabulary), 20):
        shared, left, right = vocabulary[i : i + 18], vocabulary[i + 18], vocabulary[i + 19]
        texts += [b" ".join([*shared, left]), b" ".join([right, *shared])]
    count, rows = bands(Fraction(18, 20))
    keys = band_keys(signatures(*packed(texts)), count, rows)
    found = (keys[0::2] == keys[1::2]).any(axis=1).mean()
    # Four standard deviations.
    assert found == pytest.approx(float(recall(Fraction(18, 20), count, rows)), abs=0.0022)
    assert not (keys[:-2:2] == keys[2::2]).any()


@given(st.data(), st.integers(1, 12), st.integers(1, 4), st.integers(0, 2))
@settings(deadline=None)
def test_band_keys_agree_if_and_only_if_the_bands_do(
    draw: st.DataObject, count: int, rows: int, rest: int
) -> None:
    values = st.sampled_from([0, 1, 2, 2**31, 2**32 - 1])
    size = count * rows + rest
    shape = st.tuples(st.integers(0, 6), st.just(size))
    made = draw.draw(arrays(np.uint32, shape, elements=values))
    keys = band_keys(made, count, rows)
    assert keys.dtype == np.uint64
    assert keys.shape == (len(made), count)
    banded = {
        (i, j): (j, tuple(made[i, j * rows : (j + 1) * rows].tolist()))
        for i in range(len(made))
        for j in range(count)
    }
    for one, other in itertools.combinations(banded, 2):
        assert (keys[one] == keys[other]) == (banded[one] == banded[other])


@pytest.mark.parametrize(("count", "rows"), [(0, 3), (3, 0), (3, 43), (129, 1)])
def test_bands_that_a_signature_does_not_hold_are_refused(count: int, rows: int) -> None:
    with pytest.raises(ValueError, match="do not make"):
        band_keys(np.zeros((2, 128), np.uint32), count, rows)
