"""Condition of a project: its shards, and what is stale or failed, without any change to it."""

from dataclasses import dataclass

import dagster as dg

from persona_assets.asset_names import asset_name
from persona_assets.orchestration.failures import (
    FailedCheck,
    FailedStep,
    failed_checks,
    failed_steps,
)
from persona_assets.orchestration.instance import existing_instance, expected_keys
from persona_assets.orchestration.staleness import Graph, Staleness
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.settings import Settings
from persona_assets.storage.storage import Storage


@dataclass(frozen=True)
class Condition:
    """Condition of a project.

    Attributes:
        shards: Number of shards of the corpus; None if the corpus cannot be read.
        notes: Sentences on the corpus.
        stale: Reason by asset and partition, for each missing or stale table.
        failures: Failures of recent runs, newest first.
        checks: Checks whose last evaluation failed.
    """

    shards: int | None
    notes: list[str]
    stale: dict[tuple[str, str | None], str]
    failures: list[FailedStep]
    checks: list[FailedCheck]


def find_condition(defs: dg.Definitions, settings: Settings, storage: Storage) -> Condition:
    """Compare the tables with graph and corpus, and read the failures of the Dagster instance.

    Neither partitions nor an instance are created.
    """
    instance = existing_instance(settings)
    try:
        shards, notes, stale = _compare(defs, settings, storage, instance)
        if instance is None:
            return Condition(shards, notes, stale, [], [])
        keys = defs.resolve_asset_graph().asset_check_keys
        names = {asset_name(spec.key) for spec in defs.resolve_all_asset_specs()}
        failures = failed_steps(instance, names)
        return Condition(shards, notes, stale, failures, failed_checks(instance, keys))
    finally:
        if instance is not None:
            instance.dispose()


def _compare(
    defs: dg.Definitions, settings: Settings, storage: Storage, instance: dg.DagsterInstance | None
) -> tuple[int | None, list[str], dict[tuple[str, str | None], str]]:
    """Return the number of shards, notes on the corpus, and the reason by stale table."""
    corpus = Corpus.of(settings)
    try:
        files = corpus.files()
    except OSError as error:
        return None, [f"The corpus cannot be read: {error}."], {}
    keys = expected_keys(instance, settings, files, storage)
    graph = Graph(defs.resolve_all_asset_specs(), keys)
    staleness = Staleness(graph, storage, corpus)
    stale = {
        (asset, work.partition): reason
        for phase in graph.phases()
        for work in staleness.stale(phase, graph.partitions_of(phase.partitions))
        for asset, reason in work.reasons.items()
    }
    unread = files.describe_unread()
    return len(files.shards), [f"{unread}."] if unread else [], stale
