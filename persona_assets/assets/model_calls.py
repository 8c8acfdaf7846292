"""The models, as the function of an asset uses them: a session, equality of answers, the result."""

from contextlib import AbstractContextManager
from dataclasses import replace

import dagster as dg

from persona_assets.asset_names import asset_name
from persona_assets.assets.rejections import check_inputs
from persona_assets.assets.table_asset import check_asks_a_model
from persona_assets.orchestration.instance import backfill_of
from persona_assets.project import Project
from persona_assets.resources.grader import Grader
from persona_assets.resources.models import Models
from persona_assets.resources.session import Session
from persona_assets.resources.tuned_model import TunedModel
from persona_assets.steps.evaluation import judge_equality
from persona_assets.steps.grading import Equal, equal_by_rules_first
from persona_assets.storage.step_result import StepResult


def open_session(
    context: dg.AssetExecutionContext, models: Models, tuned: TunedModel | None = None
) -> AbstractContextManager[Session]:
    """Open the models with the journal of the table that `context` materializes.

    Args:
        context: Run of the asset.
        models: Endpoints of the project.
        tuned: Fine-tuned model to evaluate.

    Returns:
        A context manager that yields the session.

    Raises:
        DeclarationError: The asset declares neither a prompt nor a role.
        TooManyRejectedError: Most rows of a table that leads to the inputs were dropped.
    """
    spec = context.assets_def.get_asset_spec(context.asset_key)
    check_asks_a_model(spec)
    key = context.partition_key if context.has_partition_key else None
    asset = asset_name(context.asset_key)
    backfill = backfill_of(context.run.tags)
    inputs = [asset_name(dep.asset_key) for dep in spec.deps]
    check_inputs(models.storage, models.settings.max_rejected_share, inputs, key)
    return models.session(
        asset, key, context.run.run_id, context.log.info, tuned, backfill, makes_table=True
    )


def answer_equality(project: Project, grader: Grader, session: Session) -> Equal:
    """Return the project's comparison of answers: by the grader, and by a judge if it is set.

    The judge is asked about pairs that the grader cannot decide.
    """
    if project.settings.equality == "math_verify":
        return grader.equal
    judge = judge_equality(project.prompt("answer_equality"), session.complete)
    return equal_by_rules_first(grader.equal, judge)


def materialize_result(
    result: StepResult, session: Session, **metadata: dg.MetadataValue | str | float
) -> "dg.MaterializeResult[StepResult]":
    """Return a step's result with the usage of its session as figures, after its metadata."""
    value = replace(result, figures=session.metadata())
    return dg.MaterializeResult(value=value, metadata=metadata)
