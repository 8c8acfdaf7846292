"""Group `personas`: who would write the demonstrations that a user brings (section 3).

The table depends on the files of demonstrations alone, and on no shard: a new shard changes nothing
in it, so that a task's shards may read it.
"""

from collections.abc import Mapping

import dagster as dg

from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.project import DEMONSTRATIONS, Project
from persona_assets.resources.models import Models
from persona_assets.rules import protection
from persona_assets.settings import Task
from persona_assets.steps import demonstrations as steps
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table


def demonstration_personas(tasks: Mapping[str, Task]) -> list[TableAsset]:
    """Declare the personas of demonstrations; nothing if no task needs them."""
    if not any(task.infers_personas for task in tasks.values()):
        return []

    @table_asset(
        name=steps.TABLE,
        group="personas",
        table=Table(steps.SCHEMA, "persona_id", "parent_id", makes=True, text="persona"),
        version=f"{steps.VERSION}.{protection.VERSION}",
        prompts=["text_to_persona"],
        settings=["text_chars", DEMONSTRATIONS, *protection.SETTINGS],
        rows=lambda bounds: len(bounds.project.texts_without_persona),
        calls=lambda bounds: bounds.question_calls(
            len(bounds.project.texts_without_persona), "text_to_persona"
        ),
        description="Who would write each of the user's demonstrations that has no persona.",
    )
    def inferred(
        context: dg.AssetExecutionContext,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
    ) -> dg.MaterializeResult[StepResult]:
        with open_session(context, models) as session:
            result = steps.build_demonstration_personas(
                project.texts_without_persona,
                project.prompt("text_to_persona", steps.TABLE),
                session.complete,
                project.settings.text_chars,
                project.protection,
            )
        return materialize_result(result, session)

    return [inferred]
