"""A table's session with the models, opened for the asset that runs."""

from contextlib import AbstractContextManager

import dagster as dg

from persona_assets.orchestration.instance import backfill_of
from persona_assets.project import Project
from persona_assets.resources.grader import Grader
from persona_assets.resources.models import Models
from persona_assets.resources.session import Session, TunedModel
from persona_assets.steps.evaluation import judge_equality
from persona_assets.steps.grading import Equal
from persona_assets.storage.step_result import StepResult

POOL = "llm"
"""Pool of every asset that calls a model: its limit is set in dagster.yaml."""


def open_session(
    context: dg.AssetExecutionContext, models: Models, tuned: TunedModel | None = None
) -> AbstractContextManager[Session]:
    """The models with the journal of the table that `context` materializes."""
    key = context.partition_key if context.has_partition_key else None
    asset = context.asset_key.to_user_string()
    backfill = backfill_of(context.run.tags)
    return models.session(asset, key, context.run.run_id, context.log.info, tuned, backfill)


def answer_equality(project: Project, grader: Grader, asked: Session) -> Equal:
    """How answers are compared in this project: by the judge's model, or by algebra."""
    if project.settings.equality == "math_verify":
        return grader.equal
    return judge_equality(project.prompt("answer_equality"), asked.complete)


def materialize_result(
    outcome: StepResult, session: Session, **metadata: dg.MetadataValue | str | float
) -> "dg.MaterializeResult[StepResult]":
    """The outcome with what it cost."""
    return dg.MaterializeResult(value=outcome, metadata={**session.metadata(), **metadata})
