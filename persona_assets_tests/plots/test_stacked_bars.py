"""A stacked bar per stratum shows its shares in two sizes, for any data."""

import re

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.plots.pictures import BOTTOM, TOP
from persona_assets.plots.stacked_bars import MOST, draw_stacked_bars
from persona_assets_tests.plots.svg_checks import check_picture, texts

SCHEMA = pl.Schema({"stratum": pl.String, "value": pl.String, "n": pl.Int64, "share": pl.Float64})


def distribution(rows: list[tuple[str, str, int, float]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def test_bars_are_stacked_in_the_order_of_the_values() -> None:
    shares = {"strongly for": 0.5, "undecided": 0.25, "against": 0.25}
    rows = [(f"hop {hop}", value, 8, share) for hop in (0, 1) for value, share in shares.items()]
    picture = draw_stacked_bars(distribution(rows), "stance by hop")
    check_picture(picture)
    assert {*shares, "stance by hop", "hop 0 (n = 8)"} <= set(texts(picture.full))
    levels = [
        (int(low), int(high))
        for low, high in re.findall(r"M\d+ (\d+)V(\d+)", picture.tiny.replace("V58H", ""))
    ]
    middle = round(BOTTOM - (BOTTOM - TOP) / 2)
    assert levels[0][0] == BOTTOM
    assert abs(levels[0][1] - middle) <= 1
    assert levels[-1][1] == TOP


def test_no_samples_are_said() -> None:
    assert "no data" in texts(draw_stacked_bars(distribution([]), "t").tiny)


@settings(max_examples=10)
@given(
    st.lists(st.text(max_size=40), min_size=1, max_size=MOST + 9, unique=True),
    st.lists(st.text(max_size=40), min_size=1, max_size=8, unique=True),
)
def test_any_names_are_drawn(strata: list[str], values: list[str]) -> None:
    rows = [(name, value, 3, 1 / len(values)) for name in strata for value in values]
    check_picture(draw_stacked_bars(distribution(rows), "t"))
