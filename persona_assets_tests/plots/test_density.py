"""A density shows all points and the largest clusters by name, for any data."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.plots.density import MOST_LABELS, draw_density
from persona_assets_tests.plots.svg_checks import check_picture, texts

CLUSTERS = pl.Schema({"label": pl.String, "size": pl.Int64, "x": pl.Float64, "y": pl.Float64})
PLACES = pl.Schema({"x": pl.Float64, "y": pl.Float64})

coordinate = st.floats(-1e6, 1e6)


def places(*points: tuple[float, float]) -> pl.DataFrame:
    return pl.DataFrame(points, schema=PLACES, orient="row")


def clusters(*rows: tuple[str, int, float, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=CLUSTERS, orient="row")


def test_density_names_the_larger_of_two_clusters_in_a_place() -> None:
    picture = draw_density(
        [places((0, 0), (9, 9)), places((9, 9))],
        clusters(("0: nurse, ward", 2, 9, 9), ("1: miner, coal", 1, 9, 9), ("2: cook", 1, 0, 0)),
        "3 personas",
    )
    check_picture(picture)
    assert {"3 personas", "0: nurse, ward", "2: cook"} == set(texts(picture.full))
    assert picture.tiny.count("h0") == 3


def test_density_of_equal_data_is_equal() -> None:
    table, named = places((0, 1), (2, 3)), clusters(("0", 2, 1, 2))
    assert draw_density([table], named, "t") == draw_density([table], named, "t")


def test_density_without_points_is_said() -> None:
    assert "no data" in texts(draw_density([], clusters(), "t").tiny)


def test_density_draws_markup_in_labels_as_text() -> None:
    label = '0: <script>alert(1)</script>, $\\frac{1}{0}$"'
    picture = draw_density([places((0, 0))], clusters((label, 1, 0, 0)), "<b>map</b>")
    check_picture(picture)
    assert "0: <script>alert(1)</script…" in [each[:28] for each in texts(picture.full)]


@settings(max_examples=15)
@given(
    st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=80),
    st.lists(
        st.tuples(st.text(max_size=60), st.integers(1, 10**6), coordinate, coordinate),
        max_size=MOST_LABELS + 20,
    ),
)
def test_density_draws_any_points_and_labels(
    points: list[tuple[float, float]], rows: list[tuple[str, int, float, float]]
) -> None:
    inside = [(label, size, *points[n % len(points)]) for n, (label, size, *_) in enumerate(rows)]
    check_picture(draw_density([places(*points)], clusters(*inside), "t"))
