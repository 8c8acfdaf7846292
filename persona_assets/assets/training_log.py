"""The loss curve in the UI while a model is trained."""

import dagster as dg
import polars as pl

from persona_assets.plots.loss_curve import tiny_loss_curve
from persona_assets.plots.pictures import svg_markdown
from persona_assets.resources.trained_models import CurvePoint
from persona_assets.steps.training import CURVE, points_by_step
from persona_assets.storage.step_result import typed_frame
from persona_assets.training.training_run import TrainingRun

PICTURES = 100
"""Largest number of evenly spaced pictures of a training; each is an event that is stored."""


class TrainingLog:
    """Reports of a training as lines of the run's log, and pictures among the asset's events.

    Args:
        context: Run of the asset.
    """

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._context = context
        self._points: list[CurvePoint] = []

    def report(self, point: CurvePoint, steps: int) -> None:
        """Log a point of the loss curve and, at intervals, the curve until then.

        Args:
            point: Loss of an optimizer step, or an evaluation loss.
            steps: Total number of steps.
        """
        self._points.append(point)
        step = point["step"]
        if "evaluation_loss" in point:
            loss = point["evaluation_loss"]
            self._context.log.info(f"step {step} of {steps}, evaluation loss {loss:.3f}")
        elif is_shown(step, steps):
            self._context.log.info(f"step {step} of {steps}, loss {point['loss']:.3f}")
            self._context.log_event(
                dg.AssetObservation(
                    asset_key=self._context.asset_key,
                    partition=self._context.partition_key,
                    description=f"step {step} of {steps}",
                    metadata={
                        "loss": dg.MetadataValue.md(
                            svg_markdown(tiny_loss_curve(self._curve()), "loss")
                        ),
                        "step": step,
                        "last_loss": point["loss"],
                    },
                )
            )

    def _curve(self) -> pl.DataFrame:
        size = TrainingRun.of_key(self._context.partition_key).size
        rows = [{"training_size": size, "sha256": "", **p} for p in points_by_step(self._points)]
        return typed_frame(rows, CURVE)


def is_shown(step: int, steps: int, pictures: int = PICTURES) -> bool:
    """Return True for steps with a picture: powers of two, evenly spaced ones, and the last.

    Example:
        >>> [step for step in range(1, 25) if is_shown(step, 24, 4)]
        [1, 2, 4, 6, 8, 12, 16, 18, 24]
    """
    is_power = step & (step - 1) == 0
    return is_power or step * pictures // steps > (step - 1) * pictures // steps
