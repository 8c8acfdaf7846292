"""A table is stale for a stated reason: missing, new code, changed input, changed file."""

import os
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from persona_assets.orchestration.staleness import EARLIER, Graph, Phase, Stale, Staleness
from persona_assets.partitions import shards
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.resources.io_manager import PROMPT_VERSIONS
from persona_assets.storage.footer import Footer, SourceFile, Upstream
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import Storage

INPUTS = {
    "raw_corpus": [],
    "personas": ["raw_corpus"],
    "checked": ["personas"],
    "repeats": ["checked"],
    "hub": ["checked", "repeats"],
}


class World:
    """Corpus, tables of given data versions, and code versions that a test may change."""

    def __init__(self, folder: Path) -> None:
        self.storage = Storage(folder / "data")
        self.root = folder / "corpus"
        self.root.mkdir()
        self.corpus = Corpus(self.root)
        self.keys: list[str] = []
        self.code = dict.fromkeys(INPUTS, "c1")
        self.metadata: dict[str, Any] = {}
        self.prompts: dict[str, str] = {}

    @property
    def graph(self) -> Graph:
        specs = [
            dg.AssetSpec(
                name,
                deps=inputs,
                code_version=self.code[name],
                metadata=self.metadata,
                partitions_def=None if name == "repeats" else shards,
            )
            for name, inputs in INPUTS.items()
        ]
        # Dagster does not specify the order of its specs.
        return Graph(reversed(specs), {"shards": self.keys})

    @property
    def staleness(self) -> Staleness:
        return Staleness(self.graph, self.storage, self.corpus)

    def add(self, shard: str, text: str = "text") -> None:
        (self.root / shard).write_text(text)
        if shard not in self.keys:
            self.keys.append(shard)

    def write(self, asset: str, shard: str | None, version: str = "v1") -> None:
        """Write a table as a run would: with the current versions of its inputs."""
        upstream: list[Upstream] = []
        for name in INPUTS[asset]:
            for key in self.keys if shard is None else [None if name == "repeats" else shard]:
                version_read = self.storage.existing_footer(name, key).data_version
                upstream.append(Upstream(asset=name, shard=key, data_version=version_read))
        source: SourceFile | None = None
        if asset == "raw_corpus" and shard is not None:
            source = self.corpus.fingerprint(shard)
        footer = Footer(
            asset=asset,
            shard=shard,
            run_id="run",
            code_version=self.code[asset],
            prompt_versions=self.prompts,
            data_version=version,
            upstream=tuple(upstream),
            source=source,
        )
        self.storage.write(StepResult(pl.DataFrame({"n": [1]})), footer)

    def write_all(self) -> None:
        for asset in ("raw_corpus", "personas", "checked", "repeats", "hub"):
            for shard in [None] if asset == "repeats" else self.keys:
                self.write(asset, shard)

    def stale(self) -> dict[str | None, dict[str, str]]:
        """Return the reasons by partition, over all phases."""
        reasons: dict[str | None, dict[str, str]] = {}
        for phase in self.graph.phases():
            for work in self.staleness.stale(phase, self.graph.partitions_of(phase.partitions)):
                reasons.setdefault(work.partition, {}).update(work.reasons)
        return reasons


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.add("b.txt")
    world.add("a.txt")
    world.write_all()
    return world


def read_drops(world: World, asset: str, of: str, shard: str) -> None:
    """Write a table as one that was also made from the dropped rows of an input."""
    footer = world.storage.existing_footer(asset, None)
    dropped = world.storage.existing_footer(of, shard).dropped
    upstream = [
        up.model_copy(update={"dropped": dropped}) if (up.asset, up.shard) == (of, shard) else up
        for up in footer.upstream
    ]
    rewrite(world, asset, None, upstream=tuple(upstream))


def rewrite(world: World, asset: str, shard: str | None, **changes: Any) -> None:
    """Replace members of a table's footer."""
    footer = world.storage.existing_footer(asset, shard).model_copy(update=changes)
    world.storage.write(StepResult(world.storage.scan(asset, shard).collect()), footer)


def names(phases: list[Phase]) -> list[tuple[str | None, list[str]]]:
    return [(phase.partitions, [asset.name for asset in phase.assets]) for phase in phases]


def test_graph_is_cut_where_the_partition_set_changes(world: World) -> None:
    assert names(world.graph.phases()) == [
        ("shards", ["raw_corpus", "personas", "checked"]),
        (None, ["repeats"]),
        ("shards", ["hub"]),
    ]


def test_written_tables_are_fresh(world: World) -> None:
    assert world.stale() == {}
    assert world.staleness.first_stale() == []


def test_missing_table_is_stale_with_its_dependents_in_the_phase(world: World) -> None:
    world.storage.path("personas", "a.txt").unlink()
    assert world.stale() == {"a.txt": {"personas": "missing", "checked": "personas changed"}}


def test_changed_code_version_is_stale_in_every_shard(world: World) -> None:
    world.code["checked"] = "c2"
    changed = {"checked": "code or settings changed"}
    assert world.stale() == {"a.txt": changed, "b.txt": changed}


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({}, "code or settings changed"),
        ({EARLIER: ["c0", "c1"]}, "made by an earlier version of persona_assets"),
        ({EARLIER: ["c0"]}, "code or settings changed"),
        ({PROMPT_VERSIONS: {"tools": "p2", "judge": "p1"}}, "prompt tools changed"),
        ({PROMPT_VERSIONS: {"tools": "p2", "judge": "p2"}}, "prompt tools, judge changed"),
        ({PROMPT_VERSIONS: {"tools": "p1", "new": "p1"}}, "code or settings changed"),
    ],
)
def test_changed_part_is_named(world: World, metadata: dict[str, Any], reason: str) -> None:
    world.prompts = {"tools": "p1", "judge": "p1"}
    world.write("checked", "a.txt")
    world.code["checked"] = "c2"
    world.metadata = metadata
    assert world.stale()["a.txt"] == {"checked": reason}


def test_only_a_changed_data_version_of_an_input_is_stale(world: World) -> None:
    world.write("checked", "a.txt", "v1")
    assert world.stale() == {}
    world.write("checked", "a.txt", "v2")
    assert world.stale() == {
        None: {"repeats": "checked changed"},
        "a.txt": {"hub": "checked changed"},
    }
    world.write("repeats", None, "v1")
    assert world.stale() == {"a.txt": {"hub": "checked changed"}}
    world.write("repeats", None, "v2")
    world.write("hub", "a.txt")
    assert world.stale() == {"b.txt": {"hub": "repeats changed"}}


def test_new_shard_makes_a_step_over_all_shards_stale(world: World) -> None:
    world.add("c.txt")
    for asset in ("raw_corpus", "personas", "checked"):
        world.write(asset, "c.txt")
    assert world.stale() == {None: {"repeats": "checked changed"}, "c.txt": {"hub": "missing"}}


def test_staleness_compares_data_versions_of_over_a_hundred_shards(world: World) -> None:
    # From 100 upstream partitions up, Dagster itself no longer compares data versions.
    for number in range(120):
        world.add(f"{number}.txt")
    world.write_all()
    assert world.stale() == {}
    world.write("checked", "77.txt", "v2")
    assert world.stale()[None] == {"repeats": "checked changed"}


@pytest.mark.parametrize("touched", [False, True])
def test_file_is_changed_by_its_content_not_by_its_time(world: World, touched: bool) -> None:
    (world.root / "a.txt").write_text("text" if touched else "longer text")
    os.utime(world.root / "a.txt", ns=(1, 1))
    expected = {
        "raw_corpus": "corpus file changed",
        "personas": "raw_corpus is made again",
        "checked": "personas is made again",
    }
    assert world.stale() == ({} if touched else {"a.txt": expected})


def test_deleted_file_is_stale_once_and_again_when_it_returns(world: World) -> None:
    (world.root / "a.txt").unlink()
    assert world.stale()["a.txt"]["raw_corpus"] == "corpus file changed"
    world.write("raw_corpus", "a.txt", "empty")
    assert world.stale() == {
        "a.txt": {"personas": "raw_corpus changed", "checked": "personas is made again"}
    }
    world.add("a.txt")
    assert world.stale()["a.txt"]["raw_corpus"] == "corpus file changed"


def test_first_stale_phase_precedes_all_later_phases(world: World) -> None:
    world.code["hub"] = world.code["personas"] = "c2"
    assert [work.partition for work in world.staleness.first_stale()] == ["b.txt", "a.txt"]
    assert all("hub" not in work.reasons for work in world.staleness.first_stale())


def only(stale: list[Stale]) -> Stale:
    [work] = stale
    return work


def test_fingerprint_changes_with_every_input_of_a_retry(world: World) -> None:
    world.storage.path("hub", "a.txt").unlink()
    first = only(world.staleness.first_stale())
    assert only(world.staleness.first_stale()).fingerprint == first.fingerprint
    world.code["hub"] = "c2"
    second = {work.partition: work.fingerprint for work in world.staleness.first_stale()}
    world.code["hub"] = "c3"
    third = {work.partition: work.fingerprint for work in world.staleness.first_stale()}
    world.write("repeats", None, "v9")
    fourth = {work.partition: work.fingerprint for work in world.staleness.first_stale()}
    assert len({first.fingerprint, *second.values(), *third.values(), *fourth.values()}) == 7


def test_reason_names_the_first_changed_input(world: World) -> None:
    world.write("checked", "a.txt", "v2")
    world.write("repeats", None, "v2")
    assert world.stale()["a.txt"] == {"hub": "checked changed"}


def test_table_made_from_dropped_rows_is_stale_when_only_these_changed(world: World) -> None:
    read_drops(world, "repeats", "checked", "a.txt")
    assert world.stale() == {}
    for count in (1, 2):
        rewrite(world, "checked", "a.txt", dropped={"refusal": count})
        assert world.stale() == {None: {"repeats": "dropped rows of checked changed"}}
        read_drops(world, "repeats", "checked", "a.txt")
        assert world.stale() == {}


def test_dropped_rows_that_changed_give_another_fingerprint(world: World) -> None:
    read_drops(world, "repeats", "checked", "a.txt")
    fingerprints: set[str] = set()
    for count in (1, 2):
        rewrite(world, "checked", "a.txt", dropped={"refusal": count})
        [work] = world.staleness.first_stale()
        fingerprints.add(work.fingerprint)
    assert len(fingerprints) == 2
