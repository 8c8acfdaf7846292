"""A new shard is placed on the map as it is; a refit moves all personas, and buys nothing."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
import polars as pl
import pytest

from persona_assets.assets.graph import load_assets
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.settings import SettingsError, Task
from persona_assets.storage.footer import Footer
from persona_assets_tests.sample_project import ROOT, TEXTS, SampleProject
from persona_assets_tests.sample_tables import publish

MAP = "+key:persona_clusters"
PLACES = "key:map_landmarks or key:persona_map or key:persona_clusters"

Command = Callable[..., tuple[int, str, str]]


def footer(project: SampleProject, asset: str, shard: str | None = None) -> Footer:
    return project.storage.existing_footer(asset, shard)


def metadata(project: SampleProject, asset: str) -> Mapping[str, Any]:
    """Return the metadata of the latest materialization of an asset."""
    with project.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def test_map_places_the_hub_and_its_clusters_add_up(finished: SampleProject) -> None:
    hubs, places = (
        pl.concat([finished.rows(asset, shard) for shard in TEXTS])
        for asset in ("persona_hub", "persona_map")
    )
    clusters = finished.rows("persona_clusters")
    assert places["persona_id"].to_list() == hubs["persona_id"].to_list()
    assert dict(clusters.select("cluster", "size").iter_rows()) == dict(
        places["cluster"].value_counts().iter_rows()
    )
    assert set(finished.rows("map_landmarks")["persona_id"]) == set(hubs["persona_id"])
    shown = metadata(finished, "persona_clusters")
    assert shown["left_off"] == 0
    assert shown["map"].startswith("![map](data:image/svg+xml;base64,")
    assert len(shown["map"]) < 1_000 < len(shown["map_in_full"])


def test_new_shard_costs_only_itself_and_the_map_stays(project: SampleProject) -> None:
    landmarks = footer(project, "map_landmarks")
    before = {shard: footer(project, "persona_map", shard) for shard in TEXTS}
    assert metadata(project, "map_landmarks")["fit"] == "new"
    project.write(
        "later.jsonl", ["The ferry leaves at nine, and the ferryman sings.", "Two looms."]
    )
    assert [run.error for run in project.run(MAP) if run.error] == []
    again = footer(project, "map_landmarks")
    assert again.run_id != landmarks.run_id
    assert (again.data_version, again.decisions) == (landmarks.data_version, landmarks.decisions)
    assert {shard: footer(project, "persona_map", shard) for shard in TEXTS} == before
    shown = metadata(project, "map_landmarks")
    assert shown["fit"] == "kept"
    new = len(project.rows("persona_hub", "later.jsonl"))
    assert new > 0
    assert shown["personas"] - shown["personas_at_the_fit"] == new
    assert shown["came_after_the_fit"] == pytest.approx(new / shown["personas"])
    assert len(project.rows("persona_map", "later.jsonl")) == new
    made = {"persona_hub", "map_landmarks", "persona_map", "persona_clusters"}
    assert made.isdisjoint(name for work in project.stale() for name in work.reasons)


def test_refit_moves_all_personas_and_asks_no_model(
    project: SampleProject, command: Command
) -> None:
    before = project.versions()
    code, out, err = command(project, "refit", "--clusters", "2")
    assert (code, err) == (0, "")
    assert "persona_map" in out
    changed = {
        asset for asset, shard in before if project.versions()[asset, shard] != before[asset, shard]
    }
    assert changed == {"map_landmarks", "persona_map", "persona_clusters"}
    assert project.rows("map_landmarks")["cluster"].n_unique() == 2
    assert project.server.bodies == []
    assert project.stale() == []
    # Another run keeps the new fit.
    fitted = footer(project, "map_landmarks").data_version
    (project.data / "tables" / "persona_clusters.parquet").unlink()
    project.run(PLACES)
    assert footer(project, "map_landmarks").data_version == fitted


def test_refit_of_a_hub_without_tables_names_what_to_make(
    fresh: SampleProject, command: Command
) -> None:
    code, _, err = command(fresh, "refit")
    assert code == 1
    assert "persona_embeddings of shard" in err
    assert err.endswith("first\n")


def test_personas_without_a_vector_are_left_off_and_counted(project: SampleProject) -> None:
    shard = next(iter(TEXTS))
    embeddings = project.rows("persona_embeddings", shard)
    [gone, *_] = project.rows("persona_hub", shard)["persona_id"]
    lost = pl.col("persona_id") == gone
    zeros = pl.col("vector").list.eval(pl.element() * 0)
    publish(
        project.storage,
        "persona_embeddings",
        shard,
        embeddings.with_columns(
            vector=pl.when(lost).then(zeros).otherwise("vector"),
            confusion=pl.when(lost).then(1.0).otherwise("confusion"),
        ),
    )
    before = footer(project, "map_landmarks").data_version
    assert [run.error for run in project.run(PLACES) if run.error] == []
    assert gone not in project.rows("persona_map", shard)["persona_id"]
    assert project.storage.quarantine("persona_map", shard).rows() == [
        (gone, "persona_map", "no_vector")
    ]
    assert metadata(project, "persona_clusters")["left_off"] == 1
    assert footer(project, "map_landmarks").data_version == before


def test_map_of_a_task_that_spreads_over_clusters_is_that_of_its_shard(
    project: SampleProject, command: Command
) -> None:
    project.values["tasks"] = {
        **project.values["tasks"],
        "tools": {"per_shard": 2, "stratify": "cluster"},
    }
    assert project.assets["tools"].inputs == ["persona_hub", "persona_map"]
    assert project.assets["game_npcs"].inputs == ["persona_hub"]
    assert [run.error for run in project.run("key:tools") if run.error] == []
    for shard in TEXTS:
        asked = project.rows("tools", shard)["persona_id"]
        places = project.rows("persona_map", shard)
        assert set(asked) <= set(places["persona_id"])
        clusters = places.filter(pl.col("persona_id").is_in(asked.implode()))["cluster"]
        assert clusters.n_unique() == min(2, places["cluster"].n_unique(), len(asked))
    command(project, "refit", "--clusters", "1")
    stale = {name for work in project.stale() for name in work.reasons}
    assert "tools" in stale
    assert "game_npcs" not in stale


def test_shipped_tasks_do_not_depend_on_the_map() -> None:
    prompts = Prompts(ROOT / "prompts")
    tasks = {name: prompt.head.settings or Task() for name, prompt in prompts.tasks.items()}
    assets = load_assets(prompts, tasks)
    assert [name for name in prompts.tasks if "persona_map" in assets[name].inputs] == []


def test_unknown_stratum_is_refused_with_the_known_ones() -> None:
    from persona_assets.settings import Settings

    with pytest.raises(SettingsError, match="'hop', 'language' or 'cluster'"):
        Settings.load(tasks={"tools": {"stratify": "hub"}}, data_dir="d")
