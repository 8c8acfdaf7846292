"""The declaration of an asset: its table, its reads, and the most rows and calls it can need.

One decorator states everything the project knows about an asset. Contract checks, code versions,
forecasts and the catalog derive from it; an incomplete declaration fails when definitions load.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg

from persona_assets.asset_names import asset_key, asset_name
from persona_assets.assets.call_bounds import Bound
from persona_assets.assets.groups import with_purpose
from persona_assets.orchestration.staleness import EARLIER
from persona_assets.project import DEMONSTRATIONS, OF_SET, PARTS, Project
from persona_assets.resources.io_manager import PROMPT_VERSIONS, QUESTIONS
from persona_assets.settings import ROLES, Settings
from persona_assets.tables import Table

POOL = "llm"
"""Pool of assets that ask a model or need the machine's memory; dagster.yaml has its limit."""

JUDGE_PROMPT = "answer_equality"
"""Prompt of the judge, who is asked only if the setting `equality` says so."""

JUDGED_VERSION = "3"
"""VERSION of equality where a judge decides. In 2 the judge decided on all pairs that algebra does
not call equal; tables without a judge are the same."""

READS = "persona_assets/reads"
"""Metadata key of an asset's reads."""


class DeclarationError(ValueError):
    """An asset's declaration is incomplete; the message names the asset and the missing part."""


@dataclass(frozen=True)
class Reads:
    """Prompts, settings and files that decide the rows of an asset, besides its inputs.

    Attributes:
        version: VERSION of the step, bumped by hand when its results change.
        prompts: Names of prompt files; `name@role` asks the model of another role.
        settings: Names of settings, roles or tasks, or "benchmark".
        files: Further files, by path; their content counts. A relative path starts in the current
            directory, as those of the settings do.
        variables: Variables that the asset sets in a prompt, one mapping per variant, by prompt.
        earlier: Earlier versions of the step, whose calls were the same.
    """

    version: str
    prompts: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    variables: Mapping[str, tuple[Mapping[str, str], ...]] | None = None
    earlier: tuple[str, ...] = ()

    @property
    def asks_a_model(self) -> bool:
        """True if the asset sends a prompt or uses the model of a role."""
        return _asks_a_model(self.prompts, self.settings)

    def versions(self, project: Project) -> tuple[str, ...]:
        """Return the version of the step under the settings of a project, and its earlier ones."""
        versions = (self.version, *self.earlier)
        is_judged = "equality" in self.settings and project.settings.equality == "judge"
        return (f"{self.version}.{JUDGED_VERSION}", *versions) if is_judged else versions

    def check(self, project: Project) -> None:
        """Raise an error for a prompt, a setting or a file that does not exist."""
        tasks = project.prompts.tasks
        parts = (f"{task}.{part}" for task in tasks for part in PARTS)
        sets = (f"{OF_SET}.{name}" for name in project.problem_sets)
        known = {*Settings.model_fields, DEMONSTRATIONS, *ROLES, *tasks, *parts, *sets}
        if unknown := [setting for setting in self.settings if setting not in known]:
            raise DeclarationError(f"reads an unknown setting {unknown[0]}")
        if missing := [file for file in self.files if not Path(file).is_file()]:
            raise DeclarationError(f"reads {missing[0]}, which does not exist here")
        for name in self.prompts:
            project.prompt(name)


@dataclass(frozen=True)
class TableAsset:
    """One asset: Dagster's definition, the contract of its table, its reads and its bounds.

    `function` makes the table: its arguments are the context, the inputs and the resources.
    """

    definition: dg.AssetsDefinition
    table: Table
    reads: Reads
    function: Callable[..., Any]
    rows: Bound | None = None
    calls: Bound | None = None

    @property
    def name(self) -> str:
        """Name of the asset."""
        return asset_name(self.definition.key)

    @property
    def spec(self) -> dg.AssetSpec:
        """Dagster's specification of the asset."""
        return self.definition.get_asset_spec()

    @property
    def inputs(self) -> list[str]:
        """Names of the upstream assets."""
        return [asset_name(dep.asset_key) for dep in self.spec.deps]

    def roles(self, project: Project) -> set[str]:
        """Return the roles whose models the asset may ask; none that is not set or not in use."""
        equality = project.settings.equality if "equality" in self.reads.settings else "judge"
        prompts = [
            name for name in self.reads.prompts if name != JUDGE_PROMPT or equality == "judge"
        ]
        asked = {project.prompt(name).head.role for name in prompts}
        roles = asked | {name for name in self.reads.settings if name in ROLES}
        return {role for role in roles if project.settings.has_role(role)}

    def versioned(
        self, project: Project, questions: Mapping[str, int] | None = None
    ) -> "TableAsset":
        """Return the asset with its versions in a project, and its group's purpose in the UI.

        Args:
            project: Settings and prompts.
            questions: Questions of a table by prompt, see `QuestionCounts`.

        Raises:
            DeclarationError: The asset reads a setting or a file that does not exist.
        """
        try:
            self.reads.check(project)
        except DeclarationError as error:
            raise DeclarationError(f"{self.name} {error}: correct its @table_asset") from None
        reads = self.reads
        steps = reads.versions(project)
        current, *earlier = (
            project.code_version(step, reads.prompts, reads.settings, reads.files) for step in steps
        )
        attributes: dict[str, Any] = {
            "code_version": current,
            "description": with_purpose(self.spec.description, self.spec.group_name),
            "metadata": {
                **self.spec.metadata,
                READS: {
                    "step": steps[0],
                    "prompts": list(reads.prompts),
                    "settings": list(reads.settings),
                },
                **({EARLIER: earlier} if earlier else {}),
                PROMPT_VERSIONS: {name: project.prompt(name).version for name in reads.prompts},
                **({QUESTIONS: dict(questions)} if questions else {}),
            },
        }
        definition = self.definition.map_asset_specs(
            lambda spec: spec.replace_attributes(**attributes)
        )
        return replace(self, definition=definition)


def check_asks_a_model(spec: dg.AssetSpec) -> None:
    """Raise DeclarationError for an asset that declares neither a prompt nor a role."""
    reads = spec.metadata[READS]
    if not _asks_a_model(reads["prompts"], reads["settings"]):
        raise DeclarationError(
            f"{asset_name(spec.key)} opens a session with the models and declares no prompt: "
            "add prompts= and calls= to its @table_asset, so that its cost can be told"
        )


def _asks_a_model(prompts: Collection[str], settings: Iterable[str]) -> bool:
    return bool(prompts) or any(setting in ROLES for setting in settings)


def table_asset(
    *,
    group: str,
    table: Table | None = None,
    version: str,
    prompts: Iterable[str] = (),
    settings: Iterable[str] = (),
    files: Iterable[str] = (),
    variables: Mapping[str, tuple[Mapping[str, str], ...]] | None = None,
    rows: Bound | None = None,
    calls: Bound | None = None,
    partitions: dg.PartitionsDefinition[Any] | None = None,
    earlier: Iterable[str] = (),
    kinds: Iterable[str] = (),
    pool: str | None = None,
    **dagster: Any,
) -> Callable[[Callable[..., Any]], TableAsset]:
    """Declare an asset whose value is one table per partition.

    Args:
        group: Group in the Dagster UI.
        table: Contract of the table.
        version: VERSION of the step.
        prompts: Prompts that the asset sends; see `Reads`.
        settings: Settings, roles or tasks that decide its rows.
        files: Further files that decide its rows.
        variables: Variables set in its prompts.
        rows: Most rows over all shards; None if a setting leaves it open. Needed where the bound of
            a downstream asset reads it.
        calls: Most answered calls over all shards. Required of an asset that asks a model.
        partitions: Partition set; None for one table.
        earlier: Earlier versions of the step, whose calls were the same: a table that one of them
            made is stale, and costs no call to make again.
        kinds: Labels besides "parquet" and, for an asset with prompts, "llm".
        pool: Pool, for an asset that asks no model and yet needs the machine to itself.
        **dagster: Further arguments of `dagster.asset`: `name`, `ins`, `description`.

    Returns:
        A decorator from the asset's function to a TableAsset.

    Raises:
        DeclarationError: The table is missing, or the calls of an asset that asks a model.

    Example:
        An asset with one row per persona and one call per row::

            @table_asset(
                group="datasets",
                table=Table(SCHEMA, "sample_id", "persona_id", makes=True),
                version="1",
                prompts=["letters"],
                calls=lambda bounds: bounds.question_calls(bounds.rows("persona_hub"), "letters"),
                partitions=shards,
            )
            def letters(context, persona_hub, project, models): ...
    """
    reads = Reads(version, tuple(prompts), tuple(settings), tuple(files), variables, tuple(earlier))

    def declare(function: Callable[..., Any]) -> TableAsset:
        name = dagster.pop("name", function.__name__)
        if table is None:
            raise DeclarationError(
                f"{name} states no contract: add table=Table(schema, row_id) to its @table_asset"
            )
        if reads.asks_a_model and calls is None:
            raise DeclarationError(
                f"{name} asks a model and states no bound on its calls: add calls= to its "
                "@table_asset, such as "
                "calls=lambda bounds: bounds.question_calls(bounds.rows(INPUT), PROMPT)"
            )
        labels = {"parquet", *kinds, *(["llm"] if reads.prompts else [])}
        definition = dg.asset(
            key=asset_key(name),
            partitions_def=partitions,
            group_name=group,
            kinds=labels,
            pool=POOL if reads.asks_a_model else pool,
            **dagster,
        )(function)
        return TableAsset(definition, table, reads, function, rows, calls)

    return declare
