"""Charts name their axes, groups and numbers in two sizes, and survive any data."""

import re
from base64 import b64decode

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.plots.bars import draw_bars
from persona_assets.plots.pictures import Picture, svg_markdown
from persona_assets.plots.scaling_curve import Reference, draw_scaling_curve
from persona_assets.steps.grading import accuracy
from persona_assets_tests.plots.svg_checks import check_picture, texts

CURVE_SCHEMA = pl.Schema(
    {
        "benchmark": pl.String,
        "arm": pl.String,
        "examples": pl.Int64,
        "n": pl.Int64,
        "accuracy": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "least": pl.Float64,
        "most": pl.Float64,
    }
)
FIGURE_9 = {2**16: 2875, 2**17: 3050, 2**18: 3130, 2**19: 3190, 2**20: 3245}

names = st.text(max_size=60)


def curve(*rows: tuple[str, int, int, int]) -> pl.DataFrame:
    """Build a curve from rows of benchmark, training size, correct answers, number of answers."""
    measured = [(name, size, accuracy(correct, n)) for name, size, correct, n in rows]
    return pl.DataFrame(
        [
            (name, "full_persona", size, a.n, a.accuracy, a.low, a.high, None, None)
            for name, size, a in measured
        ],
        schema=CURVE_SCHEMA,
        orient="row",
    )


def figure_9() -> pl.DataFrame:
    return curve(*(("MATH", size, correct, 5000) for size, correct in FIGURE_9.items()))


def test_scaling_curve_names_its_axes_sizes_and_benchmarks() -> None:
    picture = draw_scaling_curve(figure_9())
    check_picture(picture)
    labels = texts(picture.full)
    for text in (
        "65,536",
        "2¹⁶",
        "1,048,576",
        "2²⁰",
        "MATH (n = 5,000)",
        "training problems (logarithmic)",
        "accuracy in %, with 95 % interval",
    ):
        assert text in labels
    assert texts(picture.tiny) == ["65,536", "1,048,576", "66%", "56%"]


def test_scaling_curve_draws_several_benchmarks() -> None:
    benchmarks = ("MATH", "synthetic", "sample")
    rows = [(name, size, 9, 20) for name in benchmarks for size in (64, 100, 1000)]
    picture = draw_scaling_curve(curve(*rows))
    check_picture(picture)
    labels = texts(picture.full)
    assert {f"{name} (n = 20)" for name in benchmarks} <= set(labels)
    assert {"64", "100", "1,000"} <= set(labels)
    assert picture.tiny.count("<path") == 1 + len(benchmarks)


def test_scaling_curve_leaves_out_an_accuracy_without_answers() -> None:
    with_gap = curve(("MATH", 64, 9, 20), ("MATH", 128, 0, 0))
    assert draw_scaling_curve(with_gap) == draw_scaling_curve(curve(("MATH", 64, 9, 20)))


def test_scaling_curve_refuses_a_training_size_of_zero() -> None:
    with pytest.raises(ValueError, match="0 training problems have no place"):
        draw_scaling_curve(curve(("MATH", 0, 1, 2)))


def test_scaling_curve_has_a_line_per_arm_and_the_range_over_seeds() -> None:
    rows = curve(("MATH", 64, 9, 20), ("MATH", 128, 12, 20))
    seeds = rows.with_columns(least=pl.col("accuracy") - 0.1, most=pl.col("accuracy") + 0.1)
    without = rows.with_columns(arm=pl.lit("no_persona"))
    picture = draw_scaling_curve(pl.concat([seeds, without]))
    check_picture(picture)
    labels = set(texts(picture.full))
    assert {"MATH (n = 20)", "MATH, no persona (n = 20)"} <= labels
    assert "accuracy in %, with 95 % interval; thick: range over seeds" in labels
    assert picture.tiny.count("<path") == 1 + 2


def test_scaling_curve_shows_what_others_measured_in_the_full_picture_alone() -> None:
    measured = curve(("sample", 8, 1, 6), ("sample", 16, 2, 6))
    reference = Reference("MATH in the paper", {2**16: 0.575, 2**20: 0.649})
    picture = draw_scaling_curve(measured, reference, {"base, sample": 0.125})
    check_picture(picture)
    labels = texts(picture.full)
    for text in ("MATH in the paper", "base, sample 12.5 %", "sample (n = 6)", "8", "1,048,576"):
        assert text in labels
    assert "stroke-dasharray" in picture.full
    assert picture.tiny == draw_scaling_curve(measured).tiny
    # Without a measurement there is nothing to compare.
    assert "no data" in texts(draw_scaling_curve(curve(), reference).full)


def test_bars_are_labelled_with_their_values() -> None:
    hops = {f"hop {hop}": 1_000 * hop for hop in range(7)}
    picture = draw_bars(hops, "Personas by hop", "hop", "personas")
    check_picture(picture)
    assert {"Personas by hop", "hop", "personas", "hop 6", "6,000"} <= set(texts(picture.full))
    assert texts(picture.tiny) == [*hops, "6,000"]


def test_bars_refuse_a_height_that_is_not_finite() -> None:
    with pytest.raises(ValueError, match="hop 1"):
        draw_bars({"hop 0": 1.0, "hop 1": float("nan")}, "Yield", "hop", "personas")


@pytest.mark.parametrize(
    "picture",
    [
        draw_scaling_curve(curve()),
        draw_scaling_curve(curve(("MATH", 64, 0, 0))),
        draw_bars({}, "Yield", "hop", "personas"),
    ],
)
def test_chart_without_data_is_labelled_no_data(picture: Picture) -> None:
    check_picture(picture)
    assert texts(picture.tiny) == ["no data"]
    assert "no data" in texts(picture.full)


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "</svg>",
        "\"' onload='x'",
        "a & b &amp; c",
        "$x_1^2$",
        "$",
        "_hidden",
        "日本語 👩‍🔬",
        "\x00\x1b[31m\ud800",
        "two\nlines",
        "](javascript:alert(1))",
        "",
        "long " * 1_000,
    ],
)
def test_chart_renders_hostile_names_harmlessly(name: str) -> None:
    encodable = name.encode(errors="replace").decode()  # polars refuses lone surrogates
    check_picture(draw_scaling_curve(curve((encodable, 64, 1, 2), ("other", 64, 1, 2))))
    check_picture(draw_bars({name: 3.0, "other": 2.0}, name, name, name))
    assert re.fullmatch(r"!\[[^][\n<>]*\]\(data:[^()\s]*\)", svg_markdown("<svg/>", name))


def test_tiny_picture_counts_the_items_that_do_not_fit() -> None:
    many = {f"relation {n}": float(n) for n in range(60)}
    picture = draw_bars(many, "Yield by relation", "relation", "personas")
    check_picture(picture)
    assert re.fullmatch(r"\+\d+", texts(picture.tiny)[-1])
    rows = [(f"benchmark {n}", 2**size, 5, 9) for n in range(9) for size in range(20)]
    check_picture(draw_scaling_curve(curve(*rows)))


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(names, st.floats(-1e300, 1e300), max_size=9))
def test_bars_are_sound_for_any_finite_heights(values: dict[str, float]) -> None:
    check_picture(draw_bars(values, "Title", "x", "y"))


def test_markdown_embeds_the_whole_picture() -> None:
    picture = draw_scaling_curve(figure_9())
    shown = re.fullmatch(
        r"!\[Figure 9\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]*)\)",
        svg_markdown(picture.full, "Figure 9"),
    )
    assert shown is not None
    assert b64decode(shown[1]).decode() == picture.full
