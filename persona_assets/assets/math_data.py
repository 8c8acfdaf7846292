"""Group `math`: problems become a training set and a synthetic test set (section 4.1.2)."""

from dataclasses import replace
from math import comb

import dagster as dg
import polars as pl

from persona_assets.asset_names import asset_key
from persona_assets.assets.call_bounds import CallBounds, least, plus, times
from persona_assets.assets.draws import draw_of
from persona_assets.assets.model_calls import answer_equality, materialize_result, open_session
from persona_assets.assets.samples import UNIQUE
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.grading import VERSION as GRADING_VERSION
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.resources.grader import Grader
from persona_assets.resources.io_manager import preview
from persona_assets.resources.models import Models
from persona_assets.resources.sandbox import VERSION as SANDBOX_VERSION
from persona_assets.resources.sandbox import Sandbox
from persona_assets.rules import protection
from persona_assets.steps import math_data as steps
from persona_assets.steps.answers import VERSION as ANSWERS_VERSION
from persona_assets.steps.grading import SOLVERS
from persona_assets.steps.verdicts import rules_version
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

SHOWN_PAIRS = 20
"""Contaminated pairs of a benchmark in the metadata, for each way of containing it."""

PROBLEMS = "math_problems"
"""Task whose samples are solved."""

SOLVER_PROMPTS = {
    "assistant": "math_solution",
    "program": "math_program",
    "second": "math_solution@second_solver",
}

READING_VERSION = f"{rules_version()}.{ANSWERS_VERSION}.{SANDBOX_VERSION}"
"""Version of the reading of a solver's reply."""


def _held_out(bounds: CallBounds) -> int | None:
    settings, problems = bounds.settings, bounds.rows(f"{UNIQUE}{PROBLEMS}")
    task = settings.task(PROBLEMS)
    per_shard = times(task.per_shard, task.per_persona)
    # Python rounds halves to even, so of n problems at most half a problem more is held out.
    return least(
        None if per_shard is None else bounds.shards * round(settings.held_out_share * per_shard),
        None if problems is None else int(settings.held_out_share * problems + bounds.shards / 2),
    )


def _solution_calls(bounds: CallBounds) -> int | None:
    problems, held_out = bounds.rows(f"{UNIQUE}{PROBLEMS}"), _held_out(bounds)
    counts = {"assistant": problems, "program": held_out, "second": held_out}
    return plus(*(bounds.question_calls(n, SOLVER_PROMPTS[solver]) for solver, n in counts.items()))


def math_solutions(problems: str) -> TableAsset:
    """Declare the solutions of the problems of a table.

    Args:
        problems: Asset with the problems of a shard.
    """

    @table_asset(
        name="math_solutions",
        group="math",
        table=Table(steps.SOLUTIONS, "solution_id", "sample_id", makes=True),
        version=f"{steps.SOLUTIONS_VERSION}.{READING_VERSION}",
        # Neither had the column `language`.
        earlier=[f"2.{READING_VERSION}", "1"],
        prompts=SOLVER_PROMPTS.values(),
        settings=["held_out_share", *protection.SETTINGS],
        calls=_solution_calls,
        partitions=shards,
        ins={"problems": dg.AssetIn(asset_key(problems))},
        description="Solutions: one for each problem, three for each that is held out for testing.",
    )
    def solutions(
        context: dg.AssetExecutionContext,
        problems: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
        sandbox: dg.ResourceParam[Sandbox],
    ) -> dg.MaterializeResult[StepResult]:
        prompts = {
            solver: project.prompt(name, context.partition_key)
            for solver, name in SOLVER_PROMPTS.items()
        }
        draw = draw_of(project, "math_solutions", context.partition_key)
        with open_session(context, models) as session:
            result = steps.build_math_solutions(
                problems.collect(),
                prompts,
                session.complete,
                sandbox.run,
                held_out_share=project.settings.held_out_share,
                draw_by=draw.column("problem", "sample_id"),
                protection=project.protection,
            )
        return materialize_result(replace(result, decisions=draw.decisions), session)

    return solutions


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
    version=f"{steps.VERSION}.{GRADING_VERSION}",
    earlier=[f"1.{GRADING_VERSION}", f"2.{GRADING_VERSION}"],
    prompts=["answer_equality"],
    settings=["decontaminate", "equality"],
    rows=_held_out,
    calls=lambda bounds: bounds.judge_calls(times(_held_out(bounds), comb(SOLVERS, 2))),
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
    return materialize_result(result, session, **_contaminated(result, solutions, forbidden))


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
