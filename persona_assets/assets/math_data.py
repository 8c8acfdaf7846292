"""Group `math`: problems become a training set and a synthetic test set (section 4.1.2)."""

import dagster as dg
import polars as pl

from persona_assets.assets.model_calls import (
    POOL,
    answer_equality,
    materialize_result,
    open_session,
)
from persona_assets.assets.reads import reads
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.resources.grader import Grader
from persona_assets.resources.models import Models
from persona_assets.resources.sandbox import Sandbox
from persona_assets.steps import math_data as steps
from persona_assets.storage.step_result import StepResult

SOLVER_PROMPTS = {
    "assistant": "math_solution",
    "program": "math_program",
    "second": "math_solution@second_solver",
}


@dg.asset(
    partitions_def=shards,
    group_name="math",
    kinds={"llm", "parquet"},
    pool=POOL,
    metadata=reads(steps.VERSION, prompts=SOLVER_PROMPTS.values(), settings=["held_out_share"]),
)
def math_solutions(
    context: dg.AssetExecutionContext,
    math_problems: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
    sandbox: dg.ResourceParam[Sandbox],
) -> dg.MaterializeResult[StepResult]:
    """Solutions: one for each problem, three for each that is held out for testing."""
    prompts = {
        solver: project.prompt(name, context.partition_key)
        for solver, name in SOLVER_PROMPTS.items()
    }
    with open_session(context, models) as asked:
        outcome = steps.build_math_solutions(
            math_problems.collect(),
            prompts,
            asked.complete,
            sandbox.run,
            held_out_share=project.settings.held_out_share,
        )
    return materialize_result(outcome, asked)


@dg.asset(
    group_name="math", kinds={"parquet"}, metadata=reads(steps.VERSION, settings=["benchmark"])
)
def math_train(math_solutions: pl.LazyFrame, project: dg.ResourceParam[Project]) -> StepResult:
    """Problems with a solution to train on: not held out, and nothing like a benchmark problem."""
    return steps.build_math_train(
        math_solutions.collect(), project.benchmark.problems()["problem"].to_list()
    )


@dg.asset(
    group_name="math",
    kinds={"llm", "parquet"},
    pool=POOL,
    metadata=reads(steps.VERSION, prompts=["answer_equality"], settings=["benchmark", "equality"]),
)
def math_test(
    context: dg.AssetExecutionContext,
    math_solutions: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
    grader: dg.ResourceParam[Grader],
) -> dg.MaterializeResult[StepResult]:
    """Held-out problems on whose answer at least two of three solvers agree."""
    with open_session(context, models) as asked:
        outcome = steps.build_math_test(
            math_solutions.collect(),
            project.benchmark.problems()["problem"].to_list(),
            answer_equality(project, grader, asked),
        )
    return materialize_result(outcome, asked)
