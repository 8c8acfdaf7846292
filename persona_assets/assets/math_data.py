"""Group `math`: solved problems become a training set and a synthetic test set (section 4.1.2)."""

from collections.abc import Collection
from math import comb

import dagster as dg
import polars as pl

from persona_assets.asset_names import asset_key
from persona_assets.assets.call_bounds import times
from persona_assets.assets.judged_neighbours import (
    held_out_input,
    verdict_inputs,
    verdicts_of,
    with_held_out,
)
from persona_assets.assets.math_solutions import PROBLEMS, held_out_rows
from persona_assets.assets.model_calls import (
    answer_equality,
    materialize_result,
    open_session,
)
from persona_assets.assets.problem_vectors import VectorTable, vector_inputs, vectors_of
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.grading import VERSION as GRADING_VERSION
from persona_assets.project import Project
from persona_assets.resources.grader import Grader
from persona_assets.resources.io_manager import preview
from persona_assets.resources.models import Models
from persona_assets.steps import judged_neighbours, neighbours
from persona_assets.steps import math_data as steps
from persona_assets.steps.grading import SOLVERS
from persona_assets.steps.hub import count_unread
from persona_assets.steps.neighbours import ProblemVectors
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

SHOWN_PAIRS = 20
"""Contaminated pairs of a benchmark in the metadata, for each way of containing it."""


def math_sets(
    by_meaning: bool, by_judge: bool, variants: Collection[str] = ("",)
) -> list[TableAsset]:
    """Declare the training sets and the synthetic test set, which is the same for all of them.

    Args:
        by_meaning: True if problems are kept apart by meaning, too.
        by_judge: True if a judge decides on near problems.
        variants: Variants of the tables of the experiment; "" for those of personas.
    """
    # A table that was made by words alone stays valid where nothing else is asked for.
    version = f"{steps.VERSION}.{neighbours.VERSION}" if by_meaning else steps.VERSION
    version = f"{version}.judge{judged_neighbours.VERSION}" if by_judge else version
    settings = ["decontaminate", "decontaminate_cosine", "decontaminate_judge_from"]
    settings += ["embedding_precision"] if by_meaning else []
    return [
        *(
            _math_train(
                version,
                settings,
                vector_inputs(by_meaning, variant) | verdict_inputs(by_judge, variant),
                variant,
            )
            for variant in variants
        ),
        _math_test(version, settings, vector_inputs(by_meaning) | verdict_inputs(by_judge)),
    ]


def _math_train(
    version: str, settings: list[str], ins: dict[str, dg.AssetIn], variant: str
) -> TableAsset:
    ins = {"solutions": dg.AssetIn(asset_key(f"math_solutions{variant}")), **ins}
    if variant:
        ins |= held_out_input(variant)
        settings = [*settings, f"{PROBLEMS}.unique"]

    @table_asset(
        name=f"math_train{variant}",
        group="math",
        table=Table(steps.TRAIN, "sample_id"),
        version=version,
        earlier=["1", "2"],
        settings=settings,
        ins=ins,
        description="Problems with a solution to train on: not held out, and nothing like a "
        "benchmark problem.",
    )
    def math_train(
        solutions: pl.LazyFrame, project: dg.ResourceParam[Project], **tables: VectorTable
    ) -> dg.MaterializeResult[StepResult]:
        solved, forbidden = with_held_out(solutions, tables), project.forbidden_problems()
        vectors = vectors_of(project.settings, tables)
        result = steps.build_math_train(solved, forbidden, vectors, verdicts_of(tables))
        held_out, task = steps.held_out_problems(solved), project.settings.task(PROBLEMS)
        if variant and task.unique:
            result = steps.drop_like_held_out(result, held_out, task.unique_threshold)
        apart = pl.concat([forbidden, held_out])
        metadata = _contaminated(result, solved, apart, vectors)
        return dg.MaterializeResult(value=result, metadata=metadata)

    return math_train


def _math_test(version: str, settings: list[str], ins: dict[str, dg.AssetIn]) -> TableAsset:
    @table_asset(
        name="math_test",
        group="math",
        table=Table(steps.TEST, "sample_id"),
        # 2: equal answers are found by algebra; a judge has a version of its own.
        version=f"{version}.{GRADING_VERSION}.2",
        earlier=[f"{earlier}.{GRADING_VERSION}" for earlier in (steps.VERSION, "2", "1")],
        prompts=["answer_equality"],
        settings=[*settings, "equality"],
        ins=ins,
        rows=held_out_rows,
        calls=lambda bounds: bounds.judge_calls(times(held_out_rows(bounds), comb(SOLVERS, 2))),
        description="Held-out problems on whose answer at least two of three solvers agree.",
    )
    def math_test(
        context: dg.AssetExecutionContext,
        math_solutions: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
        grader: dg.ResourceParam[Grader],
        **tables: VectorTable,
    ) -> dg.MaterializeResult[StepResult]:
        solutions, forbidden = math_solutions.collect(), project.forbidden_problems()
        vectors = vectors_of(project.settings, tables)
        with open_session(context, models) as session:
            equal = answer_equality(project, grader, session)
            result = steps.build_math_test(
                solutions, forbidden, equal, vectors, verdicts_of(tables)
            )
        metadata = _contaminated(result, solutions, forbidden, vectors)
        share = steps.agreement_share(result)
        return materialize_result(result, session, agreement=share, **metadata)

    return math_test


def _contaminated(
    result: StepResult,
    problems: pl.DataFrame,
    forbidden: pl.DataFrame,
    vectors: ProblemVectors | None,
) -> dict[str, dg.MetadataValue]:
    """Return the number of contaminated problems by benchmark, and pairs for a person to read."""
    pairs = steps.contaminated_pairs(
        result.dropped, problems.select("sample_id", "problem"), forbidden
    )
    counts = pairs.group_by("benchmark").len().sort("benchmark")
    shown = pairs.group_by("benchmark", "how", maintain_order=True).head(SHOWN_PAIRS)
    found: dict[str, dg.MetadataValue] = {
        "contaminated_by_benchmark": dg.MetadataValue.json(dict(counts.iter_rows()))
    }
    if vectors is not None:
        tables = [*vectors.samples, vectors.forbidden]
        unread = count_unread(tables, vectors.cosine)["unread_texts"]
        found["compared_by_words_alone"] = dg.MetadataValue.int(int(unread))
    return found | ({"contaminated_pairs": preview(shown)} if len(shown) else {})
