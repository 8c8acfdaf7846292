"""A copy of a demonstration is an answer whose words are nearly those of the demonstration."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.text.words import words
from persona_assets.prompting.copies import COPIED, Copies

LOAVES = "A baker sells 12 loaves at 3 euros each. What does she earn?"
CHINESE = "在河边的集市上，一位木匠每天清晨修理旧钟，晚上收集地图。他一周修理几只？"
PIECES = (
    *LOAVES.split(),
    *(
        "naïve",
        "na\u0308ive",
        "C++",
        "c#",
        "e\u00adarn",
        "ＢＡＫＥＲ",
        "don't",
        "x_y",
        "ﾊﾞ",
        "\ud800",
    ),
    *("河边的集市", "修理旧钟。", "收集", "，", "\u0301", "\u200b", "ſet", "\u212a", "İ", "Straße"),
)


def is_copy(text: str, demonstrations: list[str]) -> bool:
    """Compare all words with all words: the definition."""
    answer, bags = words(text), [words(each) for each in demonstrations]
    return any(len(answer & bag) > COPIED * len(answer | bag) for bag in bags)


pieces = st.sampled_from(PIECES) | st.text(max_size=6)
texts = st.builds(
    lambda parts, glue: glue.join(parts),
    st.lists(pieces, max_size=60),
    st.sampled_from([" ", "", ", ", "\n", "\u3000", "-"]),
)


@settings(deadline=None, max_examples=400, derandomize=True)
@given(st.lists(texts, max_size=4), texts, st.booleans())
def test_verdict_is_that_of_all_words(demonstrations: list[str], text: str, own: bool) -> None:
    text = text + demonstrations[0] if own and demonstrations else text
    assert Copies(demonstrations).has(text) == is_copy(text, demonstrations)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.integers(0, 12), st.lists(st.sampled_from(PIECES), max_size=8), st.integers(1, 40))
def test_verdict_near_the_bound_is_that_of_all_words(
    start: int, other: list[str], times: int
) -> None:
    text = " ".join([*LOAVES.split()[start:], *other * times])
    assert Copies([LOAVES, CHINESE]).has(text) == is_copy(text, [LOAVES, CHINESE])


@pytest.mark.parametrize(
    "text", [LOAVES.upper(), f"{LOAVES} {LOAVES}" * 30, CHINESE, f" {CHINESE}"]
)
def test_copy_of_any_length_is_recognised(text: str) -> None:
    assert Copies(["Another text.", LOAVES, CHINESE]).has(text)


def test_nothing_is_a_copy_without_demonstrations() -> None:
    assert not Copies([]).has(LOAVES)
    assert not Copies([""]).has("")
