"""All assets of a project: those of the modules in `assets/`, of task files, of other packages."""

import pkgutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import import_module
from types import ModuleType

import dagster as dg

import persona_assets.assets
from persona_assets.asset_names import asset_name
from persona_assets.assets.baselines import baseline_accuracy
from persona_assets.assets.call_bounds import CallBounds
from persona_assets.assets.control_arms import control_arms
from persona_assets.assets.datasets import datasets
from persona_assets.assets.demonstrations import demonstration_personas
from persona_assets.assets.distributions import distributions
from persona_assets.assets.evaluation import accuracies
from persona_assets.assets.grader_comparison import grader_verdicts
from persona_assets.assets.judged import finished_samples, judged_samples
from persona_assets.assets.judged_neighbours import judged_neighbours
from persona_assets.assets.math_data import math_sets
from persona_assets.assets.math_solutions import PROBLEMS, math_solutions
from persona_assets.assets.problem_vectors import problem_vectors
from persona_assets.assets.reports import task_reports
from persona_assets.assets.samples import unique_samples
from persona_assets.assets.scaling_curve import curves
from persona_assets.assets.table_asset import DeclarationError, TableAsset
from persona_assets.assets.training import fine_tuned_model, training_curve
from persona_assets.benchmarks.problem_sets import BENCHMARK_ACCURACY, SYNTHETIC_ACCURACY
from persona_assets.catalog.catalog import RESERVED
from persona_assets.project import Project
from persona_assets.prompting.front_matter import PromptError
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.registry import Registry
from persona_assets.settings import NO_PERSONA, SettingsError, Task
from persona_assets.steps.demonstrations import TABLE
from persona_assets.tables import Table

MODULES: Registry[ModuleType] = Registry("persona_assets.assets", {})
"""Modules with assets that installed packages add by entry point."""


def load_assets(
    prompts: Prompts,
    tasks: Mapping[str, Task] | None = None,
    problem_sets: Collection[str] = (SYNTHETIC_ACCURACY, BENCHMARK_ACCURACY),
    baselines: Collection[str] = (),
    by_meaning: bool = False,
    by_judge: bool = False,
    without_personas: bool = False,
) -> dict[str, TableAsset]:
    """Collect every asset, by name.

    Args:
        prompts: Prompt files.
        tasks: Settings by task; a task that chooses its personas by meaning has a further input,
            one whose samples are compared by meaning has further tables.
        problem_sets: Accuracies of fine-tuned models, as in `Project.problem_sets`.
        baselines: Names of models that are measured beside them.
        by_meaning: True if the math sets are kept apart by meaning, too.
        by_judge: True if a judge decides on problems near a forbidden one.
        without_personas: True if models are trained on problems without personas, too.

    Raises:
        DeclarationError: Two assets share a name, a name belongs to the catalog, or an asset is
            declared without a contract.
        PromptError: A task file has a name that is taken, or the task of an asset is missing.
        SettingsError: Samples of a task cannot be compared by meaning, or a problem set has the
            name of another table.
    """
    assets: dict[str, TableAsset] = {}
    arms = ["", NO_PERSONA] if without_personas else [""]
    measured = [
        *(
            asset
            for arm in arms
            for asset in (fine_tuned_model(arm), *accuracies(problem_sets, arm))
        ),
        training_curve(arms),
        *([baseline_accuracy(baselines, problem_sets)] if baselines else []),
        *curves(problem_sets, bool(baselines), arms),
        grader_verdicts(problem_sets),
        *math_sets(by_meaning, by_judge, arms),
        *(judged_neighbours(arms) if by_judge else []),
    ]
    for declared in (*map(_declared, _modules()), measured):
        for asset in declared:
            if assets.setdefault(asset.name, asset) is not asset:
                if asset.name in problem_sets and asset.name not in (
                    SYNTHETIC_ACCURACY,
                    BENCHMARK_ACCURACY,
                ):
                    raise SettingsError(
                        f"setting PERSONA_BENCHMARKS: the table {asset.name} has another meaning: "
                        "rename the file"
                    )
                raise DeclarationError(f"two assets are named {asset.name}: rename one of them")
            if asset.name.lower() in RESERVED:
                raise DeclarationError(
                    f"{asset.name} is the name of a table of the catalog: rename the asset"
                )
    assets |= {asset.name: asset for asset in control_arms(prompts)}
    taken = {*assets, *RESERVED, TABLE, *(file.stem for file in prompts.folder.glob("*.md"))}
    folder = prompts.folder / "tasks"
    for name in prompts.tasks:
        if name.lower() in taken:
            raise PromptError(f"{folder / name}.md: the name {name} is taken: rename the file")
        taken.add(name.lower())
    tasks = tasks or {}
    assets |= {asset.name: asset for asset in demonstration_personas(tasks)}
    of_tasks = {asset.name: asset for asset in datasets(prompts, tasks)}
    contracts = {name: asset.table for name, asset in of_tasks.items()}
    assets |= of_tasks
    made = [
        *unique_samples(prompts, tasks, contracts),
        *(problem_vectors(prompts, tasks) if by_meaning else []),
        *judged_samples(prompts, tasks, contracts),
        *distributions(prompts, tasks),
        *(
            math_solutions(finished_samples(prompts, tasks, f"{PROBLEMS}{arm}"), arm)
            for arm in arms
        ),
    ]
    for asset in made:
        _add(assets, taken, asset, prompts)
    for asset in task_reports(prompts, tasks, assets):
        _add(assets, taken, asset, prompts)
    for asset in assets.values():
        if missing := [name for name in asset.inputs if name not in assets]:
            raise PromptError(
                f"{folder / missing[0]}.md: {asset.name} needs this task, or another asset named "
                f"{missing[0]}: add it, or correct the argument of {asset.name}"
            )
    return assets


def _add(
    assets: dict[str, TableAsset], taken: set[str], asset: TableAsset, prompts: Prompts
) -> None:
    """Add an asset that is made from a task, unless its name is taken."""
    if asset.name.lower() in taken:
        task = asset.inputs[0] if asset.inputs else asset.name
        while task in assets and task not in prompts.tasks:
            task = assets[task].inputs[0]
        raise PromptError(
            f"{prompts.folder / 'tasks' / task}.md: a further table of this task needs "
            f"the name {asset.name}, which is taken: rename the file, or the asset or file of that "
            "name"
        )
    taken.add(asset.name.lower())
    assets[asset.name] = asset


def project_assets(project: Project) -> dict[str, TableAsset]:
    """Collect every asset of a project, by name. Raises as `load_assets`."""
    settings = project.settings
    return load_assets(
        project.prompts,
        settings.tasks,
        project.problem_sets,
        settings.baselines,
        settings.decontaminate_cosine is not None,
        settings.decontaminate_judge_from is not None,
        settings.train_without_personas,
    )


def table_contracts(assets: Mapping[str, TableAsset]) -> Mapping[str, Table]:
    """Return the contract of every asset's table, by name."""
    return {name: asset.table for name, asset in assets.items()}


def call_bounds(
    project: Project,
    shards: int,
    texts: int | None = None,
    *,
    once: bool = False,
    ready_shards: int = 0,
    ready: int | None = None,
) -> CallBounds:
    """Return the bounds on the calls of a project's assets; see CallBounds."""
    assets = project_assets(project)
    return CallBounds(
        project, assets, shards, texts, once=once, ready_shards=ready_shards, ready=ready
    )


def _modules() -> Iterator[ModuleType]:
    package = persona_assets.assets
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if module.name != __name__:
            yield import_module(module.name)
    for _, installed in MODULES.all():
        yield installed


def _declared(module: ModuleType) -> Iterable[TableAsset]:
    """Yield the assets that a module defines or imports, alone or in lists."""
    for value in vars(module).values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dg.AssetsDefinition):
                raise DeclarationError(
                    f"{asset_name(item.key)} in {module.__name__} states no contract: declare "
                    "it with @table_asset(table=Table(schema, row_id), ...), not dagster.asset"
                )
            if isinstance(item, TableAsset):
                yield item
