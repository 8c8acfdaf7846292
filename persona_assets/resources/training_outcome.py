"""Reports of a training process, and the model that follows from them."""

from collections.abc import Callable, Sequence
from typing import Any

from persona_assets.resources.trained_models import CurvePoint, TrainedModel, model_sha256
from persona_assets.resources.training_inputs import Row, rows_sha256
from persona_assets.training.job import Job
from persona_assets.training.model_shape import ModelShape
from persona_assets.training.requirements import utilization

Report = Callable[[CurvePoint, int], None]
"""Callback after each optimizer step and each evaluation, with the point of the loss curve and the
total number of steps. A training that goes on from a checkpoint reports earlier points, too."""


class TrainingOutcome:
    """Loss curve and closing report of a training process.

    Args:
        report: Called with each point of the loss curve.
        tell: Called with a sentence where the training goes on from a checkpoint.
    """

    def __init__(self, report: Report, tell: Callable[[str], None]) -> None:
        self._report = report
        self._tell = tell
        self._curve: list[CurvePoint] = []
        self._closing: dict[str, Any] = {}

    def add(self, message: dict[str, Any]) -> None:
        """Take a report of the process."""
        if "step" in message:
            steps = message.pop("steps")
            self._curve.append(message)
            self._report(message, steps)
        elif "resumed_at" not in message:
            self._closing = message
        elif message["resumed_at"]:
            self._tell(f"the training goes on from step {message['resumed_at']}")

    def model(self, job: Job, rows: Sequence[Row], shape: ModelShape | None) -> TrainedModel:
        """Describe the model that the process wrote.

        Args:
            job: Job of the process.
            rows: Rows that were given to it.
            shape: Shape of the base model; None if unknown.
        """
        closing, hyper = self._closing, job.hyper
        steps = [point for point in self._curve if "loss" in point]
        evaluated = [p["evaluation_loss"] for p in self._curve if "evaluation_loss" in p]
        tokens, seconds = steps[-1]["tokens"], self._curve[-1]["seconds"]
        speed = None
        if shape is not None:
            of_token = shape.flops_per_token(hyper.max_tokens, hyper.lora_rank is not None)
            speed = tokens * of_token / seconds
        return TrainedModel(
            path=job.output,
            format="gguf" if job.base.is_file() else "transformers",
            sha256=model_sha256(job.output),
            examples=len(rows) - len(closing["dropped"]),
            dropped=tuple((index, reason) for index, reason in closing["dropped"]),
            steps=len(steps),
            first_loss=steps[0]["loss"],
            last_loss=steps[-1]["loss"],
            seconds=seconds,
            inputs=job.inputs,
            base_sha256=job.base_sha256,
            rows_sha256=rows_sha256(rows),
            hyper=hyper.model_dump(),
            libraries=closing["libraries"],
            device=closing["device"],
            processes=closing["processes"],
            tokens=tokens,
            flops_per_second=speed,
            utilization=speed and utilization(speed, closing["device"], closing["processes"]),
            evaluation_examples=closing["evaluation_examples"],
            evaluation_loss=evaluated[-1] if evaluated else None,
            curve=tuple(self._curve),
        )
