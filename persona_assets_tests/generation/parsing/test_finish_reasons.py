"""Finish reasons have a meaning in any spelling; their rows are in the zoo of replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.generation.parsing.finish_reasons import (
    FAILED,
    finish_of,
    finish_text,
    normalized,
    shown,
)


@pytest.mark.parametrize("word", sorted(FAILED))
def test_failed_words_are_in_the_form_in_which_they_are_compared(word: str) -> None:
    assert normalized(word) == word
    assert {finish_of(word), finish_of(word.upper())} == {"failed"}


@given(st.recursive(st.none() | st.text() | st.floats() | st.booleans(), st.lists))
def test_finish_reason_of_any_kind_has_a_meaning(reason: object) -> None:
    assert finish_of(reason) in ("unknown", "whole") or isinstance(reason, str)
    assert len(shown(reason)) <= 40
    assert finish_text({"type": reason}) is not None


@pytest.mark.parametrize("reason", [{}, {"type": None}, {"type": {"a": 1}}, {"reason": "eos"}])
def test_finish_reason_may_be_an_object(reason: dict[str, object]) -> None:
    assert finish_of(reason) == ("whole" if reason == {"reason": "eos"} else "unknown")
