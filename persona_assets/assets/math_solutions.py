"""Group `math`: solutions of the problems (section 4.1.2)."""

from dataclasses import replace

import dagster as dg
import polars as pl

from persona_assets.asset_names import asset_key
from persona_assets.assets.call_bounds import CallBounds, least, plus, times
from persona_assets.assets.draws import draw_of
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.samples import UNIQUE
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.resources.grader import Grader
from persona_assets.resources.models import Models
from persona_assets.resources.sandbox import EARLIER_VERSION as EARLIER_SANDBOX
from persona_assets.resources.sandbox import VERSION as SANDBOX_VERSION
from persona_assets.resources.sandbox import Sandbox
from persona_assets.rules import protection
from persona_assets.steps import math_solutions as steps
from persona_assets.steps.answers import VERSION as ANSWERS_VERSION
from persona_assets.steps.stated_answers import VERSION as STATED_VERSION
from persona_assets.steps.verdicts import rules_version
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

PROBLEMS = "math_problems"
"""Task whose samples are solved."""

SOLVER_PROMPTS = {
    "assistant": "math_solution",
    "program": "math_program",
    "second": "math_solution@second_solver",
}

READING_VERSION = f"{rules_version()}.{ANSWERS_VERSION}.{SANDBOX_VERSION}.{STATED_VERSION}"
"""Version of the reading of a solver's reply."""

EARLIER_READING = f"{rules_version()}.{ANSWERS_VERSION}.{EARLIER_SANDBOX}"
"""Version of the reading before programs were isolated and had to compute."""


def held_out_rows(bounds: CallBounds) -> int | None:
    """Return the most problems that are held out for testing."""
    settings, problems = bounds.settings, bounds.rows(f"{UNIQUE}{PROBLEMS}")
    task = settings.task(PROBLEMS)
    per_shard = times(task.per_shard, task.per_persona)
    # Python rounds halves to even, so of n problems at most half a problem more is held out.
    return least(
        None if per_shard is None else bounds.shards * round(settings.held_out_share * per_shard),
        None if problems is None else int(settings.held_out_share * problems + bounds.shards / 2),
    )


def _solution_calls(bounds: CallBounds, variant: str) -> int | None:
    problems = bounds.rows(f"{UNIQUE}{PROBLEMS}{variant}")
    held_out = 0 if variant else held_out_rows(bounds)
    solutions = times(problems, bounds.settings.solutions_per_problem)
    counts = {"assistant": solutions, "program": held_out, "second": held_out}
    return plus(*(bounds.question_calls(n, SOLVER_PROMPTS[solver]) for solver, n in counts.items()))


def math_solutions(problems: str, variant: str = "") -> TableAsset:
    """Declare the solutions of the problems of a table.

    Args:
        problems: Asset with the problems of a shard.
        variant: Variant of the tables of the experiment, of which none of the problems is held out;
            "" for those of personas.
    """
    name = f"math_solutions{variant}"
    solvers = ["assistant"] if variant else list(SOLVER_PROMPTS)
    held_out = [] if variant else ["held_out_share"]
    described = "one for each problem, three for each that is held out for testing"

    @table_asset(
        name=name,
        group="math",
        table=Table(steps.SOLUTIONS, "solution_id", "sample_id", makes=True),
        version=f"{steps.VERSION}.{READING_VERSION}",
        # Without the columns of votes; the other two without `language`, too.
        earlier=[f"3.{EARLIER_READING}", f"2.{EARLIER_READING}", "1"],
        prompts=[SOLVER_PROMPTS[solver] for solver in solvers],
        settings=[*held_out, "solutions_per_problem", "sandbox", *protection.SETTINGS],
        calls=lambda bounds: _solution_calls(bounds, variant),
        partitions=shards,
        ins={"problems": dg.AssetIn(asset_key(problems))},
        description=f"Solutions: {'one for each problem' if variant else described}.",
    )
    def solutions(
        context: dg.AssetExecutionContext,
        problems: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
        sandbox: dg.ResourceParam[Sandbox],
        grader: dg.ResourceParam[Grader],
    ) -> dg.MaterializeResult[StepResult]:
        prompts = {
            solver: project.prompt(name, context.partition_key)
            for solver, name in SOLVER_PROMPTS.items()
        }
        draw = draw_of(project, name, context.partition_key)
        with open_session(context, models) as session:
            result = steps.build_math_solutions(
                problems.collect(),
                prompts,
                session.complete,
                sandbox.run,
                held_out_share=0.0 if variant else project.settings.held_out_share,
                solutions=project.settings.solutions_per_problem,
                equal=grader.equal,
                draw_by=draw.column("problem", "sample_id"),
                protection=project.protection,
            )
        return materialize_result(replace(result, decisions=draw.decisions), session)

    return solutions
