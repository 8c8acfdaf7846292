"""The matrix shows how often each two graders agree."""

import polars as pl

from persona_assets.plots.agreement_matrix import draw_agreement_matrix
from persona_assets.steps.grader_figures import AGREEMENT
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.plots.svg_checks import check_picture, texts

GRADERS = ("string", "symbolic", "judge")


def agreement(*rows: tuple[str, str, int, float | None, float | None]) -> pl.DataFrame:
    names = ("first", "second", "n", "agreement", "kappa")
    empty: dict[str, object] = dict.fromkeys(AGREEMENT)
    return typed_frame(
        [{**empty, "benchmark": "all", **dict(zip(names, row, strict=True))} for row in rows],
        AGREEMENT,
    )


FULL = agreement(
    ("string", "symbolic", 5_000, 0.912, 0.81),
    ("string", "judge", 200, 0.885, 0.77),
    ("symbolic", "judge", 196, 0.98, None),
)


def test_matrix_has_a_cell_per_pair() -> None:
    picture = draw_agreement_matrix(FULL, GRADERS, "all")
    check_picture(picture)
    assert {"91.2 %", "88.5 %", "98.0 %"} <= set(texts(picture.tiny))
    full = " ".join(texts(picture.full))
    assert "n = 5,000" in full
    assert "kappa 0.81" in full
    assert "kappa not defined" in full


def test_pair_without_verdicts_has_an_empty_cell() -> None:
    rows = agreement(("string", "symbolic", 9, 1.0, 1.0), ("string", "judge", 0, None, None))
    picture = draw_agreement_matrix(rows, GRADERS, "all")
    check_picture(picture)
    assert texts(picture.tiny).count("-") == 2
    assert texts(picture.full).count("no verdicts") == 2


def test_matrix_without_pairs_says_so() -> None:
    for rows in (FULL.clear(), FULL.with_columns(benchmark=pl.lit("math"))):
        picture = draw_agreement_matrix(rows, GRADERS, "all")
        check_picture(picture)
        assert texts(picture.tiny) == ["no data"]
