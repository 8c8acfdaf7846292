"""Scripts of texts, and probes that say what a model makes of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.steps.probes import PROBES
from persona_assets.steps.scripts import LATIN, NONE, OTHER, confusions, probes_of, script_of


@pytest.mark.parametrize("script", PROBES)
def test_probes_are_different_texts_of_their_script(script: str) -> None:
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
def test_a_text_is_of_the_script_of_most_of_its_characters(text: str, script: str) -> None:
    assert script_of(text) == script


@given(st.text())
def test_any_text_has_one_script(text: str) -> None:
    script = script_of(text)
    assert script in {LATIN, OTHER, NONE, *PROBES}
    assert script_of(f"  {text} 1!") == script
    assert (script == NONE) <= (not any(one.isascii() and one.isalpha() for one in text))


def test_only_scripts_that_occur_are_probed_whatever_their_order() -> None:
    assert probes_of([LATIN, OTHER, NONE]) == []
    found = probes_of(["Thai", LATIN, "Greek", "Thai"])
    assert found == probes_of(["Greek", "Thai"])
    assert found == [(script, text) for script in ("Greek", "Thai") for text in PROBES[script]]


def test_a_script_is_as_confused_as_its_most_alike_probes() -> None:
    probes = probes_of(["Greek", "Thai"])
    count = len(PROBES["Greek"])
    apart = np.eye(count, dtype=np.float32)
    near = apart.copy()
    near[3] = 0.6 * near[1] + 0.8 * near[3]
    found = confusions(probes, np.concatenate([apart, near]))
    assert found == {"Greek": 0, "Thai": pytest.approx(0.6)}
    assert confusions([], np.empty((0, 3), np.float32)) == {}
