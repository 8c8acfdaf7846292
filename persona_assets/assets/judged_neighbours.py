"""Group `math`: problems near a forbidden one, on which a judge decides.

They exist where the setting `decontaminate_judge_from` is a number. The pairs are a table of their
own, which costs nothing: once it is made, `plan` knows the number of questions.
"""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from persona_assets.asset_names import asset_key
from persona_assets.assets.call_bounds import times
from persona_assets.assets.math_solutions import PROBLEMS
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.problem_vectors import VectorTable, vector_inputs, vectors_of
from persona_assets.assets.samples import UNIQUE
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.local_models.embedder import int8_margin
from persona_assets.project import Project
from persona_assets.resources.models import Models
from persona_assets.steps import judged_neighbours as steps
from persona_assets.steps import math_data, neighbours
from persona_assets.steps.contamination import Containment
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

PAIRS = "problem_neighbours"
"""Name of the table of pairs."""

VERDICTS = "judged_neighbours"
"""Name of the table of the judge's verdicts on them."""


def judged_neighbours() -> list[TableAsset]:
    """Declare the pairs of near problems, and the judge's verdicts on them."""

    @table_asset(
        name=PAIRS,
        group="math",
        table=Table(steps.NEIGHBOURS, "pair_id", "sample_id", makes=True, text="known"),
        version=f"{steps.VERSION}.{math_data.VERSION}.{neighbours.VERSION}",
        settings=[
            "decontaminate",
            "decontaminate_cosine",
            "decontaminate_judge_from",
            "embedding_precision",
        ],
        rows=lambda bounds: times(bounds.rows(f"{UNIQUE}{PROBLEMS}"), steps.MOST),
        ins=vector_inputs(by_meaning=True),
        description="Problems and their nearest forbidden ones, where neither words nor vectors "
        "decide whether both are the same.",
    )
    def pairs(
        math_solutions: pl.LazyFrame, project: dg.ResourceParam[Project], **tables: VectorTable
    ) -> StepResult:
        settings = project.settings
        vectors, least = vectors_of(settings, tables), settings.decontaminate_judge_from
        if vectors is None or least is None:
            raise TypeError(f"{PAIRS} needs decontaminate_cosine and decontaminate_judge_from")
        margin = int8_margin(least) if settings.embedding_precision == "int8" else 0.0
        return steps.build_problem_neighbours(
            math_solutions.collect(), project.forbidden_problems(), vectors, least - margin
        )

    @table_asset(
        name=VERDICTS,
        group="math",
        table=Table(steps.VERDICTS, "pair_id", "sample_id"),
        version=steps.VERSION,
        prompts=[steps.PROMPT],
        calls=lambda bounds: bounds.question_calls(bounds.rows(PAIRS), steps.PROMPT),
        description="Verdict of the judge on each pair: are both the same problem?",
    )
    def verdicts(
        context: dg.AssetExecutionContext,
        problem_neighbours: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
    ) -> dg.MaterializeResult[StepResult]:
        with open_session(context, models) as session:
            result = steps.build_judged_neighbours(
                problem_neighbours.collect(), project.prompt(steps.PROMPT), session.complete
            )
        same = result.rows["same"]
        return materialize_result(
            result, session, same=int(same.sum() or 0), without_a_verdict=same.null_count()
        )

    return [pairs, verdicts]


def verdict_inputs(by_judge: bool) -> dict[str, dg.AssetIn]:
    """Return the judge's verdicts as an input of an asset; none unless `by_judge`."""
    return {VERDICTS: dg.AssetIn(asset_key(VERDICTS))} if by_judge else {}


def verdicts_of(inputs: Mapping[str, VectorTable]) -> dict[str, Containment]:
    """Return the forbidden problem by the judge's verdict, by sample id, from an asset's inputs."""
    table = inputs.get(VERDICTS)
    return steps.judged_containments(table.collect()) if isinstance(table, pl.LazyFrame) else {}


def stored_verdicts(project: Project) -> dict[str, Containment]:
    """Return the forbidden problem by the stored verdicts, by sample id; none without a judge.

    Raises:
        MissingTableError: The table does not exist.
    """
    if project.settings.decontaminate_judge_from is None:
        return {}
    return verdicts_of({VERDICTS: project.storage.scan(VERDICTS, None)})
