"""Group `math`: problems near a forbidden one, on which a judge decides.

They exist where the setting `decontaminate_judge_from` is a number. The pairs are a table of their
own, which costs nothing: once it is made, `plan` knows the number of questions.
"""

from collections.abc import Collection, Mapping

import dagster as dg
import polars as pl

from persona_assets.asset_names import argument, asset_key
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

OF_PERSONAS = "of_personas"
"""Argument for the solutions that hold the held-out problems of a variant."""


def judged_neighbours(variants: Collection[str] = ("",)) -> list[TableAsset]:
    """Declare the pairs of near problems, and the judge's verdicts on them.

    Args:
        variants: Variants of the tables of the experiment; "" for those of personas.
    """
    return [asset for variant in variants for asset in _pairs_and_verdicts(variant)]


def _pairs_and_verdicts(variant: str) -> list[TableAsset]:
    ins = {"solutions": dg.AssetIn(asset_key(f"math_solutions{variant}"))}
    ins |= vector_inputs(True, variant) | held_out_input(variant)

    @table_asset(
        name=f"{PAIRS}{variant}",
        group="math",
        table=Table(steps.NEIGHBOURS, "pair_id", "sample_id", makes=True, text="known"),
        version=f"{steps.VERSION}.{math_data.VERSION}.{neighbours.VERSION}",
        settings=[
            "decontaminate",
            "decontaminate_cosine",
            "decontaminate_judge_from",
            "embedding_precision",
        ],
        rows=lambda bounds: times(bounds.rows(f"{UNIQUE}{PROBLEMS}{variant}"), steps.MOST),
        ins=ins,
        description="Problems and their nearest forbidden ones, where neither words nor vectors "
        "decide whether both are the same.",
    )
    def pairs(
        solutions: pl.LazyFrame, project: dg.ResourceParam[Project], **tables: VectorTable
    ) -> StepResult:
        settings = project.settings
        vectors, least = vectors_of(settings, tables), settings.decontaminate_judge_from
        if vectors is None or least is None:
            raise TypeError(f"{PAIRS} needs decontaminate_cosine and decontaminate_judge_from")
        margin = int8_margin(least) if settings.embedding_precision == "int8" else 0.0
        return steps.build_problem_neighbours(
            with_held_out(solutions, tables),
            project.forbidden_problems(),
            vectors,
            least - margin,
            # The judge decides on the held-out problems once, beside the problems of personas.
            with_test=not variant,
        )

    @table_asset(
        name=f"{VERDICTS}{variant}",
        group="math",
        table=Table(steps.VERDICTS, "pair_id", "sample_id"),
        version=steps.VERSION,
        prompts=[steps.PROMPT],
        calls=lambda bounds: bounds.question_calls(bounds.rows(f"{PAIRS}{variant}"), steps.PROMPT),
        ins={"neighbours": dg.AssetIn(asset_key(f"{PAIRS}{variant}"))},
        description="Verdict of the judge on each pair: are both the same problem?",
    )
    def verdicts(
        context: dg.AssetExecutionContext,
        neighbours: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
    ) -> dg.MaterializeResult[StepResult]:
        with open_session(context, models) as session:
            result = steps.build_judged_neighbours(
                neighbours.collect(), project.prompt(steps.PROMPT), session.complete
            )
        return materialize_result(result, session, same=int(result.rows["same"].sum() or 0))

    return [pairs, verdicts]


def verdict_inputs(by_judge: bool, variant: str = "") -> dict[str, dg.AssetIn]:
    """Return the pairs and the judge's verdicts as inputs of an asset; none unless `by_judge`.

    Args:
        by_judge: True if a judge decides on near problems.
        variant: Variant whose problems are judged; "" for those of personas.
    """
    names = [f"{PAIRS}{variant}", f"{VERDICTS}{variant}"] if by_judge else []
    return {argument(name): dg.AssetIn(asset_key(name)) for name in names}


def verdicts_of(inputs: Mapping[str, VectorTable]) -> dict[str, Containment]:
    """Return the forbidden problem by the judge's verdict, by sample id, from an asset's inputs."""
    tables = [
        table.collect()
        for start in (PAIRS, VERDICTS)
        for name, table in inputs.items()
        if name.startswith(start) and isinstance(table, pl.LazyFrame)
    ]
    return steps.judged_containments(*tables) if tables else {}


def stored_verdicts(project: Project, variant: str = "") -> dict[str, Containment]:
    """Return the forbidden problem by the stored verdicts, by sample id; none without a judge.

    Args:
        project: Settings and tables.
        variant: Variant whose problems are judged; "" for those of personas.

    Raises:
        MissingTableError: The table does not exist.
    """
    if project.settings.decontaminate_judge_from is None:
        return {}
    tables = (PAIRS, VERDICTS)
    return verdicts_of({name: project.storage.scan(f"{name}{variant}", None) for name in tables})


def held_out_input(variant: str) -> dict[str, dg.AssetIn]:
    """Return the solutions with the held-out problems of a variant as an input; none for ""."""
    return {OF_PERSONAS: dg.AssetIn(asset_key("math_solutions"))} if variant else {}


def with_held_out(solutions: pl.LazyFrame, inputs: dict[str, VectorTable]) -> pl.DataFrame:
    """Return solutions with the held-out problems, which are those of personas in every variant.

    Args:
        solutions: Solutions of the variant.
        inputs: Further inputs of the asset, from which `held_out_input` is taken.
    """
    solved, of_personas = solutions.collect(), inputs.pop(OF_PERSONAS, None)
    if isinstance(of_personas, pl.LazyFrame):
        held_out = of_personas.filter("held_out").collect()
        solved = pl.concat([solved, held_out], how="diagonal")
    return solved
