"""Measurements of models on problems, written as a letter per problem."""

from typing import Any

import polars as pl

from persona_assets.steps.evaluation import ACCURACY
from persona_assets.steps.measurement import figures_of
from persona_assets.steps.training import RUN
from persona_assets.storage.step_result import typed_frame


def measured(
    benchmark: str,
    size: int,
    solved: str,
    examples: int | None = None,
    model: str = "",
    *,
    arm: str = "full_persona",
    seed: int = 0,
) -> dict[str, Any]:
    """Return a measurement: a letter per problem, r for right, w for wrong, x for excluded."""
    results = [
        {
            "problem_id": f"{benchmark} {n}",
            "subject": None,
            "level": None,
            "correct": None if letter == "x" else letter == "r",
            "outcome": {"r": "correct", "w": "wrong", "x": "failed"}[letter],
        }
        for n, letter in enumerate(solved)
    ]
    labels = {"training_size": size, "benchmark": benchmark, "decoding": "zero-shot, greedy"}
    weights = model or f"weights {arm} {examples or size} {seed}"
    trained = {"examples": examples or size, "model": weights, "arm": arm, "seed": seed}
    return {**labels, **trained, **figures_of(results)}


def untrained(benchmark: str, size: int) -> dict[str, Any]:
    """Return the measurement of a size without a model."""
    return {**measured(benchmark, size, ""), "examples": None, "model": ""}


def accuracies(*rows: dict[str, Any]) -> pl.DataFrame:
    """Return measurements as the tables of all trainings give them."""
    return typed_frame(rows, pl.Schema({**ACCURACY, **RUN}))
