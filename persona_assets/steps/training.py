"""Rows that a model is trained on, and the model as a row (section 4.1.2)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from persona_assets.ids import uniform
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "1"

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
    }
)


def training_rows(train: pl.DataFrame, size: int) -> list[dict[str, str]]:
    """Select the `size` training rows with the smallest hash; larger sets contain smaller ones."""
    rows = sorted(train.iter_rows(named=True), key=lambda row: uniform("train", row["sample_id"]))
    return [{"problem": row["problem"], "solution": row["solution"]} for row in rows[:size]]


def build_fine_tuned_model(
    trained: Mapping[str, Any] | None, *, training_size: int, base_model: str, data_dir: Path
) -> StepResult:
    """Describe a trained model in one row.

    Args:
        trained: Fields of TrainedModel; None if nothing was trained, which gives no row.
        training_size: Number of training problems asked for.
        base_model: Name of the base model.
        data_dir: Data folder; the model's path is stored relative to it.

    Returns:
        The row; examples excluded from training are dropped with their reason.
    """
    if trained is None:
        return StepResult(typed_frame([], MODEL))
    known = {name: trained[name] for name in MODEL.names() if name in trained}
    path = trained["path"].relative_to(data_dir).as_posix()
    row = {**known, "training_size": training_size, "base_model": base_model, "path": path}
    left_out = [(str(index), reason) for index, reason in trained["dropped"]]
    return StepResult(typed_frame([row], MODEL), quarantine("fine_tuned_model", left_out))
