"""Group `math`: solved problems become a training set and a synthetic test set (section 4.1.2)."""

from math import comb

import dagster as dg
import polars as pl

from persona_assets.assets.call_bounds import times
from persona_assets.assets.math_solutions import held_out_rows
from persona_assets.assets.model_calls import (
    EQUALITY_VERSION,
    answer_equality,
    materialize_result,
    open_session,
)
from persona_assets.assets.table_asset import table_asset
from persona_assets.grading import VERSION as GRADING_VERSION
from persona_assets.project import Project
from persona_assets.resources.grader import Grader
from persona_assets.resources.io_manager import preview
from persona_assets.resources.models import Models
from persona_assets.steps import math_data as steps
from persona_assets.steps.grading import SOLVERS
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

SHOWN_PAIRS = 20
"""Contaminated pairs of a benchmark in the metadata, for each way of containing it."""


@table_asset(
    group="math",
    table=Table(steps.TRAIN, "sample_id"),
    version=steps.VERSION,
    earlier=["1", "2"],
    settings=["decontaminate"],
)
def math_train(
    math_solutions: pl.LazyFrame, project: dg.ResourceParam[Project]
) -> dg.MaterializeResult[StepResult]:
    """Problems with a solution to train on: not held out, and nothing like a benchmark problem."""
    solutions, forbidden = math_solutions.collect(), project.forbidden_problems()
    result = steps.build_math_train(solutions, forbidden)
    apart = pl.concat([forbidden, steps.held_out_problems(solutions)])
    return dg.MaterializeResult(value=result, metadata=_contaminated(result, solutions, apart))


@table_asset(
    group="math",
    table=Table(steps.TEST, "sample_id"),
    version=f"{steps.VERSION}.{GRADING_VERSION}.{EQUALITY_VERSION}",
    earlier=[f"{version}.{GRADING_VERSION}" for version in (steps.VERSION, "2", "1")],
    prompts=["answer_equality"],
    settings=["decontaminate", "equality"],
    rows=held_out_rows,
    calls=lambda bounds: bounds.judge_calls(times(held_out_rows(bounds), comb(SOLVERS, 2))),
)
def math_test(
    context: dg.AssetExecutionContext,
    math_solutions: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
    grader: dg.ResourceParam[Grader],
) -> dg.MaterializeResult[StepResult]:
    """Held-out problems on whose answer at least two of three solvers agree."""
    solutions, forbidden = math_solutions.collect(), project.forbidden_problems()
    with open_session(context, models) as session:
        equal = answer_equality(project, grader, session)
        result = steps.build_math_test(solutions, forbidden, equal)
    metadata = _contaminated(result, solutions, forbidden)
    return materialize_result(result, session, agreement=steps.agreement_share(result), **metadata)


def _contaminated(
    result: StepResult, problems: pl.DataFrame, forbidden: pl.DataFrame
) -> dict[str, dg.MetadataValue]:
    """Return the number of contaminated problems by benchmark, and pairs for a person to read."""
    pairs = steps.contaminated_pairs(
        result.dropped, problems.select("sample_id", "problem"), forbidden
    )
    counts = pairs.group_by("benchmark").len().sort("benchmark")
    shown = pairs.group_by("benchmark", "how", maintain_order=True).head(SHOWN_PAIRS)
    found = {"contaminated_by_benchmark": dg.MetadataValue.json(dict(counts.iter_rows()))}
    return found | ({"contaminated_pairs": preview(shown)} if len(shown) else {})
