"""The code location on one page: all assets, checks, schedules, sensors and resources.

Belongs here: joining them. Does not belong here: everything else.
"""

from typing import Any

import dagster as dg

from persona_assets.assets.call_bounds import CallBounds, QuestionCounts
from persona_assets.assets.checks import asset_checks
from persona_assets.assets.graph import project_assets
from persona_assets.catalog.catalog import Catalog
from persona_assets.orchestration import automation
from persona_assets.orchestration.missed_retries import missed_retries
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.resources.deduplicator import Deduplicator
from persona_assets.resources.grader import Grader
from persona_assets.resources.io_manager import ShowTable, TableIOManager
from persona_assets.resources.models import Models
from persona_assets.resources.sandbox import Sandbox
from persona_assets.resources.trainer import Trainer
from persona_assets.settings import Settings


def build_defs(
    settings: Settings, show_table: ShowTable | None = None, **resources: Any
) -> dg.Definitions:
    """Return the definitions of a project.

    Args:
        settings: Settings of the project.
        show_table: Called with each table that lands.
        **resources: Replacements of resources, by name.

    Raises:
        SettingsError: A setting has an impossible value.
        PromptError: A prompt file is malformed, or a task's name is taken.
        DeclarationError: An asset's declaration is incomplete.
    """
    project = Project(settings)
    declared = project_assets(project)
    # A bound that cannot be computed must not wait for `plan` to be noticed.
    CallBounds(project, declared, shards=1).all_calls()
    tables = {name: asset.table for name, asset in declared.items()}
    questions = QuestionCounts(project, declared)
    assets = [asset.versioned(project, questions.of(name)) for name, asset in declared.items()]
    definitions = [asset.definition for asset in assets]
    catalog = Catalog(project.storage, tables)
    defaults = {
        "io_manager": TableIOManager(project.storage, catalog, tables, show_table),
        "project": project,
        "corpus": Corpus.of(settings),
        "models": Models(settings, project.storage),
        "deduplicator": Deduplicator(settings, project.storage),
        "sandbox": Sandbox(kind=settings.sandbox),
        "grader": Grader(),
        "trainer": Trainer.of(settings.training, settings.model_dir.expanduser()),
    }
    return dg.Definitions(
        assets=definitions,
        asset_checks=asset_checks(assets),
        schedules=automation.nightly_schedules(definitions),
        sensors=[automation.new_shards, missed_retries],
        resources={**defaults, **resources},
        # One process a run: assets share the embedded server, and start-up is paid once.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the project that the environment describes."""
    return build_defs(Settings.load())
