import re
import subprocess
import sys
from base64 import b64decode
from random import Random
from xml.etree import ElementTree

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.plots.charts import draw_bars, draw_box_plot, draw_scaling_curve
from persona_assets.plots.pictures import Picture, svg_markdown
from persona_assets.steps.grading import accuracy

REPORT = pl.Schema({"panel": pl.String, "bucket": pl.Float64, "problem_similarity": pl.Float64})
CURVE = pl.Schema(
    {
        "benchmark": pl.String,
        "training_size": pl.Int64,
        "n": pl.Int64,
        "accuracy": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
    }
)
FIGURE_9 = {2**16: 2875, 2**17: 3050, 2**18: 3130, 2**19: 3190, 2**20: 3245}

labels = st.text(max_size=60)
shares = st.floats(-1, 1)


def report(*groups: tuple[str, float, list[float]]) -> pl.DataFrame:
    rows = [(panel, bucket, value) for panel, bucket, values in groups for value in values]
    return pl.DataFrame(rows, schema=REPORT, orient="row")


def curve(*rows: tuple[str, int, int, int]) -> pl.DataFrame:
    """Rows of benchmark, training size, correct answers, answers."""
    measured = [(name, size, accuracy(correct, n)) for name, size, correct, n in rows]
    return pl.DataFrame(
        [(name, size, a.n, a.accuracy, a.low, a.high) for name, size, a in measured],
        schema=CURVE,
        orient="row",
    )


def figure_10(per_bucket: int = 100) -> pl.DataFrame:
    draw = Random(10)
    return report(
        *(
            (panel, bucket, [draw.gauss(bucket - 0.15, 0.1) for _ in range(per_bucket)])
            for panel in ("no focus", "finance and probability")
            for bucket in (0.4, 0.6, 0.8)
        )
    )


def figure_9() -> pl.DataFrame:
    return curve(*(("MATH", size, correct, 5000) for size, correct in FIGURE_9.items()))


def texts(svg: str) -> list[str]:
    """What the picture says; fails if it is not a complete SVG document."""
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def check(picture: Picture) -> None:
    """What holds for every picture, whatever the data."""
    texts(picture.tiny)
    texts(picture.full)
    assert len(svg_markdown(picture.tiny, "x" * 200)) < 1_000
    assert len(svg_markdown(picture.full, "x" * 200)) < 100_000
    for svg in picture:
        assert "<script" not in svg
        assert not re.search(r"(?:href|src)=.(?!#)", svg)


def test_figure_10_names_its_axes_groups_and_numbers() -> None:
    picture = draw_box_plot(figure_10())
    check(picture)
    said = texts(picture.full)
    assert said.count("n = 100") == 6
    for words in (
        "0.4",
        "0.6",
        "0.8",
        "no focus",
        "finance and probability",
        "the personas themselves",
        "similarity of the personas (cosine)",
        "similarity of the problems (cosine)",
    ):
        assert words in said
    assert texts(picture.tiny) == ["0.4", "0.6", "0.8", "1"]


def test_short_and_empty_buckets_say_so() -> None:
    rows = report(("no focus", 0.4, [0.2, 0.3] * 50), ("no focus", 0.6, [0.5] * 37))
    picture = draw_box_plot(rows, expected=100, buckets=(0.4, 0.6, 0.8))
    check(picture)
    said = " ".join(texts(picture.full))
    assert "n = 100" in said
    assert "n = 37 of 100" in said
    assert "n = 0 of 100" in said
    assert texts(picture.tiny) == ["0.4", "0.6 n=37", "0.8 n=0", "1"]


def test_the_boxes_stand_at_the_quartiles() -> None:
    """Of 0, 0.25, 0.5, 0.75 and 1, on an axis from 58 (0) up to 5 (1)."""
    tiny = draw_box_plot(report(("one", 0.5, [0.0, 0.25, 0.5, 0.75, 1.0])), expected=5).tiny
    assert "M133 58V5M84 32h99" in tiny  # whiskers and median
    assert "M133 45V18" in tiny  # quartiles


def test_figure_9_names_its_axes_sizes_and_benchmarks() -> None:
    picture = draw_scaling_curve(figure_9())
    check(picture)
    said = texts(picture.full)
    for words in (
        "65,536",
        "2¹⁶",
        "1,048,576",
        "2²⁰",
        "MATH (n = 5,000)",
        "training problems (logarithmic)",
        "accuracy in %, with 95 % interval",
    ):
        assert words in said
    assert texts(picture.tiny) == ["65,536", "1,048,576", "66%", "56%"]


def test_figure_9_holds_several_benchmarks() -> None:
    names = ("MATH", "synthetic", "sample")
    rows = [(name, size, 9, 20) for name in names for size in (64, 100, 1000)]
    picture = draw_scaling_curve(curve(*rows))
    check(picture)
    said = texts(picture.full)
    assert {f"{name} (n = 20)" for name in names} <= set(said)
    assert {"64", "100", "1,000"} <= set(said)
    assert picture.tiny.count("<path") == 1 + len(names)


def test_an_accuracy_that_was_not_measured_is_not_drawn_as_zero() -> None:
    with_gap = curve(("MATH", 64, 9, 20), ("MATH", 128, 0, 0))
    assert draw_scaling_curve(with_gap) == draw_scaling_curve(curve(("MATH", 64, 9, 20)))


def test_a_size_of_zero_has_no_place() -> None:
    with pytest.raises(ValueError, match="training size 0"):
        draw_scaling_curve(curve(("MATH", 0, 1, 2)))


def test_bars_carry_their_values() -> None:
    hops = {f"hop {hop}": 1_000 * hop for hop in range(7)}
    picture = draw_bars(hops, "Personas by hop", "hop", "personas")
    check(picture)
    assert {"Personas by hop", "hop", "personas", "hop 6", "6,000"} <= set(texts(picture.full))
    assert texts(picture.tiny) == [*hops, "6,000"]


def test_bars_refuse_what_has_no_height() -> None:
    with pytest.raises(ValueError, match="hop 1"):
        draw_bars({"hop 0": 1.0, "hop 1": float("nan")}, "Yield", "hop", "personas")


@pytest.mark.parametrize(
    "picture",
    [
        draw_box_plot(report()),
        draw_scaling_curve(curve()),
        draw_scaling_curve(curve(("MATH", 64, 0, 0))),
        draw_bars({}, "Yield", "hop", "personas"),
    ],
)
def test_no_data_gives_a_picture_that_says_so(picture: Picture) -> None:
    check(picture)
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
def test_names_from_data_do_no_harm(name: str) -> None:
    encodable = name.encode(errors="replace").decode()  # polars takes nothing else
    check(draw_box_plot(report((encodable, 0.4, [0.2, 0.3]), ("other", 0.4, [0.1]))))
    check(draw_scaling_curve(curve((encodable, 64, 1, 2), ("other", 64, 1, 2))))
    check(draw_bars({name: 3.0, "other": 2.0}, name, name, name))
    assert re.fullmatch(r"!\[[^][\n<>]*\]\(data:[^()\s]*\)", svg_markdown("<svg/>", name))


def test_a_name_is_shown_as_it_is() -> None:
    said = texts(draw_box_plot(report(("_a <b> & $x$", 0.4, [0.2]))).full)
    assert "_a <b> & $x$" in said


def test_more_than_fits_is_counted_in_the_tiny_picture() -> None:
    many = {f"relation {n}": float(n) for n in range(60)}
    picture = draw_bars(many, "Yield by relation", "relation", "personas")
    check(picture)
    assert re.fullmatch(r"\+\d+", texts(picture.tiny)[-1])
    panels = [(f"panel {n}", bucket, [0.1, 0.5]) for n in range(9) for bucket in (0.4, 0.6, 0.8)]
    check(draw_box_plot(report(*panels)))
    names = [(f"benchmark {n}", 2**size, 5, 9) for n in range(9) for size in range(20)]
    check(draw_scaling_curve(curve(*names)))


def test_many_rows_stay_small() -> None:
    check(draw_box_plot(figure_10(per_bucket=5_000)))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(labels, shares, st.lists(shares, max_size=4)), max_size=6))
def test_any_report_gives_a_sound_box_plot(groups: list[tuple[str, float, list[float]]]) -> None:
    groups = [(name.encode(errors="replace").decode(), *rest) for name, *rest in groups]
    check(draw_box_plot(report(*groups), expected=3))


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(labels, st.floats(-1e300, 1e300), max_size=9))
def test_any_finite_heights_give_sound_bars(values: dict[str, float]) -> None:
    check(draw_bars(values, "Title", "x", "y"))


def test_the_same_data_give_the_same_bytes_in_another_process() -> None:
    rows = {"panel": ["a", "b"] * 3, "bucket": [0.4] * 6, "problem_similarity": [0.1, 0.2, 0.5] * 2}
    program = (
        "import polars, sys\n"
        "from persona_assets.plots.charts import draw_box_plot\n"
        f"sys.stdout.write(repr(draw_box_plot(polars.DataFrame({rows!r}))))"
    )
    command = [sys.executable, "-c", program]
    environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "7", "HOME": "/nonexistent"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == repr(draw_box_plot(pl.DataFrame(rows)))


def test_the_markdown_holds_the_picture() -> None:
    picture = draw_scaling_curve(figure_9())
    shown = re.fullmatch(
        r"!\[Figure 9\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]*)\)",
        svg_markdown(picture.full, "Figure 9"),
    )
    assert shown is not None
    assert b64decode(shown[1]).decode() == picture.full


def test_importing_the_module_imports_no_matplotlib() -> None:
    program = "import sys, persona_assets.plots.charts; print('matplotlib' in sys.modules)"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    shown = subprocess.check_output([sys.executable, "-c", program], text=True, env=environment)
    assert shown == "False\n"
