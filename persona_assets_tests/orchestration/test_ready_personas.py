"""Ready personas: a shard of their own kind that costs no call and then goes the way of all."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import TEXTS, SampleProject
from persona_assets_tests.shared_data import shared_file

SHARD = ".personas/nemotron/part-0.jsonl"
HUB = "+key:persona_hub"
HOPS = [f"hop_{number}_personas" for number in range(1, 7)]
NEW = [
    "A tram driver from Lodz who photographs the first and last passenger of every shift",
    "An orchard keeper who grafts forgotten pears and lends out the ladders",
]


def nemotron(personas: Sequence[str]) -> list[dict[str, Any]]:
    """Return rows with the columns of Nemotron-Personas."""
    return [
        {"uuid": f"u{number}", "professional_persona": "A worker", "persona": text, "age": 40}
        for number, text in enumerate(personas)
    ]


def add(project: SampleProject, rows: Sequence[Mapping[str, Any]], shard: str = SHARD) -> Path:
    """Write a table of ready personas."""
    folder = project.root / "ready"
    project.values["ready_personas"] = folder
    path = folder / shard.removeprefix(".personas/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def run(project: SampleProject, select: str = HUB) -> None:
    assert [run.error for run in project.run(select) if run.error] == []


@pytest.fixture(scope="module")
def made(
    finished: SampleProject, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SampleProject]:
    """Finished project with two new ready personas, one that it has already, and one too short.

    Tests must not change it.
    """
    with ModelServer() as server:
        project = finished.copy(tmp_path_factory.mktemp("made") / "project", server)
        known = project.rows("persona_hub", "forum/birds.jsonl")["persona"][0]
        add(project, nemotron([NEW[0], known, "nurse", NEW[1]]))
        run(project)
        yield project


@pytest.fixture
def joined(made: SampleProject, server: ModelServer, folder: Path) -> SampleProject:
    """Copy of the project with ready personas."""
    copy = made.copy(folder / "project", server)
    copy.values["ready_personas"] = copy.root / "ready"
    return copy


def test_ready_personas_cost_no_call_and_are_not_expanded(made: SampleProject) -> None:
    assert set(made.server.calls) == {"embeddings"}
    assert made.rows("text_personas", SHARD)["persona"].to_list()[::3] == NEW
    assert [len(made.rows(hop, SHARD)) for hop in HOPS] == [0] * 6
    for asset in ("text_personas", *HOPS):
        assert made.journal(asset, SHARD) == []


def test_ready_personas_are_filtered_and_the_earlier_persona_survives(
    made: SampleProject,
) -> None:
    candidates = made.rows("persona_candidates", SHARD)
    assert candidates["reason"].to_list() == [None, None, "too_short", None]
    assert candidates["relation"].unique().to_list() == ["ready"]
    assert candidates["hop"].unique().to_list() == [0]
    assert made.rows("persona_hub", SHARD)["persona"].to_list() == NEW
    planted = candidates["persona_id"][1]
    duplicates = made.rows("lexical_duplicates").filter(pl.col("persona_id") == planted)
    [survivor] = duplicates["survivor_id"]
    assert survivor in made.rows("persona_hub", "forum/birds.jsonl")["persona_id"].to_list()


def test_ready_personas_change_no_shard_of_texts(project: SampleProject) -> None:
    before = {table: version for table, version in project.versions().items() if table[1]}
    add(project, nemotron(NEW))
    run(project)
    after = project.versions()
    assert {table: after[table] for table in before} == before


def test_ready_personas_have_licence_and_source_down_to_their_samples(
    joined: SampleProject,
) -> None:
    texts = joined.rows("raw_corpus", SHARD)
    assert texts["licence"].unique().to_list() == ["CC-BY-4.0"]
    assert texts["source"].to_list() == [f"nvidia/Nemotron-Personas: u{n}" for n in range(4)]
    run(joined, "key:game_npcs")
    samples = joined.rows("game_npcs", SHARD)
    assert len(samples) == 2
    assert samples["licence"].unique().to_list() == ["CC-BY-4.0"]
    chain = joined.catalog.trace(samples["sample_id"][0])
    assert [step["asset"] for step in chain.iter_rows(named=True)][-1] == "raw_corpus"
    assert len(chain) == 3


def test_ready_personas_come_after_all_texts(joined: SampleProject) -> None:
    assert joined.storage.shards("raw_corpus") == [*TEXTS, SHARD]
    corpus = Corpus.of(joined.settings)
    joined.write("zebra.jsonl", ["A zebra in the market."])
    assert corpus.shards() == [*TEXTS, "zebra.jsonl", SHARD]


def test_ready_file_that_is_edited_renamed_or_removed_behaves_as_a_corpus_file(
    joined: SampleProject,
) -> None:
    assert joined.stale() == [] or {work.partition for work in joined.stale()} <= {None, SHARD}
    kept = joined.rows("persona_hub", SHARD)["persona_id"].to_list()
    path = add(joined, nemotron([*NEW[:1], "A lock keeper who reads the canal's diaries aloud"]))
    run(joined)
    assert joined.rows("persona_hub", SHARD)["persona_id"][0] == kept[0]
    assert len(joined.rows("raw_corpus", SHARD)) == 2

    path.rename(path.with_name("renamed.jsonl"))
    run(joined)
    renamed = ".personas/nemotron/renamed.jsonl"
    assert joined.rows("raw_corpus", SHARD).is_empty()
    assert len(joined.rows("persona_hub", renamed)) == 2

    path.with_name("renamed.jsonl").unlink()
    joined.values["ready_personas"] = None
    run(joined)
    assert joined.rows("persona_hub", renamed).is_empty()
    assert joined.server.calls.keys() <= {"embeddings"}


def test_bad_rows_of_ready_personas_are_in_quarantine(project: SampleProject) -> None:
    path = add(project, [{"persona": NEW[0]}, {"persona": 7}, {"name": "x"}, {"persona": NEW[0]}])
    with path.open("a") as file:
        file.write("{broken\n")
    run(project, "key:raw_corpus")
    dropped = project.storage.quarantine("raw_corpus", SHARD)
    assert sorted(dropped["reason"].str.split(":").list.first()) == [
        "malformed_json",
        "missing_text",
        "repeat",
        "text_not_a_string",
    ]
    assert project.rows("raw_corpus", SHARD)["licence"].to_list() == ["unknown"]


def test_table_without_personas_names_its_columns_and_the_setting(project: SampleProject) -> None:
    add(project, [{"bio": NEW[0], "n": 1}])
    [error] = [run.error for run in project.run("key:raw_corpus")]
    assert "'bio', 'n'" in error
    assert "PERSONA_READY_FIELDS" in error
    project.values["ready_fields"] = {"persona": "bio"}
    run(project, "key:raw_corpus")
    assert project.rows("raw_corpus", SHARD)["text"].to_list() == NEW[:1]


def test_hub_size_gives_ready_personas_no_part(fresh: SampleProject) -> None:
    for shard, texts in TEXTS.items():
        fresh.write(shard, texts)
    add(fresh, nemotron(NEW * 50))
    fresh.values.update(hub_size=24, personas_per_hop=None)
    run(fresh, "+key:persona_candidates")
    decisions = [fresh.storage.existing_footer(HOPS[0], shard).decisions for shard in TEXTS]
    assert sum(part["personas"] for part in decisions) == pytest.approx(24)
    assert fresh.storage.existing_footer(HOPS[0], SHARD).decisions == {}


def test_ready_per_shard_reads_the_head(fresh: SampleProject) -> None:
    fresh.write("a.jsonl", ["One text.", "Another text."])
    add(fresh, nemotron(NEW))
    fresh.values.update(texts_per_shard=2, ready_per_shard=1)
    run(fresh, "key:raw_corpus")
    assert [len(fresh.rows("raw_corpus", shard)) for shard in ("a.jsonl", SHARD)] == [2, 1]


def test_settings_of_ready_personas_leave_code_versions_alone_until_they_are_set(
    fresh: SampleProject,
) -> None:
    def version() -> str | None:
        key = dg.AssetKey("raw_corpus")
        return next(s for s in fresh.defs.resolve_all_asset_specs() if s.key == key).code_version

    before = version()
    fresh.values["ready_personas"] = fresh.root
    assert version() == before
    fresh.values["ready_fields"] = {"persona": "bio"}
    assert version() != before


def test_personas_of_the_authors_release_cost_no_call(fresh: SampleProject) -> None:
    lines = shared_file("personahub_tool.jsonl").read_text("utf-8").splitlines()[:200]
    fresh.write("a.jsonl", ["A letter about the tides at the old pier, and who kept the log."])
    add(fresh, [json.loads(line) for line in lines], ".personas/tool.jsonl")
    run(fresh)
    ready = ".personas/tool.jsonl"
    assert len(fresh.rows("text_personas", ready)) == 200
    assert set(fresh.rows("raw_corpus", ready)["licence"]) == {"CC-BY-NC-SA-4.0"}
    assert len(fresh.journal("text_personas", "a.jsonl")) == 1
    for asset in ("text_personas", *HOPS):
        assert fresh.journal(asset, ready) == []
    spent = Project(fresh.settings).storage
    assert spent.existing_footer("persona_hub", ready).rows > 150
