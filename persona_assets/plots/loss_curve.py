"""Loss curve of one or more trainings, as SVG in two sizes."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from persona_assets.plots.pictures import (
    Legend,
    Picture,
    TinySvg,
    colour,
    draw_fitting,
    draw_full,
    empty_picture,
    short_number,
    spread_evenly,
)

MAX_POINTS = 240
"""Largest number of points of a curve: means of neighbouring steps beyond it."""

TINY_POINTS = 40
"""Largest number of points of all curves of a tiny picture together."""

_TITLE = "Loss by tokens seen"

_Points = Sequence[tuple[float, float]]


def draw_loss_curve(curve: pl.DataFrame) -> Picture:
    """Draw the training loss, and the evaluation loss as dots, by tokens seen.

    Sizes that share a model are drawn once.

    Args:
        curve: A row per training and step: `training_size`, `arm`, `seed`, `sha256`, `step`,
            `tokens`, `loss`, `evaluation_loss`.
    """
    trained, evaluated = _series(curve, "loss"), _series(curve, "evaluation_loss")
    if not trained:
        return empty_picture(_TITLE)

    def draw(axes: Any) -> Legend:
        legend: Legend = []
        for index, (name, points) in enumerate(trained.items()):
            line = axes.plot(*zip(*_means(points, MAX_POINTS), strict=True), color=colour(index))
            legend.append((line[0], name))
            if measured := evaluated.get(name):
                few = spread_evenly(measured, MAX_POINTS)
                dots = axes.plot(*zip(*few, strict=True), "o", ms=5, color=colour(index))
                legend.append((dots[0], f"{name}, kept apart"))
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter(lambda value, _: short_number(value))
        return legend

    labels = "tokens", "loss in nats per token"
    return Picture(tiny_loss_curve(curve), draw_full(_TITLE, *labels, draw))


def tiny_loss_curve(curve: pl.DataFrame) -> str:
    """Draw the same in 240 x 72 pixels.

    Args:
        curve: As for `draw_loss_curve`.
    """
    trained, evaluated = _series(curve, "loss"), _series(curve, "evaluation_loss")
    if not trained:
        return empty_picture(_TITLE).tiny
    everything = [point for points in (*trained.values(), *evaluated.values()) for point in points]
    high, last = max(y for _, y in everything), max(x for x, _ in everything)

    def tiny(shown: int) -> str:
        frame = TinySvg(0, high, 0, last)
        for index, (name, points) in enumerate(list(trained.items())[:shown]):
            few = _means(points, max(2, TINY_POINTS // len(trained)))
            path = "M" + " ".join(f"{frame.x(x)} {frame.y(y)}" for x, y in few)
            frame.add_path(colour(index), path, ' fill="none"')
            for x, y in spread_evenly(evaluated.get(name, ()), 6):
                frame.add_path(colour(index), f"M{frame.x(x) - 1} {frame.y(y)}h3", _DOT)
        frame.add_axis_ends("0", short_number(last))
        return frame.render("0", short_number(high), len(trained) - shown)

    return draw_fitting(tiny, len(trained))


_DOT = ' stroke-width="3"'


def _series(curve: pl.DataFrame, column: str) -> Mapping[str, _Points]:
    """Return the points of each training, by the names of the trainings that share it."""
    by_model: dict[str, dict[str, _Points]] = {}
    rows = curve.drop_nulls(column).sort("arm", "training_size", "seed", "step")
    several = rows["seed"].n_unique() > 1
    keys = ("training_size", "arm", "seed", "sha256")
    for (size, arm, seed, model), points in rows.group_by(keys, maintain_order=True):
        ends = zip(points["tokens"].fill_null(strategy="forward"), points[column], strict=True)
        name = training_name(int(str(size)), str(arm), int(str(seed)) if several else None)
        by_model.setdefault(str(model or name), {})[name] = [(x, y) for x, y in ends]
    return {" = ".join(names): next(iter(names.values())) for names in by_model.values()}


def training_name(size: int, arm: str, seed: int | None = None) -> str:
    """Return the name of a training.

    Example:
        >>> training_name(65_536, "full_persona"), training_name(8, "no_persona", 2)
        ('65,536', '8, no persona, seed 2')
    """
    return f"{size:,}{arm_suffix(arm)}{'' if seed is None else f', seed {seed}'}"


def arm_suffix(arm: str) -> str:
    """Return the end of a name in an arm of the experiment; "" in that of personas."""
    return ", no persona" if arm == "no_persona" else ""


def _means(points: _Points, most: int) -> _Points:
    """Return at most `most` points, each the mean of neighbours, and the first point as it is."""
    if len(points) <= most:
        return points
    width = -(-(len(points) - 1) // (most - 1))
    groups = [points[start : start + width] for start in range(1, len(points), width)]
    means = [(group[-1][0], sum(y for _, y in group) / len(group)) for group in groups]
    return [points[0], *means]
