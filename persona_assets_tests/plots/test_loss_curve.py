"""A loss curve has a line per model, dots for rows kept apart, and stays small for any length."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.plots.loss_curve import draw_loss_curve
from persona_assets.steps.training import CURVE
from persona_assets_tests.plots.svg_checks import check_picture, texts


def curve(
    size: int,
    model: str,
    losses: list[float],
    evaluated: bool = False,
    arm: str = "full_persona",
    seed: int = 0,
) -> pl.DataFrame:
    """Return a training whose every step has seen 100 tokens more."""
    rows = [
        (size, arm, seed, model, step, 100 * step, 1e-5, loss, loss + 0.1 if evaluated else None)
        for step, loss in enumerate(losses, start=1)
    ]
    return pl.DataFrame(rows, schema=CURVE, orient="row")


def test_sizes_with_a_model_in_common_are_a_single_line() -> None:
    rows = [curve(8, "a", [2.0, 1.0], True), curve(16, "b", [2.0]), curve(32, "b", [2.0])]
    picture = draw_loss_curve(pl.concat(rows))
    check_picture(picture)
    labels = texts(picture.full)
    assert {"8", "8, kept apart", "16 = 32"} <= set(labels)
    assert {"tokens", "loss in nats per token"} <= set(labels)
    assert {"0", "200", "2.1"} <= set(texts(picture.tiny))


def test_arms_and_seeds_are_told_apart() -> None:
    rows = [
        curve(8, "a", [2.0]),
        curve(8, "b", [2.0], seed=1),
        curve(8, "c", [2.0], arm="no_persona"),
    ]
    labels = texts(draw_loss_curve(pl.concat(rows)).full)
    assert {"8, seed 0", "8, seed 1", "8, no persona, seed 0"} <= set(labels)


def test_curve_without_steps_says_so() -> None:
    picture = draw_loss_curve(pl.DataFrame(schema=CURVE))
    assert "no data" in texts(picture.tiny)


def test_long_curve_keeps_its_first_and_last_loss_and_stays_small() -> None:
    losses = [10.0, *([1.0] * 30_000)]
    picture = draw_loss_curve(curve(2**20, "a", losses, True))
    check_picture(picture)
    assert "10.1" in texts(picture.tiny)


finite = st.floats(0, 1e6)


@given(st.lists(st.tuples(st.lists(finite, max_size=90), st.booleans()), max_size=9))
def test_any_curves_make_a_picture(trainings: list[tuple[list[float], bool]]) -> None:
    frames = [
        curve(2**number, f"model {number}", losses, evaluated)
        for number, (losses, evaluated) in enumerate(trainings)
    ]
    check_picture(draw_loss_curve(pl.concat([pl.DataFrame(schema=CURVE), *frames])))
