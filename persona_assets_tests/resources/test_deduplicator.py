"""Specification of `Deduplicator`: duplicates over the shards of a project, found incrementally."""

import shutil
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from persona_assets.definitions import build_defs
from persona_assets.ids import content_id
from persona_assets.resources.deduplicator import Deduplicator
from persona_assets.settings import Settings
from persona_assets.steps.hub import DUPLICATES, EMBEDDINGS, build_duplicates
from persona_assets.steps.personas import CANDIDATES
from persona_assets.storage.step_result import typed_frame
from persona_assets.storage.storage import Storage
from persona_assets_tests.sample_tables import publish
from persona_assets_tests.steps.vectors import at_cosines, embeddings

Rows = Sequence[tuple[str, bool]]


class Hub:
    """Tables in a folder, and the duplicates among them."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.storage = Storage(folder)
        self.settings = Settings.load(data_dir=folder, dedup_threads=2, **settings)
        self.figures: Mapping[str, Any] = {}
        self._deduplicator = Deduplicator(self.settings, self.storage)

    def candidates(self, shard: str, rows: Rows) -> list[str]:
        """Write a shard of candidates, and return their ids."""
        candidates = [
            {"persona_id": content_id(persona, str(row)), "persona": persona, "kept": kept}
            for row, (persona, kept) in enumerate(rows)
        ]
        publish(self.storage, "persona_candidates", shard, typed_frame(candidates, CANDIDATES))
        return [candidate["persona_id"] for candidate in candidates]

    def lexical(self, *shards: str) -> pl.DataFrame:
        tables = self.storage.shard_tables("persona_candidates", list(shards))
        with self._deduplicator.lexical(tables, dg.build_asset_context()) as joined:
            self.figures = joined.figures
            by_content = self.settings.survivor_priority == "content"
            return build_duplicates(joined.rows, "lexical", by_content).rows

    def semantic(self, *shards: str) -> pl.DataFrame:
        tables = self.storage.shard_tables("persona_embeddings", list(shards))
        with self._deduplicator.semantic(tables) as joined:
            self.figures = joined.figures
            return build_duplicates(joined.rows, "semantic", by_content=False).rows


def joined_from_scratch(folder: Path, *shards: str) -> pl.DataFrame:
    """Delete the index, and return the lexical duplicates."""
    shutil.rmtree(folder / "dedup")
    return Hub(folder).lexical(*shards)


NURSE, SAME = "a night nurse at sea", "At sea: a night nurse!"
ALMOST = "a night nurse at sea who reads the stars by the old lamp of her boat"
OTHER = ALMOST.replace("old ", "")


@pytest.mark.parametrize("method", ["auto", "exact", "minhash"])
def test_a_repeated_persona_is_dropped_with_its_survivor(tmp_path: Path, method: str) -> None:
    hub = Hub(tmp_path, lexical_method=method)
    first = hub.candidates("a", [(NURSE, False), (NURSE, True), (ALMOST, True)])
    second = hub.candidates("b", [(SAME, True), (OTHER, True), ("a tailor of sails", True)])
    duplicates = hub.lexical("a", "b")
    assert duplicates.schema == DUPLICATES
    assert duplicates.rows() == [
        (second[0], first[1], 1.0, "lexical"),
        (second[1], first[2], pytest.approx(14 / 15), "lexical"),
    ]
    assert hub.figures["rows"] == 5
    assert hub.figures.get("sampled_recall", 1) == 1


def test_only_new_and_changed_shards_are_joined(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    hub.candidates("a", [(NURSE, True), (ALMOST, True)])
    hub.candidates("b", [(SAME, True)])
    before = hub.lexical("a", "b")
    assert hub.figures["rows_joined"] == 3
    hub.candidates("c", [(OTHER, True)])
    after = hub.lexical("a", "b", "c")
    assert hub.figures["rows_joined"] == 1
    assert after.head(len(before)).equals(before)
    hub.lexical("a", "b", "c")
    assert hub.figures["rows_joined"] == 0
    hub.candidates("a", [(ALMOST, True)])
    changed = hub.lexical("a", "b", "c")
    assert hub.figures["rows_joined"] == 1
    assert changed.equals(joined_from_scratch(tmp_path, "a", "b", "c"))


def test_other_settings_start_a_new_index(tmp_path: Path) -> None:
    Hub(tmp_path).candidates("a", [(ALMOST, True), (OTHER, True)])
    assert len(Hub(tmp_path).lexical("a")) == 1
    strict = Hub(tmp_path, lexical_threshold=Fraction(99, 100))
    assert len(strict.lexical("a")) == 0
    assert strict.figures["rows_joined"] == 2
    assert len(Hub(tmp_path, lexical_threshold="1/2").lexical("a")) == 1


def test_survivors_by_content_do_not_depend_on_the_order_of_shards(tmp_path: Path) -> None:
    hub = Hub(tmp_path, survivor_priority="content")
    hub.candidates("a", [(NURSE, True), (ALMOST, True)])
    hub.candidates("b", [(SAME, True), (OTHER, True)])
    duplicates = set(hub.lexical("a", "b").select("persona_id", "survivor_id").rows())
    assert duplicates == set(hub.lexical("b", "a").select("persona_id", "survivor_id").rows())
    assert all(survivor < duplicate for duplicate, survivor in duplicates)
    arrival = Hub(tmp_path)
    assert set(arrival.lexical("a", "b")["persona_id"]) != set(
        arrival.lexical("b", "a")["persona_id"]
    )


def test_a_persona_with_the_meaning_of_an_earlier_persona_is_dropped(tmp_path: Path) -> None:
    vectors = dict(zip("abcd", at_cosines(1.0, 0.95, 0.5, 0.85), strict=True))
    hub = Hub(tmp_path)
    publish(hub.storage, "persona_embeddings", "x", embeddings({key: vectors[key] for key in "ab"}))
    publish(hub.storage, "persona_embeddings", "y", embeddings({key: vectors[key] for key in "cd"}))
    duplicates = hub.semantic("x", "y")
    # d is similar to b (0.97), which is dropped, but not to a (0.85), so d is kept.
    assert duplicates.select("persona_id", "survivor_id", "stage").rows() == [
        ("b", "a", "semantic")
    ]
    assert duplicates["similarity"][0] == pytest.approx(0.95, abs=1e-3)
    reordered = hub.semantic("y", "x")
    assert reordered.select("persona_id", "survivor_id").rows() == [("b", "d")]
    assert hub.figures["rows_joined"] == 0
    assert len(Hub(tmp_path, semantic_threshold=0.96).semantic("x", "y")) == 1


def test_without_shards_or_rows_there_are_no_duplicates(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    hub.candidates("a", [])
    publish(hub.storage, "persona_embeddings", "a", typed_frame([], EMBEDDINGS))
    for duplicates in (hub.lexical(), hub.lexical("a"), hub.semantic(), hub.semantic("a")):
        assert duplicates.schema == DUPLICATES
        assert duplicates.is_empty()


def test_vectors_of_different_dimensions_are_refused(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    publish(hub.storage, "persona_embeddings", "x", embeddings({"a": [1.0, 0.0]}))
    publish(hub.storage, "persona_embeddings", "y", embeddings({"b": [1.0, 0.0, 0.0, 0.0]}))
    with pytest.raises(ValueError, match="2 and 4 dimensions: embed all with one model"):
        hub.semantic("x", "y")


def test_the_asset_on_spark_finds_the_duplicates_of_the_local_engine(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    hub.candidates("a.jsonl", [(NURSE, False), (NURSE, True), (ALMOST, True), ("", True)])
    hub.candidates("b.jsonl", [(SAME, True), (OTHER, True), ("a tailor of sails", True)])
    local = hub.lexical("a.jsonl", "b.jsonl")
    assert len(local) == 2
    defs = build_defs(
        Settings.load(data_dir=tmp_path, dedup_engine="spark", spark_master="local[2]")
    )
    job = defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection={dg.AssetKey("lexical_duplicates")}
    )
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("shards", ["a.jsonl", "b.jsonl"])
        result = job.execute_in_process(instance=instance)
    assert all(check.passed for check in result.get_asset_check_evaluations())
    [materialization] = result.asset_materializations_for_node("lexical_duplicates")
    assert materialization.metadata["engine"].value == "spark"
    assert materialization.metadata["shuffle_bytes_per_row"].value > 0
    assert hub.storage.scan("lexical_duplicates", None).collect().equals(local)
