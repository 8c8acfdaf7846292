import re
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from xml.etree import ElementTree

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.plots.histogram import draw_similarity_histogram
from persona_assets.plots.pictures import BOTTOM, LEFT, RIGHT, TOP, Picture, svg_markdown

TITLE = "Similarity of lexical duplicates"
NEAR, EXACT = "#07b", "#d50"


def drawn(
    values: Sequence[float | None], threshold: float | Fraction = 0.9, bins: int = 20
) -> Picture:
    return draw_similarity_histogram(pl.Series(values, dtype=pl.Float64), threshold, TITLE, bins)


def texts(svg: str) -> list[str]:
    """What the picture says; fails if it is not a complete SVG document."""
    root = ElementTree.fromstring(svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def heights(svg: str, fill: str, columns: int) -> list[int]:
    """Pixels above the base line in each of the columns that the tiny picture has room for."""
    [path] = re.findall(rf'fill="{fill}" d="([^"]*)"', svg)
    found, at, level = [0] * columns, 0.0, 0
    for kind, number in re.findall(r"([MVH])(\d+)", path):
        if kind == "V":
            level = BOTTOM - int(number)
            continue
        to = round((int(number) - LEFT) / (RIGHT - LEFT) * columns)
        if kind == "H":
            found[round(at) : to] = [level] * (to - round(at))
        at = to
    return found


def bars(svg: str, bins: int = 20) -> tuple[list[int], int]:
    """Heights of the bins, and of the bar of exact repeats, in pixels."""
    near, repeats = (heights(svg, fill, bins + 4) for fill in (NEAR, EXACT))
    assert near[bins:] == [0] * 4
    assert repeats[: bins + 2] == [0] * (bins + 2)
    return near[:bins], repeats[-1]


def check(picture: Picture) -> None:
    """What holds for every picture, whatever the data."""
    texts(picture.tiny)
    texts(picture.full)
    assert len(svg_markdown(picture.tiny, "x" * 200)) < 1_000
    assert len(svg_markdown(picture.full, "x" * 200)) < 100_000
    assert "<script" not in picture.tiny + picture.full


def test_each_similarity_stands_in_its_bin_and_exact_repeats_apart() -> None:
    # Where 0.95 - 0.9 is divided by the width the quotient is a little below 10.
    picture = drawn([0.9, 0.904, 0.95, 0.951, 0.999, 1.0, 1.0, 1.0, 1.0])
    check(picture)
    near, repeats = bars(picture.tiny)
    whole = BOTTOM - TOP
    assert {place: height for place, height in enumerate(near) if height} == {
        0: pytest.approx(whole / 2, abs=1),
        10: pytest.approx(whole / 2, abs=1),
        19: pytest.approx(whole / 4, abs=1),
    }
    assert repeats == whole
    assert texts(picture.tiny) == ["0.9", "=1: 4", "4"]
    said = texts(picture.full)
    for words in (
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
        assert words in said


def test_a_cosine_that_is_1_but_for_rounding_is_an_exact_repeat() -> None:
    float32 = pl.Series([1 - 6e-8, 1 + 1.2e-7, 1.0, 0.99999], dtype=pl.Float32)
    said = texts(draw_similarity_histogram(float32, 0.9, TITLE).full)
    assert "exact repeats: 3" in said
    assert "near: 1" in said


def test_counts_too_far_apart_for_one_scale_are_drawn_on_a_logarithmic_one() -> None:
    level, steep = drawn([0.91] + [1.0] * 50), drawn([0.91] + [1.0] * 51)
    assert "duplicates" in texts(level.full)
    assert bars(level.tiny)[0][2] == 1
    assert "duplicates (logarithmic)" in texts(steep.full)
    assert texts(steep.tiny) == ["0.9", "=1: 51", "51", "log"]
    near, repeats = bars(steep.tiny)
    assert near[2] > 5
    assert repeats == BOTTOM - TOP
    assert sum(near) == near[2]
    check(drawn([0.9 + 0.1 * n / 300_000 for n in range(300_000)] + [1.0]))


def test_the_threshold_is_marked() -> None:
    def mark(picture: Picture) -> int:
        [found] = re.findall(rf'stroke-dasharray="2" d="M(\d+) {TOP}V{BOTTOM}"', picture.tiny)
        return int(found)

    assert mark(drawn([0.95])) == LEFT
    # From 0.7 to 1 are 20 bins, and 4 columns beside them.
    raised = drawn([0.7, 0.95])
    assert mark(raised) == pytest.approx(LEFT + (RIGHT - LEFT) * 20 / 24 * 2 / 3, abs=1)
    assert texts(raised.tiny)[:2] == ["0.7", "0.9"]
    assert bars(raised.tiny)[0][0] == BOTTOM - TOP
    assert "threshold: 0.667" in texts(drawn([0.7], Fraction(2, 3)).full)


@pytest.mark.parametrize("values", [[], [None], [float("nan")]])
def test_no_duplicates_give_a_picture_that_says_so(values: Sequence[float | None]) -> None:
    picture = drawn(values)
    check(picture)
    assert texts(picture.tiny) == ["no data"]
    assert {"no data", TITLE} <= set(texts(picture.full))


def test_a_threshold_of_1_leaves_exact_repeats_alone() -> None:
    picture = drawn([1.0, 1.0, None], Fraction(1))
    check(picture)
    near, repeats = bars(picture.tiny)
    assert sum(near) == 0
    assert repeats == BOTTOM - TOP
    assert "exact repeats: 2" in texts(picture.full)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-1, 1)), st.floats(0.01, 1), st.integers(1, 60))
def test_any_similarities_give_a_sound_picture_of_all_of_them(
    values: list[float], threshold: float, bins: int
) -> None:
    picture = drawn(values, threshold, bins)
    check(picture)
    if values:
        said = " ".join(texts(picture.full))
        [(near, repeats)] = re.findall(r"near: (\d+) exact repeats: (\d+)", said)
        assert int(near) + int(repeats) == len(values)


def test_the_same_similarities_give_the_same_bytes_in_another_process() -> None:
    program = (
        "import polars, sys\n"
        "from persona_assets.plots.histogram import draw_similarity_histogram\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"found = draw_similarity_histogram(polars.Series([0.9, 0.95, 1.0]), 0.9, {TITLE!r})\n"
        "sys.stdout.write(repr(found))"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "7", "HOME": "/nonexistent"}
    shown = subprocess.check_output([sys.executable, "-c", program], text=True, env=environment)
    assert shown == repr(drawn([0.9, 0.95, 1.0]))
