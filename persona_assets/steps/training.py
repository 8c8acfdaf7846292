"""Rows that a model is trained on, the model as a row, and its loss curve (section 4.1.2)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from persona_assets.ids import uniform
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "2"
"""Version of the model as a row."""

CURVE_VERSION = "3"
"""Version of the loss curves."""

POINT = pl.Schema(
    {
        "step": pl.Int64(),
        "tokens": pl.Int64(),
        "learning_rate": pl.Float64(),
        "loss": pl.Float64(),
        "evaluation_loss": pl.Float64(),
    }
)
"""Optimizer step of a training: tokens seen until then, padding left aside, and losses."""

MODEL = pl.Schema(
    {
        "training_size": pl.Int64(),
        "examples": pl.Int64(),
        "base_model": pl.String(),
        "format": pl.String(),
        "path": pl.String(),
        "sha256": pl.String(),
        "steps": pl.Int64(),
        "first_loss": pl.Float64(),
        "last_loss": pl.Float64(),
        "evaluation_examples": pl.Int64(),
        "evaluation_loss": pl.Float64(),
        "tokens": pl.Int64(),
        "inputs": pl.String(),
        "base_sha256": pl.String(),
        "rows_sha256": pl.String(),
        "hyper": pl.String(),
        "libraries": pl.String(),
        "curve": pl.List(pl.Struct(POINT)),
    }
)

RUN = pl.Schema({"arm": pl.String(), "seed": pl.Int64()})
"""Columns that tell the trainings of a size apart; no table of a single training has them."""

CURVE = pl.Schema({"training_size": pl.Int64(), **RUN, "sha256": pl.String(), **POINT})


def evaluation_rows(train: pl.DataFrame, share: float) -> list[dict[str, str]]:
    """Select the training rows kept apart for the evaluation loss, the same for every size.

    Args:
        train: Table `math_train`.
        share: Share of the rows, drawn by hash.
    """
    return [_example(row) for row in _ordered(train) if _is_kept_apart(row, share)]


def training_rows(train: pl.DataFrame, size: int, share: float = 0.0) -> list[dict[str, str]]:
    """Select the `size` training rows with the smallest hash; larger sets contain smaller ones.

    Args:
        train: Table `math_train`.
        size: Number of rows; all if there are fewer.
        share: Share of the rows kept apart for the evaluation loss.
    """
    rows = (row for row in _ordered(train) if not _is_kept_apart(row, share))
    return [_example(row) for _, row in zip(range(size), rows, strict=False)]


def _ordered(train: pl.DataFrame) -> list[dict[str, Any]]:
    return sorted(train.iter_rows(named=True), key=lambda row: uniform("train", row["sample_id"]))


def _is_kept_apart(row: Mapping[str, Any], share: float) -> bool:
    # By the text: a problem that occurs twice must not be on both sides.
    return uniform("evaluation loss", row["problem"]) < share


def _example(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: row[name] for name in ("sample_id", "problem", "solution")}


def build_fine_tuned_model(
    trained: Mapping[str, Any] | None,
    rows: Sequence[Mapping[str, str]],
    *,
    training_size: int,
    base_model: str,
    data_dir: Path,
) -> StepResult:
    """Describe a trained model in one row.

    Args:
        trained: Fields of TrainedModel; None if nothing was trained, which gives no row.
        rows: Rows that were given to the training.
        training_size: Number of training problems asked for.
        base_model: Name of the base model.
        data_dir: Data folder; the model's path is stored relative to it.

    Returns:
        The row, in which `examples` is the number that was trained on; examples excluded from
        training are dropped with their reason.
    """
    if trained is None:
        return StepResult(typed_frame([], MODEL))
    row = {name: trained[name] for name in MODEL.names() if name in trained} | {
        "training_size": training_size,
        "base_model": base_model,
        "path": trained["path"].relative_to(data_dir).as_posix(),
        "hyper": _json(trained.get("hyper")),
        "libraries": _json(trained.get("libraries")),
        "curve": points_by_step(trained.get("curve", ())),
    }
    left_out = [(rows[index]["sample_id"], reason) for index, reason in trained["dropped"]]
    return StepResult(typed_frame([row], MODEL), quarantine("fine_tuned_model", left_out))


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value)


def points_by_step(points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Join the points of a loss curve by their step: a loss and an evaluation may share one.

    Args:
        points: Points with some of the columns of POINT, and others.
    """
    steps: dict[int, dict[str, Any]] = {}
    for point in points:
        steps.setdefault(point["step"], dict.fromkeys(POINT)).update(
            {name: point[name] for name in POINT if name in point}
        )
    return list(steps.values())


def shortfall(training_size: int, examples: int) -> str | None:
    """Return a sentence where a model was trained on fewer examples than its size, else None.

    Example:
        >>> shortfall(131_072, 12)
        'the size is 131,072 and 12 examples were trained on: 12 is what a figure measures'
        >>> shortfall(8, 8) is None
        True
    """
    if examples >= training_size:
        return None
    return (
        f"the size is {training_size:,} and {examples:,} examples were trained on: {examples:,} is "
        "what a figure measures"
    )


def build_training_curve(models: pl.DataFrame) -> StepResult:
    """List the steps of all trainings; sizes that share a model share its steps.

    Args:
        models: Rows of the models of all trainings, with the columns of RUN.

    Returns:
        Rows of the schema CURVE; a model of an earlier version has none.
    """
    # Tables of the version without curves lack the column.
    models = pl.concat([pl.DataFrame(schema={**MODEL, **RUN}), models], how="diagonal")
    named = ["training_size", *RUN, "sha256"]
    rows = (
        {**{name: row[name] for name in named}, **point}
        for row in models.select(*named, "curve").iter_rows(named=True)
        for point in row["curve"] or ()
    )
    return StepResult(typed_frame(rows, CURVE).sort("arm", "training_size", "seed", "step"))
