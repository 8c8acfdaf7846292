"""A strong model's bad answers, one in ten, are repaired or dropped: none is published."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from persona_assets_tests.sample_project import SampleProject
from persona_assets_tests.strong_model import FAULTS, StrongModel, marks_of, texts_of

TASKS = ("math_problems", "logic_problems", "instructions", "knowledge_texts", "game_npcs", "tools")
PUBLISHED = ("persona_hub", *TASKS, "math_solutions", "math_train", "math_test")
SELECT = " or ".join(f"+key:{asset}" for asset in PUBLISHED)
TEXTS = [
    f"Letter {number}: the {thing} needs mending before the frost."
    for number, thing in enumerate(["bell", "boat", "press", "kiln", "loom", "oven", "mast"])
]


@pytest.fixture(scope="module")
def strong(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleProject]:
    """Project of two shards, whose writer gives a third of bad answers."""
    with StrongModel(bad=0.35) as server:
        sample = SampleProject(tmp_path_factory.mktemp("strong") / "project", server)
        sample.write("a.jsonl", TEXTS[:4])
        sample.write("b.jsonl", TEXTS[4:])
        sample.values |= {
            "personas_per_hop": 1,
            "tasks": {"tools": {"per_persona": 2}, "logic_problems": {"per_persona": 2}},
            "max_quarantine_share": 1.0,
            "training_sizes": [],
        }
        assert [run.error for run in sample.run(SELECT) if run.error] == []
        yield sample


def rows(sample: SampleProject, asset: str) -> list[dict[str, Any]]:
    shards = (None,) if asset in ("math_train", "math_test") else sample.storage.shards(asset)
    return [row for shard in shards for row in sample.rows(asset, shard).iter_rows(named=True)]


def test_strong_model_made_every_fault(strong: SampleProject) -> None:
    server = strong.server
    assert isinstance(server, StrongModel)
    faults = Counter[str]()
    for (prompt, fault), count in server.faults.items():
        if prompt in TASKS:
            faults[fault] += count
    assert set(faults) == set(FAULTS)


@pytest.mark.parametrize("asset", PUBLISHED)
def test_published_table_shows_no_fault(strong: SampleProject, asset: str) -> None:
    published = rows(strong, asset)
    assert published
    # A person may end a request with "let me know".
    allowed = {"closing"} if asset == "instructions" else set()
    texts = [text for row in published for text in texts_of(row)]
    assert [(mark, text) for text in texts for mark in marks_of(text) if mark not in allowed] == []


@pytest.mark.parametrize("asset", TASKS)
def test_each_persona_is_a_row_or_a_drop_with_a_reason(strong: SampleProject, asset: str) -> None:
    for shard in strong.storage.shards(asset):
        personas = strong.rows("persona_hub", shard)
        dropped = strong.storage.quarantine(asset, shard)
        published = strong.rows(asset, shard)
        per_persona = strong.settings.task(asset).per_persona
        assert len(published) + len(dropped) == per_persona * len(personas)
        assert not set(published["sample_id"]) & set(dropped["id"])


def test_repairs_are_said_in_the_row(strong: SampleProject) -> None:
    names = {name for asset in TASKS for row in rows(strong, asset) for name in row["repairs"]}
    assert {"fence", "preamble", "boilerplate"} <= names


def test_reasons_name_rules_and_no_text(strong: SampleProject) -> None:
    reasons = {
        reason
        for asset in TASKS
        for shard in strong.storage.shards(asset)
        for reason in strong.storage.quarantine(asset, shard)["reason"]
    }
    assert {"refusal", "unfinished", "wrong_language", "repetition", "personal_data:card"} <= {
        reason.partition(": ")[0] for reason in reasons
    }
    assert not any("4539" in reason for reason in reasons)


def test_folder_of_tables_holds_no_card_number(strong: SampleProject, tmp_path: Path) -> None:
    for asset in ("text_personas", "hop_1_personas", "persona_candidates"):
        for row in rows(strong, asset):
            assert not any("4539" in text for text in texts_of(row))
