"""Box plots name their axes, groups and numbers, and show the paper's figures beside ours."""

from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.plots.box_plot import draw_box_plot
from persona_assets_tests.plots.programs.draw_box_plot import REPORT
from persona_assets_tests.plots.svg_checks import check_picture, run_program, texts

REPORT_SCHEMA = pl.Schema(
    {"panel": pl.String, "bucket": pl.Float64, "problem_similarity": pl.Float64}
)
names = st.text(max_size=60)
shares = st.floats(-1, 1)


def report(*groups: tuple[str, float, list[float]]) -> pl.DataFrame:
    rows = [(panel, bucket, value) for panel, bucket, values in groups for value in values]
    return pl.DataFrame(rows, schema=REPORT_SCHEMA, orient="row")


def figure_10(per_bucket: int = 100) -> pl.DataFrame:
    draw = Random(10)
    return report(
        *(
            (panel, bucket, [draw.gauss(bucket - 0.15, 0.1) for _ in range(per_bucket)])
            for panel in ("no focus", "finance and probability")
            for bucket in (0.4, 0.6, 0.8)
        )
    )


def test_box_plot_names_its_axes_groups_and_numbers() -> None:
    picture = draw_box_plot(figure_10())
    check_picture(picture)
    labels = texts(picture.full)
    assert labels.count("n = 100") == 6
    for text in (
        "0.4",
        "0.6",
        "0.8",
        "no focus",
        "finance and probability",
        "the personas themselves",
        "similarity of the personas (cosine)",
        "similarity of the problems (cosine)",
    ):
        assert text in labels
    assert texts(picture.tiny) == ["0.4", "0.6", "0.8", "1"]


def test_box_plot_labels_short_and_empty_buckets_with_their_size() -> None:
    rows = report(("no focus", 0.4, [0.2, 0.3] * 50), ("no focus", 0.6, [0.5] * 37))
    picture = draw_box_plot(rows, expected=100, buckets={"no focus": (0.4, 0.6, 0.8)})
    check_picture(picture)
    labels = " ".join(texts(picture.full))
    assert "n = 100" in labels
    assert "n = 37 of 100" in labels
    assert "n = 0 of 100" in labels
    assert texts(picture.tiny) == ["0.4", "0.6 n=37", "0.8 n=0", "1"]


def test_box_plot_draws_boxes_at_the_quartiles() -> None:
    # Values 0, 0.25, 0.5, 0.75 and 1 on an axis from pixel 58 (0) up to pixel 5 (1).
    tiny = draw_box_plot(report(("one", 0.5, [0.0, 0.25, 0.5, 0.75, 1.0])), expected=5).tiny
    assert "M133 58V5M84 32h99" in tiny  # whiskers and median
    assert "M133 45V18" in tiny  # quartiles


def test_box_plot_of_many_rows_stays_small() -> None:
    check_picture(draw_box_plot(figure_10(per_bucket=5_000)))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(names, shares, st.lists(shares, max_size=4)), max_size=6))
def test_box_plot_is_sound_for_any_report(groups: list[tuple[str, float, list[float]]]) -> None:
    groups = [(name.encode(errors="replace").decode(), *rest) for name, *rest in groups]
    check_picture(draw_box_plot(report(*groups), expected=3))


def test_box_plot_has_the_same_bytes_in_another_process() -> None:
    assert run_program("draw_box_plot")["picture"] == list(draw_box_plot(REPORT))


def test_chart_shows_a_name_verbatim() -> None:
    labels = texts(draw_box_plot(report(("_a <b> & $x$", 0.4, [0.2]))).full)
    assert "_a <b> & $x$" in labels


def test_box_plot_leaves_out_what_a_panel_does_not_compare() -> None:
    rows = report(("a", 0.4, [0.2, 0.3]), ("c", 0.9, [0.6, 0.7]))
    picture = draw_box_plot(rows, 3, {"a": (0.4, 0.6), "c": (0.9,)})
    check_picture(picture)
    numbers = [label for label in texts(picture.full) if label.startswith("n = ")]
    assert numbers == ["n = 2", "n = 0", "n = 2"]
    assert texts(picture.tiny) == ["0.4 n=2", "0.6 n=0", "0.9 n=2", "1"]


def test_box_plot_marks_figures_of_the_paper_as_such() -> None:
    rows = report(("a", 0.4, [0.2, 0.3]), ("b", 0.4, [0.3, 0.4]))
    papers = {("a", 0.4): (0.21, 0.28, 0.34), ("not drawn", 0.4): (0.1, 0.2, 0.3)}
    picture = draw_box_plot(rows, 2, reference=papers)
    check_picture(picture)
    assert "the paper's figures" in texts(picture.full)
    assert "the paper's figures" not in texts(draw_box_plot(rows, 2).full)
    assert picture.full != draw_box_plot(rows, 2, reference={("a", 0.4): (0.2, 0.3, 0.4)}).full


def test_box_plot_without_data_is_labelled_no_data() -> None:
    picture = draw_box_plot(report())
    check_picture(picture)
    assert texts(picture.tiny) == ["no data"]


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "$x_1^2$", "日本語", "", "long " * 99]
)
def test_box_plot_renders_hostile_names_harmlessly(name: str) -> None:
    check_picture(draw_box_plot(report((name, 0.4, [0.2, 0.3]), ("other", 0.4, [0.1]))))


def test_box_plot_of_many_panels_fits() -> None:
    panels = [(f"panel {n}", bucket, [0.1, 0.5]) for n in range(9) for bucket in (0.4, 0.6, 0.8)]
    check_picture(draw_box_plot(report(*panels)))


def test_importing_box_plots_imports_no_matplotlib() -> None:
    assert run_program("draw_box_plot")["matplotlib"] is False
