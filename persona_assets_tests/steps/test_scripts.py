"""A text has the script of most of its letters; probes reveal the scripts a model confuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.steps.probes import PROBES
from persona_assets.steps.scripts import LATIN, NONE, OTHER, confusions, probes_of, script_of


@pytest.mark.parametrize("script", PROBES)
def test_probes_of_a_script_are_different_texts_in_that_script(script: str) -> None:
    probes = PROBES[script]
    assert len(set(probes)) == len(probes) >= 4
    assert {script_of(probe) for probe in probes} == {script}


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("A beekeeper", LATIN),
        ("Ünal'ın arıları", LATIN),
        ("un café à 東京", LATIN),
        ("東京大学の歴史を学ぶ学生", "Han"),
        ("スマートフォンの店員さん", "Kana"),
        ("учёный, physicist", "Latin"),
        ("учёная, physic", "Cyrillic"),
        ("ᠪᠠᠭᠰᠢ", OTHER),
        ("𐌰𐌱 ab", OTHER),
        ("ab 𐌰𐌱", LATIN),
        ("", NONE),
        ("42 + 1!", NONE),
        ("😀 … ー", NONE),
        ("\ud800", NONE),
    ],
)
def test_script_of_a_text_is_that_of_most_of_its_letters(text: str, script: str) -> None:
    assert script_of(text) == script


@given(st.text())
def test_every_text_has_a_single_script(text: str) -> None:
    script = script_of(text)
    assert script in {LATIN, OTHER, NONE, *PROBES}
    assert script_of(f"  {text} 1!") == script
    assert (script == NONE) <= (not any(char.isascii() and char.isalpha() for char in text))


def test_probes_cover_the_given_scripts_in_a_fixed_order() -> None:
    assert probes_of([LATIN, OTHER, NONE]) == []
    probes = probes_of(["Thai", LATIN, "Greek", "Thai"])
    assert probes == probes_of(["Greek", "Thai"])
    assert probes == [(script, text) for script in ("Greek", "Thai") for text in PROBES[script]]


def test_confusion_of_a_script_is_the_highest_cosine_of_its_probes() -> None:
    probes = probes_of(["Greek", "Thai"])
    count = len(PROBES["Greek"])
    orthogonal = np.eye(count, dtype=np.float32)
    similar = orthogonal.copy()
    similar[3] = 0.6 * similar[1] + 0.8 * similar[3]
    highest = confusions(probes, np.concatenate([orthogonal, similar]))
    assert highest == {"Greek": 0, "Thai": pytest.approx(0.6)}
    assert confusions([], np.empty((0, 3), np.float32)) == {}
