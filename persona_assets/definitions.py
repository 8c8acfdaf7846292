"""The code location on one page: which assets there are and what they are handed.

What belongs here: joining. What does not: everything else.
"""

from typing import Any

import dagster as dg

from persona_assets.assets import checks, corpus, diversity, evaluation, hub, math_data, personas
from persona_assets.assets.datasets import datasets
from persona_assets.assets.reads import versioned
from persona_assets.catalog.catalog import Catalog
from persona_assets.orchestration import automation
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.resources.deduplicator import Deduplicator
from persona_assets.resources.grader import Grader
from persona_assets.resources.io_manager import TableIOManager
from persona_assets.resources.models import Models
from persona_assets.resources.sandbox import Sandbox
from persona_assets.resources.trainer import Trainer
from persona_assets.settings import Settings
from persona_assets.tables import tables


def build_defs(settings: Settings, **resources: Any) -> dg.Definitions:
    """The definitions of a project; `resources` replace those of the same name.

    Raises SettingsError or PromptError with one sentence that says what to do.
    """
    project = Project(settings)
    contract = tables(project.prompts)
    modules = [corpus, personas, hub, math_data, evaluation, diversity]
    loaded = [*dg.load_assets_from_modules(modules), *datasets(project.prompts)]
    assets = [versioned(it, project) for it in loaded if isinstance(it, dg.AssetsDefinition)]
    catalog = Catalog(project.storage, contract)
    defaults = {
        "io_manager": TableIOManager(project.storage, catalog, contract),
        "project": project,
        "corpus": Corpus(settings.corpus, settings.corpus_fields),
        "models": Models(settings, project.storage),
        "deduplicator": Deduplicator(settings, project.storage),
        "sandbox": Sandbox(),
        "grader": Grader(),
        "trainer": Trainer(
            settings.training.base_model, settings.model_dir.expanduser(), settings.training.hyper
        ),
    }
    return dg.Definitions(
        assets=assets,
        asset_checks=checks.asset_checks(assets),
        schedules=automation.nightly_schedules(assets),
        sensors=[automation.new_shards],
        resources={**defaults, **resources},
        # One process a run: assets share the embedded server, and start-up is paid once.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The project that the environment's settings describe."""
    return build_defs(Settings.load())
