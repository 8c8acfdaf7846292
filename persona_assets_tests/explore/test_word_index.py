"""The word index finds the rows that hold all words of a query, by their beginnings."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.explore.word_index import WordIndex

WORDS = st.sampled_from(
    ["nurse", "nursery", "naïve", "c++", "c", "e-mail", "Straße", "STRASSE", "3d"]
)
TEXTS = st.lists(st.lists(WORDS, max_size=4).map(" ".join), max_size=8)


def rows(index: WordIndex, query: str) -> list[int]:
    found = index.find(query)
    return [] if found is None else [row for row, held in enumerate(found.mask) if held]


@settings(derandomize=True, max_examples=60)
@given(texts=TEXTS, query=st.lists(WORDS, min_size=1, max_size=2))
def test_rows_found_are_those_of_a_walk_through_all_words(
    texts: list[str], query: list[str]
) -> None:
    def split(text: str) -> list[str]:
        return text.lower().replace("-", " ").split()

    wanted = split(" ".join(query))
    index = WordIndex(pl.Series(texts, dtype=pl.String))
    expected = [
        row
        for row, text in enumerate(texts)
        if all(any(word.startswith(it) for word in split(text)) for it in wanted)
    ]
    found = index.find(" ".join(query))
    assert found is not None
    assert rows(index, " ".join(query)) == expected
    for row in expected:
        assert found.whole[row] == len(set(wanted) & set(split(texts[row])))


@pytest.mark.parametrize(
    ("query", "expected"),
    [("教师", [0]), ("退休教师", [0]), ("休", [0, 1]), ("教", [0]), ("师教", []), ("ครู", [2])],
)
def test_scripts_without_spaces_are_found_by_characters(query: str, expected: list[int]) -> None:
    index = WordIndex(pl.Series(["一位退休教师 retired", "休息", "ครูเกษียณ"]))
    assert rows(index, query) == expected


@pytest.mark.parametrize("query", ["", "  ", "'\"", "-!?", "\x00", "()*[", "😀"])
def test_query_without_words_has_no_answer(query: str) -> None:
    assert WordIndex(pl.Series(["A nurse"])).find(query) is None


@pytest.mark.parametrize("query", ["it's", 'NOT "it', "it OR 's:", "ＩＴ'S", "it* ^2~"])
def test_signs_of_query_languages_are_no_signs_here(query: str) -> None:
    index = WordIndex(pl.Series(["It's not 2 OR more", "itself"]))
    assert rows(index, query)[:1] == [0]


def test_index_without_texts_finds_nothing() -> None:
    assert rows(WordIndex(pl.Series([], dtype=pl.String)), "nurse") == []
