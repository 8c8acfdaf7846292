"""A task asks the personas that its settings choose, in the language of their texts."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from persona_assets.planning.plan import make_plan
from persona_assets.project import Project
from persona_assets.storage.footer import Footer
from persona_assets.storage.step_result import StepResult
from persona_assets_tests.conftest import in_memory
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import TEXTS, SampleProject

CHINESE_SHARD = "zh/villages.jsonl"
CHINESE_TEXTS = [
    "磨坊的钟声在清晨响起，渔夫们把网收进船里，准备去镇上卖鱼。",
    "村里的木匠说，今年的竹子比往年粗，可以做更结实的椅子。",
]
LANGUAGE_TASKS: Mapping[str, Any] = {
    "instructions": {"languages": ["zh"]},
    "math_problems": {"hops": [0], "per_shard": 2},
    "tools": {"language": "zh", "per_shard": 1},
}
TASKS = " or ".join(f"+key:{task}" for task in LANGUAGE_TASKS)


@pytest.fixture(scope="module")
def bilingual(finished: SampleProject) -> Iterator[SampleProject]:
    """Finished project with a Chinese shard, run up to three tasks."""
    with ModelServer() as server, in_memory() as root:
        project = finished.copy(Path(root) / "project", server)
        project.write(CHINESE_SHARD, CHINESE_TEXTS)
        project.values["tasks"] = LANGUAGE_TASKS
        assert [run.error for run in project.run(TASKS) if run.error] == []
        yield project


def languages(project: SampleProject, asset: str, shard: str) -> set[str]:
    return set(project.rows(asset, shard)["language"])


def test_chinese_texts_give_chinese_personas(bilingual: SampleProject) -> None:
    hub = bilingual.rows("persona_hub", CHINESE_SHARD)
    assert len(hub) > 2
    assert set(hub["language"]) == {"zh"}
    assert all(persona.startswith("一位住在") for persona in hub["persona"])
    assert set(hub["source"]) <= {f"{CHINESE_SHARD}#{row}" for row in (1, 2)}
    for shard in TEXTS:
        assert languages(bilingual, "persona_hub", shard) == {"en"}


def test_english_shards_are_asked_as_without_a_chinese_one(
    fresh: SampleProject, finished: SampleProject
) -> None:
    fresh.write(CHINESE_SHARD, CHINESE_TEXTS)
    assert [run.error for run in fresh.run("+key:hop_2_personas") if run.error] == []
    assert languages(fresh, "hop_2_personas", CHINESE_SHARD) == {"zh"}
    for asset in ("text_personas", "hop_1_personas", "hop_2_personas"):
        for shard in TEXTS:
            keys = {record.key for record in fresh.journal(asset, shard)}
            assert keys == {record.key for record in finished.journal(asset, shard)}


def test_task_asks_the_personas_of_a_language(bilingual: SampleProject) -> None:
    assert {len(bilingual.rows("instructions", shard)) for shard in TEXTS} == {0}
    samples = bilingual.rows("instructions", CHINESE_SHARD)
    assert len(samples) == len(bilingual.rows("persona_hub", CHINESE_SHARD))
    assert set(samples["language"]) == {"zh"}


def test_task_asks_the_personas_of_a_hop(bilingual: SampleProject) -> None:
    for shard in (*TEXTS, CHINESE_SHARD):
        hub = bilingual.rows("persona_hub", shard)
        asked = bilingual.rows("math_problems", shard)["persona_id"]
        roots = hub.filter(pl.col("hop") == 0)["persona_id"]
        assert set(asked) <= set(roots)
        assert len(asked) == min(2, len(roots))


def test_language_of_a_task_wins_over_that_of_the_persona(bilingual: SampleProject) -> None:
    for shard in TEXTS:
        assert languages(bilingual, "tools", shard) == {"zh"}


def test_plan_of_a_choice_counts_no_more_than_its_bound(bilingual: SampleProject) -> None:
    with bilingual.runner(TASKS) as runner:
        assert make_plan(Project(bilingual.settings), runner).assets == ()


def test_task_asks_the_personas_nearest_to_a_description(project: SampleProject) -> None:
    like = {"like": "A weaver who paints maps", "nearest": 1}
    project.values["tasks"] = {**project.values["tasks"], "knowledge_texts": like}
    [stale] = {reason for work in project.stale() for reason in work.reasons.values()}
    assert stale == "code or settings changed"
    assert {name for work in project.stale() for name in work.reasons} == {"knowledge_texts"}
    assert [run.error for run in project.run() if run.error] == []
    assert project.server.calls == {"embeddings": 1}
    for shard in TEXTS:
        assert len(project.rows("knowledge_texts", shard)) == 1
    assert told(project, "knowledge_texts")[0].endswith(
        "like 'A weaver who paints maps' the 1 nearest"
    )
    again = project.copy(project.root.parent / "again", project.server)
    again.values["tasks"] = project.values["tasks"]
    assert again.stale() == []


def told(project: SampleProject, task: str) -> list[str]:
    """Return the metadata on the choice of each shard's latest table."""
    import dagster as dg

    with project.instance() as instance:
        events = instance.fetch_materializations(dg.AssetKey(task), limit=10).records
        latest = [
            event.asset_materialization.metadata["chosen"].value
            for event in events
            if event.asset_materialization
        ]
    return [str(sentence) for sentence in latest][: len(TEXTS)]


def test_table_of_an_earlier_version_keeps_its_requests(project: SampleProject) -> None:
    storage = project.storage
    for shard in TEXTS:
        before = storage.footer("text_personas", shard)
        assert before is not None
        assert before.decisions["language_of_text"] == 1
        rows = storage.scan("text_personas", shard).collect().drop("language", "source")
        made = before.model_dump() | {"decisions": {}, "code_version": "1", "data_version": "1"}
        storage.write(StepResult(rows), Footer.model_validate(made))
        corpus = storage.footer("raw_corpus", shard)
        assert corpus is not None
        labelled = storage.scan("raw_corpus", shard).collect().with_columns(language=pl.lit("de"))
        storage.write(StepResult(labelled), corpus)
    assert [run.error for run in project.run("key:text_personas") if run.error] == []
    assert project.server.calls == {}
    for shard in TEXTS:
        footer = storage.footer("text_personas", shard)
        assert footer is not None
        assert "language_of_text" not in footer.decisions
        assert languages(project, "text_personas", shard) <= {"en"}
    project.edit("text_to_persona", "Be as specific", "Be very specific")
    assert [run.error for run in project.run("key:text_personas") if run.error] == []
    assert languages(project, "text_personas", "letters.txt") == {"de"}
