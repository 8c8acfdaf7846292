"""Reports of a training to its parent process: a JSON line per optimizer step and evaluation.

The points of the loss curve also lie in transformers' own state, and so in each checkpoint: a
training that goes on from one reports the points before it again.
"""

# The training libraries are only partly annotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import TrainerCallback

Emit = Callable[[dict[str, Any]], None]
"""Function that sends a report to the parent process."""

ELAPSED = "elapsed"
"""Seconds of training until a point, kills left aside; a key of transformers' log history."""


def progress_callback(emit: Emit, evaluations: int | None) -> "TrainerCallback":
    """Return a callback that reports each optimizer step, and stops if the loss is not finite.

    Args:
        emit: Function that sends a report.
        evaluations: Number of evaluations; None without examples to evaluate.
    """
    from transformers import TrainerCallback

    class Progress(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            before = [entry[ELAPSED] for entry in state.log_history if ELAPSED in entry]
            self.start = time.monotonic() - max(before, default=0.0)
            if state.is_world_process_zero:
                emit({"resumed_at": state.global_step})
                for entry in state.log_history:
                    if point := curve_point(entry):
                        emit({"steps": state.max_steps, **point})

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if evaluations is not None:
                step, steps = state.global_step, state.max_steps
                control.should_evaluate = evaluates_at(step, steps, evaluations)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            entry = state.log_history[-1]
            entry[ELAPSED] = time.monotonic() - self.start
            point = curve_point(entry)
            if point is None:
                return
            loss = point["loss"] if "loss" in point else point["evaluation_loss"]
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss} at step {state.global_step}: lower the learning rate"
                )
            if state.is_world_process_zero:
                emit({"steps": state.max_steps, **point})

    return Progress()


def curve_point(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the point of the loss curve in an entry of transformers' log; None without a loss.

    Example:
        >>> curve_point({"step": 4, "eval_loss": 0.5, "elapsed": 9.0, "eval_runtime": 1.0})
        {'step': 4, 'evaluation_loss': 0.5, 'seconds': 9.0}
        >>> curve_point({"step": 4, "train_runtime": 1.0}) is None
        True
    """
    names = {
        "step": "step",
        "loss": "loss",
        "eval_loss": "evaluation_loss",
        "learning_rate": "learning_rate",
        "num_input_tokens_seen": "tokens",
        ELAPSED: "seconds",
    }
    point = {name: entry[key] for key, name in names.items() if key in entry}
    return point if {"loss", "evaluation_loss"} & point.keys() else None


def evaluates_at(step: int, steps: int, evaluations: int) -> bool:
    """Return True if an evaluation follows a step: evenly spaced, the last after the last step.

    Example:
        >>> [step for step in range(1, 26) if evaluates_at(step, 25, 4)]
        [7, 13, 19, 25]
    """
    done = step * evaluations // steps
    return done > (step - 1) * evaluations // steps
