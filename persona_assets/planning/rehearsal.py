"""Rehearsal of a run: stale tables are made in memory from paid answers, and unpaid calls counted.

The function of an asset runs as in a run, over models that send nothing (unsent.py). So its
questions, their keys and their retries are those of the run, whatever was edited: a prompt, the
sampling of a role, a setting, an input. A table whose calls are all paid for is known before the
run, and so is what is made from it.
"""

import inspect
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import dagster as dg
import polars as pl

from persona_assets.asset_names import asset_key, asset_name
from persona_assets.assets.rejections import TooManyRejectedError
from persona_assets.assets.table_asset import JUDGE_PROMPT, TableAsset
from persona_assets.generation import EndpointError
from persona_assets.local_models.embedder import EmbedderError
from persona_assets.orchestration.runner import Runner
from persona_assets.orchestration.staleness import Asset
from persona_assets.planning.unsent import Questions, Unforeseen, UnpaidVectors, UnsentModels
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.resources.grader import Grader
from persona_assets.resources.program_answers import ProgramResult, failed_program
from persona_assets.resources.session import QuarantineError
from persona_assets.storage.footer import data_version
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import (
    SHARD_COLUMN,
    AccountedTables,
    MissingTableError,
    ShardTables,
)

MOST_QUESTIONS = 20_000
"""Most questions of an asset that are rendered, over all of its tables, in 8 CPU seconds. The
others are assumed to be paid for in the same proportion."""

_RESOURCES = frozenset({"context", "project", "corpus", "models", "sandbox", "grader"})
"""Arguments that a rehearsal has. It compares no shards and trains nothing."""

_ENDS = (
    Unforeseen,
    EndpointError,
    EmbedderError,
    QuarantineError,
    TooManyRejectedError,
    # What a step makes of answers may need some: a mean, a picture.
    ValueError,
    ArithmeticError,
    LookupError,
    pl.exceptions.PolarsError,
)
"""Errors that end a rehearsal early, with the questions counted so far."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """Outcome of the rehearsal of a table.

    Attributes:
        asked: Number of questions; an embedding call is one.
        unpaid: Number of calls that are not paid for.
        is_exact: True if the run will send just these calls first: its inputs are known, and no
            question depends on an unpaid answer. An invalid answer is asked again.
        result: Table that the run will make; None if that depends on unpaid answers, on programs
            or on other tables that are not known.
    """

    asked: int
    unpaid: int
    is_exact: bool
    result: StepResult | None = None

    @property
    def paid_share(self) -> float:
        """Share of the questions that are paid for."""
        return max(0.0, 1 - self.unpaid / self.asked) if self.asked else 1.0


class Rehearsal:
    """Rehearsals of the tables that a runner would make.

    Args:
        project: Settings, prompts and storage.
        runner: Selects the assets and shards.
        assets: Declarations of all assets, by name.
        stale: Partitions that have to be made, by asset.

    Attributes:
        outcome: Function from the name of an asset and a partition to the outcome; None for a table
            that the run does not make, or that cannot be rehearsed.
        is_open: Function from the name of an asset and a partition; True if the table will have
            other rows because of a changed prompt or setting, here or upstream.
    """

    def __init__(
        self,
        project: Project,
        runner: Runner,
        assets: Mapping[str, TableAsset],
        stale: Mapping[str, set[str | None]],
    ) -> None:
        self._project = project
        self._runner = runner
        self._assets = assets
        self._stale = stale
        self._selected = frozenset(runner.selected)
        self._corpus = Corpus.of(project.settings)
        self._grader = Grader()
        self._asked = Counter[str]()
        self._unpaid = Counter[str]()
        self.outcome = cache(self._outcome)
        self.is_open = cache(self._finds_open)
        self._stays = cache(self._finds_staying)
        self._spec = cache(lambda name: assets[name].versioned(project).spec)

    def close(self) -> None:
        """End the grader's processes."""
        self._grader.close()

    def paid_share(self, name: str) -> float | None:
        """Return the share of paid questions in the rehearsed tables of an asset; None without."""
        asked = self._asked[name]
        return max(0.0, 1 - self._unpaid[name] / asked) if asked else None

    def has_open_input(self, asset: Asset, partition: str | None) -> bool:
        """Return True if a table is made from an open table, see `is_open`."""
        return any(self.is_open(*table) for table in self._inputs(asset, partition))

    def is_full(self, name: str) -> bool:
        """Return True if no further table of an asset is rehearsed."""
        return self._asked[name] >= MOST_QUESTIONS

    def _finds_open(self, name: str, partition: str | None) -> bool:
        asset = self._runner.graph.assets[name]
        if not self._is_made(asset, partition) or self._stays(name, partition):
            return False
        footer = self._project.storage.footer(name, partition)
        versions = {asset.code_version, *asset.earlier}
        if footer is not None and footer.code_version not in versions:
            return True
        outcome = self.outcome(name, partition)
        if outcome is not None and outcome.result is not None:
            return False
        return self.has_open_input(asset, partition)

    def _finds_staying(self, name: str, partition: str | None) -> bool:
        asset = self._runner.graph.assets[name]
        if not self._is_made(asset, partition):
            return self._project.storage.path(name, partition).exists()
        outcome = self.outcome(name, partition)
        footer = self._project.storage.footer(name, partition)
        if outcome is None or outcome.result is None or footer is None:
            return False
        result = outcome.result
        return (
            footer.data_version == data_version(result.rows) and footer.dropped == result.reasons()
        )

    def _is_made(self, asset: Asset, partition: str | None) -> bool:
        """Return True if the run makes a table: it is stale, or an input changes."""
        if asset.name not in self._selected:
            return False
        if partition not in self._runner.keys(asset.partitions):
            return False
        if partition in self._stale.get(asset.name, ()):
            return True
        return not all(self._stays(name, key) for name, key in self._inputs(asset, partition))

    def _inputs(self, asset: Asset, partition: str | None) -> list[tuple[str, str | None]]:
        return [
            (name, key) for name in asset.inputs for key in self._partitions(name, asset, partition)
        ]

    def _partitions(self, name: str, asset: Asset, partition: str | None) -> tuple[str | None, ...]:
        graph = self._runner.graph
        partitions = graph.assets[name].partitions
        if partitions == asset.partitions:
            return (partition,)
        return tuple(graph.partitions_of(partitions))

    def _is_known(self, name: str, asset: Asset, partition: str | None) -> bool:
        """Return True if an input of a table is known as the run will leave it."""
        keys = self._partitions(name, asset, partition)
        if all(self._stays(name, key) for key in keys):
            return True
        outcome = self.outcome(name, keys[0]) if keys in ((None,), (partition,)) else None
        return outcome is not None and outcome.result is not None

    def _outcome(self, name: str, partition: str | None) -> Outcome | None:
        asset, declared = self._runner.graph.assets[name], self._assets[name]
        arguments = {
            argument: asset_name(key)
            for argument, key in declared.definition.keys_by_input_name.items()
        }
        parameters = inspect.signature(declared.function).parameters.values()
        named = {each.name for each in parameters if each.kind != each.VAR_KEYWORD}
        wanted = named - arguments.keys()
        if not wanted <= _RESOURCES or not self._is_made(asset, partition):
            return None
        is_final = all(self._is_known(source, asset, partition) for source in asset.inputs)
        if not is_final and not declared.reads.asks_a_model:
            return None
        footer = self._project.storage.footer(name, partition)
        made_by = footer.code_version if footer else None
        if made_by in asset.earlier or (not is_final and made_by == asset.code_version):
            return None
        questions = Questions(MOST_QUESTIONS - self._asked[name])
        if not questions.most:
            return None
        programs: list[str] = []
        resources = self._resources(asset, partition, questions, programs)
        result: StepResult | None = None
        is_whole = False
        try:
            inputs = {
                argument: self._load(declared, argument, source, asset, partition)
                for argument, source in arguments.items()
            }
            made = declared.function(**inputs, **{each: resources[each] for each in wanted})
            result = made.value if isinstance(made, dg.MaterializeResult) else made
            is_whole = self._is_whole(declared, questions, result)
        except MissingTableError:
            return None
        except UnpaidVectors:
            # An asset without a prompt embeds its texts at once and asks nothing else.
            is_whole = not declared.reads.prompts
        except _ENDS as reason:
            _LOG.debug("%s of %s ends early: %s", name, partition, reason)
        if not questions.asked and result is None:
            return None
        self._asked[name] += questions.asked
        self._unpaid[name] += len(questions.unpaid)
        known = None
        if is_final and result is not None and not questions.unpaid and not programs:
            rows = result.rows.match_to_schema(declared.table.schema)
            known = StepResult(rows, result.dropped)
        return Outcome(questions.asked, len(questions.unpaid), is_final and is_whole, known)

    def _resources(
        self, asset: Asset, partition: str | None, questions: Questions, programs: list[str]
    ) -> Mapping[str, Any]:
        """Return the arguments of `_RESOURCES`; a program is noted in place of being run."""
        settings, storage = self._project.settings, self._project.storage

        def note_program(source: str) -> ProgramResult:
            programs.append(source)
            return failed_program("not run")

        return {
            "context": self._context(asset, partition),
            "project": self._project,
            "corpus": self._corpus,
            "models": UnsentModels(settings, storage, self._runner.retry, questions),
            "sandbox": SimpleNamespace(run=note_program),
            "grader": self._grader,
        }

    def _is_whole(self, declared: TableAsset, questions: Questions, result: StepResult) -> bool:
        """Return True if unpaid answers lead to no further question."""
        if not questions.unpaid:
            return True
        settings = self._project.settings
        if JUDGE_PROMPT in declared.reads.prompts and settings.equality == "judge":
            return False
        # As many questions as rows, in stages of which none was left without: no question depends
        # on an answer.
        each_row = result.rows_in == questions.asked and all(questions.stages)
        return each_row or not questions.is_staged

    def _load(
        self,
        declared: TableAsset,
        argument: str,
        name: str,
        asset: Asset,
        partition: str | None,
    ) -> pl.LazyFrame | ShardTables:
        """Return an input of a table; see `TableIOManager.load_input`."""
        storage, keys = self._project.storage, self._partitions(name, asset, partition)
        kind = getattr(declared.definition.op.ins[argument].dagster_type, "typing_type", None)
        if keys in ((None,), (partition,)) and kind not in (ShardTables, AccountedTables):
            outcome = None if self._stays(name, keys[0]) else self.outcome(name, keys[0])
            if outcome is not None and outcome.result is not None:
                return outcome.result.rows.lazy()
            return storage.scan(name, keys[0])
        tables = storage.shard_tables(name, [key for key in keys if key is not None])
        if kind is AccountedTables:
            return AccountedTables(tables)
        if kind is ShardTables:
            return tables
        if not tables:
            return pl.LazyFrame(schema={**self._assets[name].table.schema, SHARD_COLUMN: pl.String})
        return tables.scan()

    def _context(self, asset: Asset, partition: str | None) -> Any:
        """Return the members of Dagster's context that the functions of assets use."""
        spec = self._spec(asset.name)
        return SimpleNamespace(
            asset_key=asset_key(asset.name),
            assets_def=SimpleNamespace(get_asset_spec=lambda key: spec),
            has_partition_key=partition is not None,
            partition_key=partition,
            run=SimpleNamespace(run_id="", tags={}),
            log=_LOG,
            log_event=lambda event: None,
        )
