"""`utf8_buffers` reads texts from every kind of column, and refuses input that is not text."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.text.utf8_buffers import Strings, text_at, utf8_buffers
from persona_assets.dedup.text.word_hashes import word_hashes
from persona_assets_tests.dedup.texts import any_texts, valid_texts

Texts = Sequence[str | None]

BYTES = {
    pa.string(): pa.binary(),
    pa.large_string(): pa.large_binary(),
    pa.string_view(): pa.binary_view(),
}
TYPES = [
    *(pa.string(), pa.large_string(), pa.binary(), pa.large_binary()),
    *(pa.string_view(), pa.binary_view()),
]


def read(texts: Strings) -> list[str]:
    """Return the texts that `utf8_buffers` reads."""
    data, offsets = utf8_buffers(texts)
    assert data.dtype == np.uint8
    assert offsets.dtype == np.int64
    return [text_at(data, offsets, row) for row in range(len(offsets) - 1)]


def encoded(texts: Texts) -> list[bytes | None]:
    return [None if text is None else text.encode() for text in texts]


def array_of(texts: Texts, kind: pa.DataType) -> pa.Array:
    return pa.array(encoded(texts), kind)


def dictionary_of(texts: Texts, kind: pa.DataType) -> pa.Array:
    """Build a dictionary array in which missing texts are null values or null indices, in turn."""
    values = list(dict.fromkeys([*texts, None]))
    places = [
        None if text is None and row % 2 else values.index(text) for row, text in enumerate(texts)
    ]
    return pa.DictionaryArray.from_arrays(pa.array(places, pa.int16()), array_of(values, kind))


def unchecked(rows: Sequence[bytes], kind: pa.DataType) -> pa.Array:
    """Build an array of a string type from bytes without validating them."""
    return pa.array(rows, BYTES.get(kind, kind)).view(kind)


columns = st.sampled_from(
    [
        *(lambda texts, kind=kind: array_of(texts, kind) for kind in TYPES),
        *(lambda texts, kind=kind: dictionary_of(texts, kind) for kind in TYPES),
        lambda texts: pl.Series(texts, dtype=pl.String),
        lambda texts: pl.Series(texts, dtype=pl.Categorical),
        lambda texts: pl.Series(encoded(texts), dtype=pl.Binary),
    ]
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.none() | valid_texts, max_size=8), columns, st.data())
def test_sliced_and_chunked_columns_of_any_type_hold_the_same_texts(
    texts: Texts, column_of: Callable[[Texts], Any], data: st.DataObject
) -> None:
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(texts))] * 2)))
    expected = [text or "" for text in texts[start:stop]]
    column = column_of(texts)
    assert read(column[start:stop]) == expected
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, len(texts)), max_size=3))), len(texts)]
    pieces = [column_of(texts[begin:end]) for begin, end in itertools.pairwise(cuts)]
    if isinstance(column, pl.Series):
        chunks = pl.concat(pieces, rechunk=False)
    else:
        chunks = pa.chunked_array(pieces)
    assert read(chunks[start:stop]) == expected
    hashes, offsets = word_hashes(chunks[start:stop])
    expected_hashes, expected_offsets = word_hashes(expected)
    assert (hashes.tolist(), offsets.tolist()) == (
        expected_hashes.tolist(),
        expected_offsets.tolist(),
    )


@settings(deadline=None, max_examples=100)
@given(st.lists(st.none() | any_texts, max_size=8), st.sampled_from([list, tuple]))
def test_sequences_may_contain_halves_of_surrogate_pairs(
    texts: Texts, sequence: Callable[[Texts], Texts]
) -> None:
    assert read(sequence(texts)) == [text or "" for text in texts]
    assert read(np.array(texts, object)) == [text or "" for text in texts]
    array = unchecked(
        [(text or "").encode("utf-8", "surrogatepass") for text in texts], pa.string()
    )
    assert read(array) == [text or "" for text in texts]


@pytest.mark.parametrize("kind", [*TYPES, pa.null(), pa.dictionary(pa.int8(), pa.string())])
def test_columns_without_texts_are_empty_or_missing_texts(kind: pa.DataType) -> None:
    assert read(pa.nulls(0, kind)) == []
    assert read(pa.chunked_array([], kind)) == []
    assert read(pa.nulls(3, kind)) == ["", "", ""]
    assert read(pa.chunked_array([pa.nulls(1, kind), pa.nulls(2, kind)])[1:]) == ["", ""]


def test_bytes_behind_a_null_are_not_read() -> None:
    array = pa.array(["a", "hidden", "b"], pa.large_string())
    _, offsets, data = array.buffers()
    hiding = pa.Array.from_buffers(array.type, 3, [pa.py_buffer(b"\x05"), offsets, data])
    assert read(hiding) == ["a", "", "b"]


def test_buffers_share_the_bytes_of_a_string_array() -> None:
    array = pa.array(["a nurse", "a pilot", "a miner"], pa.large_string())
    short = array.cast(pa.string())
    for column in (array, array[1:], pa.chunked_array([array]), short, short[1:]):
        data, offsets = utf8_buffers(column)
        assert data.ctypes.data == array.buffers()[2].address
        assert not data.flags.writeable
        assert not offsets.flags.writeable


INVALID = [
    *(b"\x80", b"\xc0\xaf", b"\xc3", b"\xe2\x82", b"\xf0\x9f", b"\xf8", b"\xff"),
    *(b"\xe0\x80\xaf", b"\xe2(\xa1", b"\xf0\x80\x80\xaf", b"\xf4\x90\x80\x80"),
    b"\xf8\x90\x80\x80",
]
"""Sequences that are cut off, start inside a character, are overlong, or exceed Unicode."""
FOLLOWING_TEXTS = [b"and more"] * 9
"""Texts behind a row, so that kernels may read beyond it; else the definition reads the row."""


@pytest.mark.parametrize("invalid", INVALID)
@pytest.mark.parametrize("kind", TYPES[:4])
def test_invalid_utf8_is_refused_in_every_position(invalid: bytes, kind: pa.DataType) -> None:
    for text in (invalid, b"a " + invalid, invalid + "é".encode(), "教".encode() + invalid + b"b"):
        for rows in ([text], [text, *FOLLOWING_TEXTS], [b"x", text, b"y", *FOLLOWING_TEXTS]):
            column = unchecked(rows, kind)
            for texts in (column, pa.chunked_array([pa.array(["x"], kind), column])):
                with pytest.raises(ValueError, match=r"^texts must be UTF-8, and that of"):
                    word_hashes(texts)


@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary_view()])
def test_invalid_utf8_in_views_is_refused(kind: pa.DataType) -> None:
    for text in (b"\xff", b"a long text \xff"):
        column = unchecked([b"a", text], kind)
        with pytest.raises(ValueError, match=r"UTF-?8"):
            word_hashes(column)
        values = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), column)
        with pytest.raises(ValueError, match=r"UTF-?8"):
            word_hashes(values)


def test_characters_must_end_within_their_text() -> None:
    cut = unchecked([b"\xe2\x82", b"\xac and more" * 9], pa.large_string())
    for texts in (cut[:1], cut[1:], cut):
        with pytest.raises(ValueError, match=r"UTF-?8"):
            word_hashes(texts)


def test_damaged_arrays_are_refused() -> None:
    ends, data = pa.py_buffer(np.array([0, 5, 2, 5], np.int32)), pa.py_buffer(b"abcde")
    unordered = pa.Array.from_buffers(pa.string(), 3, [None, ends, data])
    no_such_value = pa.DictionaryArray.from_arrays(pa.array([7]), pa.array(["x"]), safe=False)
    for damaged in (unordered, no_such_value, pa.chunked_array([unordered])):
        with pytest.raises(ValueError, match="the Arrow array of texts is damaged: "):
            utf8_buffers(damaged)
    with pytest.raises(ValueError, match=r"that of row 1 is not: .* can't decode byte 0xff"):
        word_hashes(pl.Series([b"a", b"\xff"]))
    assert read(unordered[2:]) == ["cde"]


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        (pa.array([1, 2]), "not of int64"),
        (pa.nulls(2, pa.float32()), "not of float"),
        (pa.array([["a"]]), r"not of list<item: string>"),
        (pa.array([b"ab"], pa.binary(2)), r"not of fixed_size_binary\[2\]"),
        (pa.array([1]).dictionary_encode(), "not of int64"),
        (pa.chunked_array([], pa.int8()), "not of int8"),
        (pl.Series([1]), "not of int64"),
        (pl.Series([["a"]]), "not of large_list"),
        (["a", 1], "not int as in row 1"),
        ([None, float("nan")], "not float as in row 1"),
        (["\ud800", None, b"a"], "not bytes as in row 2"),
        ([["a"]], "not list as in row 0"),
        (np.array([1, 2]), "not int64 as in row 0"),
        ("a nurse", "not a single str"),
        (None, "not a single NoneType"),
        (iter(["a nurse"]), "not a single list_iterator"),
    ],
)
def test_values_that_are_not_texts_are_refused(texts: Any, complaint: str) -> None:
    for read_texts in (utf8_buffers, word_hashes):
        with pytest.raises(
            TypeError, match=f"^texts must be a sequence of str or None, .*{complaint}"
        ):
            read_texts(texts)
