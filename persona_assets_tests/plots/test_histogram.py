"""The histogram shows each similarity in its bin, exact repeats apart, and the threshold."""

import re
from collections.abc import Sequence
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.plots.histogram import draw_similarity_histogram
from persona_assets.plots.pictures import BOTTOM, LEFT, RIGHT, TOP, Picture
from persona_assets_tests.plots.programs.draw_histogram import SIMILARITIES, TITLE
from persona_assets_tests.plots.svg_checks import check_picture, run_program, texts

NEAR, EXACT = "#07b", "#d50"


def histogram(
    values: Sequence[float | None], threshold: float | Fraction = 0.9, bins: int = 20
) -> Picture:
    return draw_similarity_histogram(pl.Series(values, dtype=pl.Float64), threshold, TITLE, bins)


def heights(svg: str, fill: str, columns: int) -> list[int]:
    """Return the pixels above the base line in each column of a tiny picture."""
    [path] = re.findall(rf'fill="{fill}" d="([^"]*)"', svg)
    pixels, at, level = [0] * columns, 0.0, 0
    for kind, number in re.findall(r"([MVH])(\d+)", path):
        if kind == "V":
            level = BOTTOM - int(number)
            continue
        to = round((int(number) - LEFT) / (RIGHT - LEFT) * columns)
        if kind == "H":
            pixels[round(at) : to] = [level] * (to - round(at))
        at = to
    return pixels


def bars(svg: str, bins: int = 20) -> tuple[list[int], int]:
    """Return the heights of the bins, and of the bar of exact repeats, in pixels."""
    near, repeats = (heights(svg, fill, bins + 4) for fill in (NEAR, EXACT))
    assert near[bins:] == [0] * 4
    assert repeats[: bins + 2] == [0] * (bins + 2)
    return near[:bins], repeats[-1]


def test_histogram_counts_each_similarity_in_its_bin_and_exact_repeats_apart() -> None:
    # (0.95 - 0.9) / 0.005, the bin of 0.95, is slightly below 10 in floating point.
    picture = histogram([0.9, 0.904, 0.95, 0.951, 0.999, 1.0, 1.0, 1.0, 1.0])
    check_picture(picture)
    near, repeats = bars(picture.tiny)
    whole = BOTTOM - TOP
    assert {place: height for place, height in enumerate(near) if height} == {
        0: pytest.approx(whole / 2, abs=1),
        10: pytest.approx(whole / 2, abs=1),
        19: pytest.approx(whole / 4, abs=1),
    }
    assert repeats == whole
    assert texts(picture.tiny) == ["0.9", "=1: 4", "4"]
    labels = texts(picture.full)
    for text in (
        f"{TITLE} (n = 9)",
        "similarity",
        "duplicates",
        "near: 5",
        "exact repeats: 4",
        "threshold: 0.9",
        "0.9",
        "0.96",
        "exactly 1",
    ):
        assert text in labels


def test_histogram_counts_a_cosine_of_1_up_to_rounding_as_an_exact_repeat() -> None:
    float32 = pl.Series([1 - 6e-8, 1 + 1.2e-7, 1.0, 0.99999], dtype=pl.Float32)
    labels = texts(draw_similarity_histogram(float32, 0.9, TITLE).full)
    assert "exact repeats: 3" in labels
    assert "near: 1" in labels


def test_histogram_of_very_unequal_counts_has_a_logarithmic_axis() -> None:
    level, steep = histogram([0.91] + [1.0] * 50), histogram([0.91] + [1.0] * 51)
    assert "duplicates" in texts(level.full)
    assert bars(level.tiny)[0][2] == 1
    assert "duplicates (logarithmic)" in texts(steep.full)
    assert texts(steep.tiny) == ["0.9", "=1: 51", "51", "log"]
    near, repeats = bars(steep.tiny)
    assert near[2] > 5
    assert repeats == BOTTOM - TOP
    assert sum(near) == near[2]
    check_picture(histogram([0.9 + 0.1 * n / 300_000 for n in range(300_000)] + [1.0]))


def test_histogram_marks_the_threshold() -> None:
    def mark(picture: Picture) -> int:
        [x] = re.findall(rf'stroke-dasharray="2" d="M(\d+) {TOP}V{BOTTOM}"', picture.tiny)
        return int(x)

    assert mark(histogram([0.95])) == LEFT
    # 20 bins from 0.7 to 1, then 4 columns for the bar of exact repeats.
    raised = histogram([0.7, 0.95])
    assert mark(raised) == pytest.approx(LEFT + (RIGHT - LEFT) * 20 / 24 * 2 / 3, abs=1)
    assert texts(raised.tiny)[:2] == ["0.7", "0.9"]
    assert bars(raised.tiny)[0][0] == BOTTOM - TOP
    assert "threshold: 0.667" in texts(histogram([0.7], Fraction(2, 3)).full)


@pytest.mark.parametrize("values", [[], [None], [float("nan")]])
def test_histogram_without_duplicates_is_labelled_no_data(values: Sequence[float | None]) -> None:
    picture = histogram(values)
    check_picture(picture)
    assert texts(picture.tiny) == ["no data"]
    assert {"no data", TITLE} <= set(texts(picture.full))


def test_histogram_of_threshold_1_shows_exact_repeats_only() -> None:
    picture = histogram([1.0, 1.0, None], Fraction(1))
    check_picture(picture)
    near, repeats = bars(picture.tiny)
    assert sum(near) == 0
    assert repeats == BOTTOM - TOP
    assert "exact repeats: 2" in texts(picture.full)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-1, 1)), st.floats(0.01, 1), st.integers(1, 60))
def test_histogram_is_sound_for_any_similarities_and_counts_all_of_them(
    values: list[float], threshold: float, bins: int
) -> None:
    picture = histogram(values, threshold, bins)
    check_picture(picture)
    if values:
        labels = " ".join(texts(picture.full))
        [(near, repeats)] = re.findall(r"near: (\d+) exact repeats: (\d+)", labels)
        assert int(near) + int(repeats) == len(values)


def test_histogram_has_the_same_bytes_in_another_process() -> None:
    here = draw_similarity_histogram(SIMILARITIES, 0.9, TITLE)
    assert run_program("draw_histogram")["picture"] == list(here)


def test_importing_the_histogram_imports_no_matplotlib() -> None:
    assert run_program("draw_histogram")["matplotlib"] is False
