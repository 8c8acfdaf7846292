"""The words of a text: folding, word boundaries, and bigrams in scripts without spaces."""

import unicodedata

import pytest
from hypothesis import given, settings

from persona_assets.dedup.text.words import fold, words
from persona_assets_tests.dedup.texts import HOSTILE, any_texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        (" \t\n...!?", set()),
        ("A nurse, a NURSE", {"a", "nurse"}),
        ("don't l'homme", {"don", "t", "l", "homme"}),
        ("state-of-the-art", {"state", "of", "the", "art"}),
        ("C, C++, C#; a+b #1", {"c", "c++", "c#", "a", "b", "1"}),
        ("ＦＵＬＬ width ﬁre", {"full", "width", "fire"}),
        ("STRASSE Straße", {"strasse"}),
        ("soft\u00adware zero\u200bwidth", {"software", "zero", "width"}),
        ("resume résumé", {"resume", "résumé"}),
        ("हिन्दी में", {"हिन्दी", "में"}),
        ("ممرضة في مستشفى", {"ممرضة", "في", "مستشفى"}),
        ("퇴직한 교사", {"퇴직한", "교사"}),
        ("退休教师", {"退休", "休教", "教师"}),
        ("医", {"医"}),
        ("50岁的C++教授。", {"50", "岁的", "c++", "教授"}),
        ("ラーメン", {"ラー", "ーメ", "メン"}),
        ("ครู", {"คร", "รู"}),
        ("ສອນ ខ្មែរ", {"ສອ", "ອນ", "ខ្", "្ម", "មែ", "ែរ"}),
        ("ဆရာ။", {"ဆရ", "ရာ"}),
        ("\x00nul\x00nul2\ud800lone", {"nul", "nul2", "lone"}),
        ("\u0301\u0302", set()),
    ],
)
def test_words_of_example_texts(text: str, expected: set[str]) -> None:
    assert words(text) == expected


def test_words_of_long_texts() -> None:
    assert len(words(" ".join(f"w{i}" for i in range(100_000)))) == 100_000
    assert len(words("医生" * 100_000)) == 2


def test_words_keep_thirty_combining_marks_in_a_row() -> None:
    assert words("z" + "\u0301" * 29) != words("z" + "\u0301" * 30)
    assert words("z" + "\u0301\u0316" * 1_000_000) == words("z" + "\u0301\u0316" * 15)


@settings(deadline=None)
@given(any_texts)
def test_words_are_not_empty_and_do_not_depend_on_spaces_or_repeats(text: str) -> None:
    text_words = words(text)
    assert all(text_words)
    assert not any(character.isspace() for word in text_words for character in word)
    assert words(f"  {text}\n") == text_words
    assert words(f"{text} {text}") == text_words


@settings(deadline=None)
@given(any_texts)
def test_words_are_equal_for_canonically_equivalent_texts(text: str) -> None:
    assert words(unicodedata.normalize("NFD", text)) == words(unicodedata.normalize("NFC", text))


@settings(deadline=None)
@given(any_texts)
def test_folding_is_idempotent_and_changes_no_word(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert words(folded) == words(text)
    assert all(words(word) == {word} for word in words(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_words_ignore_case_and_ignorable_characters(text: str) -> None:
    assert words(text.upper()) == words(text)
    assert words("\u00ad".join(text)) == words(text)
