"""Pictures of control arms name arms and measures, and survive any figures."""

from collections.abc import Sequence

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.plots.control_arms import draw_beside, draw_growth
from persona_assets_tests.plots.svg_checks import check_picture, texts

SCHEMA = pl.Schema(
    {
        "measure": pl.String,
        "arm": pl.String,
        "against": pl.String,
        "n": pl.Int64,
        "value": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
    }
)
ARMS = ("full", "job", "empty", "nobody")
NAMES = {name: f"{name} in words" for name in (*ARMS, "spread", "size", "words", "meaning")}
Row = tuple[str, str, str | None, int, float, float | None, float | None]


def figures(rows: Sequence[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


GROWTH = figures(
    [
        (measure, arm, None, n, 0.001 * n, 0.0005 * n, 0.002 * n)
        for measure in ("words", "meaning")
        for arm in ARMS
        for n in (50, 100, 200, 400)
    ]
)
BESIDE = figures(
    [
        ("spread", "full", None, 400, 0.5, 0.4, 0.6),
        ("size", "full", None, 400, 80.0, 70.0, 90.0),
        ("spread", "full", "nobody", 400, 0.1, 0.05, 0.15),
        ("size", "full", "nobody", 400, -8.0, -16.0, 4.0),
        ("spread", "full", "job", 400, 0.0, -0.1, 0.1),
        ("size", "full", "job", 400, 0.0, -1.0, 1.0),
    ]
)


def test_growth_names_arms_measures_and_numbers() -> None:
    picture = draw_growth(GROWTH, ("words", "meaning"), NAMES)
    check_picture(picture)
    labels = texts(picture.full)
    assert {"50", "100", "200", "400", "problems"} <= set(labels)
    assert {NAMES[name] for name in (*ARMS, "words", "meaning")} <= set(labels)
    assert texts(picture.tiny) == ["50", "400", "80%", "0%"]


def test_arms_stand_beside_the_full_one_in_per_cent() -> None:
    picture = draw_beside(BESIDE, ("spread", "size"), NAMES)
    check_picture(picture)
    assert {"spread in words", "size in words", "nobody in words", "full in words"} <= set(
        texts(picture.full)
    )
    # nobody: 0.1 below 0.5 is -20 %, down to -30 %; 8 above 80 is 10 %, up to 20 %.
    assert texts(picture.tiny) == ["20%", "-30%"]


def test_a_measure_whose_value_is_zero_is_left_out() -> None:
    rows = figures(
        [
            ("spread", "full", None, 9, 0.0, None, None),
            ("spread", "full", "job", 9, 0.1, None, None),
        ]
    )
    assert texts(draw_beside(rows, ("spread",), NAMES).tiny) == ["no data"]


def test_pictures_without_figures_say_so() -> None:
    empty = figures([])
    for picture in (draw_growth(empty, ("words",), NAMES), draw_beside(empty, ("size",), NAMES)):
        check_picture(picture)
        assert texts(picture.tiny) == ["no data"]


numbers = st.floats(-1e6, 1e6)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ARMS), st.integers(2, 999), st.floats(0, 1)), max_size=9))
def test_growth_is_sound_for_any_figures(rows: list[tuple[str, int, float]]) -> None:
    found = figures([("words", arm, None, n, value, None, None) for arm, n, value in rows])
    check_picture(draw_growth(found, ("words",), NAMES))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ARMS[1:]), numbers, numbers), max_size=6), numbers)
def test_measures_are_sound_for_any_figures(
    rows: list[tuple[str, float, float]], value: float
) -> None:
    differences: list[Row] = [("size", "full", arm, 9, low, low, high) for arm, low, high in rows]
    own: list[Row] = [("size", "full", None, 9, value, None, None)]
    check_picture(draw_beside(figures([*own, *differences]), ("size",), NAMES))
