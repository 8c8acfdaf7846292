"""Group `analysis`: do personas make problems more diverse than prompts with less, or with none?

A project whose prompts folder has no file for the arms has none of these assets.
"""

import dagster as dg
import polars as pl

from persona_assets.assets.call_bounds import CallBounds
from persona_assets.assets.metadata import picture
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.plots.control_arms import draw_beside, draw_growth
from persona_assets.project import Project
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.resources.models import Models
from persona_assets.resources.session import Session
from persona_assets.rules import protection
from persona_assets.steps import control_arms as arms
from persona_assets.steps import control_problems as problems
from persona_assets.steps.verdicts import rules_version
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

OFF = "No control arms: set PERSONA_CONTROL_PROBLEMS to a number of problems per arm."


def control_arms(prompts: Prompts) -> list[TableAsset]:
    """Declare the control arms of a prompts folder, if it has their prompt."""
    if problems.PROMPT not in prompts.names:
        return []
    return [_control_problems(rules_version(kind=prompts[problems.PROMPT].head.kind)), _measures()]


def _problems(bounds: CallBounds) -> int:
    return len(problems.ARMS) * (bounds.settings.control_problems or 0)


def _control_problems(rules: str) -> TableAsset:
    @table_asset(
        group="analysis",
        table=Table(
            problems.CONTROL_PROBLEMS,
            "problem_id",
            aggregates=True,
            members=("persona_id",),
            text="problem",
        ),
        version=f"{problems.VERSION}.{rules}",
        prompts=[problems.PROMPT],
        settings=["control_problems", *protection.SETTINGS],
        calls=lambda bounds: bounds.question_calls(_problems(bounds), problems.PROMPT),
    )
    def control_problems(
        context: dg.AssetExecutionContext,
        persona_hub: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
    ) -> dg.MaterializeResult[StepResult]:
        """Problems by one prompt with full personas, occupations, empty words, and nobody."""
        hub = persona_hub.select("persona_id", "persona", "licence", "language")
        with open_session(context, models) as session:
            result = problems.build_control_problems(
                hub.collect(),
                project.prompt(problems.PROMPT),
                project.settings.control_problems or 0,
                session.complete,
                project.protection,
            )
        return materialize_result(result, session)

    return control_problems


def _measures() -> TableAsset:
    @table_asset(
        group="analysis",
        table=Table(arms.CONTROL_ARMS, "figure_id", aggregates=True),
        version=arms.VERSION,
        # Its intervals held one by one.
        earlier=["1"],
        settings=["embedder", "embedding_dimensions", "lexical_threshold", "semantic_threshold"],
        calls=lambda bounds: bounds.embedding_calls(_problems(bounds), 1),
    )
    def control_arms(
        context: dg.AssetExecutionContext,
        control_problems: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
    ) -> dg.MaterializeResult[StepResult]:
        """Diversity of problems by arm: embeddings, words, near-duplicates, and a verdict."""
        settings = project.settings
        with open_session(context, models) as session:
            result = arms.build_control_arms(
                control_problems.collect(),
                session.embed,
                settings.lexical_threshold,
                settings.semantic_threshold,
            )
        return _shown(result, session, settings.control_problems)

    return control_arms


def _shown(
    result: StepResult, session: Session, requested: int | None
) -> dg.MaterializeResult[StepResult]:
    figures = result.rows
    measures = [name for name in arms.HIGHER_IS_DIVERSE if name not in (*arms.SHARES, "words")]
    return materialize_result(
        result,
        session,
        verdict=arms.verdict(figures) if requested else OFF,
        **picture("near_duplicates", draw_growth(figures, arms.SHARES, arms.LABELS)),
        **picture("measures", draw_beside(figures, measures, arms.LABELS)),
        figures=dg.MetadataValue.md(arms.figures_markdown(figures)),
    )
