"""A renamed, repacked or split corpus, and a text in a second shard, cost no call twice."""

import json
import shutil
import signal
from collections.abc import Callable, Sequence

import polars as pl
import pytest

from persona_assets.planning import cost
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import SampleProject

SELECT = "+key:hop_1_personas"
TEXTS = [f"A letter about harbour number {number} and its tides." for number in range(6)]
REFUSED = "Please refuse this text about gulls."

Change = Callable[[SampleProject], None]


@pytest.fixture
def paid(fresh: SampleProject) -> SampleProject:
    """Project of two shards whose personas are paid for; no limit draws personas by their ids."""
    shutil.rmtree(fresh.corpus)
    fresh.values |= {"personas_per_hop": None, "relations_per_persona": 1, "tasks": {}}
    fresh.values["writer"]["price"] = {"input": "2", "output": "10"}
    fresh.write("a.jsonl", TEXTS[:4])
    fresh.write("b.jsonl", [*TEXTS[4:], REFUSED])
    run(fresh)
    return fresh


def run(project: SampleProject, select: str = SELECT) -> None:
    assert [event.error for event in project.run(select) if event.error] == []


def rename(project: SampleProject) -> None:
    (project.corpus / "a.jsonl").rename(project.corpus / "renamed.jsonl")


def repack(project: SampleProject) -> None:
    (project.corpus / "a.jsonl").unlink()
    (project.corpus / "b.jsonl").unlink()
    project.write("both.jsonl", [REFUSED, *TEXTS])


def split(project: SampleProject) -> None:
    (project.corpus / "a.jsonl").unlink()
    project.write("a1.jsonl", TEXTS[:3:2])
    project.write("a2.jsonl", TEXTS[1:4:2])


def repeat(project: SampleProject) -> None:
    project.write("c.jsonl", [TEXTS[5], REFUSED, TEXTS[0]])


CHANGES: dict[str, tuple[Change, dict[str, Sequence[str]]]] = {
    "rename": (rename, {"renamed.jsonl": TEXTS[:4], "a.jsonl": []}),
    "repack": (repack, {"both.jsonl": TEXTS, "a.jsonl": [], "b.jsonl": []}),
    "split": (split, {"a1.jsonl": TEXTS[:3:2], "a2.jsonl": TEXTS[1:4:2], "a.jsonl": []}),
    "repeat": (repeat, {"c.jsonl": [TEXTS[5], TEXTS[0]], "a.jsonl": TEXTS[:4]}),
}
"""Change of the corpus, and texts by shard that have personas afterwards."""


def personas(project: SampleProject, shard: str) -> dict[str, str]:
    """Return the persona of each text of a shard."""
    rows = project.rows("text_personas", shard)
    texts = project.rows("raw_corpus", shard).select("text_id", "text")
    joined = rows.join(texts, left_on="parent_id", right_on="text_id", validate="m:1")
    assert len(joined) == len(rows)
    return dict(joined.select("text", "persona").iter_rows())


def totals(project: SampleProject) -> dict[str, object]:
    project.catalog.rebuild()
    row: dict[str, object] = cost.usage_by(project.catalog, "asset").row(-1, named=True)
    return row


@pytest.mark.parametrize("change", CHANGES)
def test_changed_corpus_costs_no_call_and_has_the_same_answers(
    paid: SampleProject, change: str
) -> None:
    known = {**personas(paid, "a.jsonl"), **personas(paid, "b.jsonl")}
    before, asked = totals(paid), paid.server.asked_of.total()
    apply, shards = CHANGES[change]
    apply(paid)
    run(paid)
    assert paid.server.asked_of.total() == asked
    for shard, texts in shards.items():
        assert personas(paid, shard) == {text: known[text] for text in texts}
    # Each row has an id and a parent of its own shard, down to the next round.
    rows = pl.concat(paid.rows("text_personas", shard) for shard in shards)
    assert rows["persona_id"].is_unique().all()
    hops = pl.concat(paid.rows("hop_1_personas", shard) for shard in shards)
    assert len(hops) == len(rows)
    assert set(hops["parent_id"]) == set(rows["persona_id"])
    # The money is that of before, and where it was paid.
    assert totals(paid) == before
    usage = paid.catalog.usage()
    assert set(usage["shard"]) == {"a.jsonl", "b.jsonl"}
    for shard, texts in shards.items():
        completions = paid.catalog.query(
            "SELECT c.reused, c.cost_usd IS NOT NULL AS has_cost FROM text_personas p "
            "JOIN completions c ON c.key = p.completion_id AND c.asset = 'text_personas' "
            "AND c.shard = p.shard WHERE p.shard = ?",
            [shard],
        )
        is_new = shard not in ("a.jsonl", "b.jsonl")
        assert completions.rows() == [(is_new, True)] * len(texts)
        for row in paid.rows("hop_1_personas", shard)["persona_id"]:
            chain = paid.catalog.trace(row)
            assert chain["asset"].to_list() == ["hop_1_personas", "text_personas", "raw_corpus"]
            assert set(chain["shard"]) == {shard}
    assert paid.stale() == [] or {
        name for work in paid.stale() for name in work.reasons
    }.isdisjoint({"raw_corpus", "text_personas", "hop_1_personas"})


def test_renamed_corpus_costs_no_call_up_to_its_samples(paid: SampleProject) -> None:
    select = "+key:instructions or +key:math_solutions"
    paid.values["prompting"] = {}
    run(paid, select)
    calls = dict(paid.server.calls)
    for shard in ("a", "b"):
        (paid.corpus / f"{shard}.jsonl").rename(paid.corpus / f"{shard} renamed.jsonl")
    run(paid, select)
    # An embedding call holds a batch of texts in the order of their ids, which are new.
    assert dict(paid.server.calls) | {"embeddings": 0} == calls | {"embeddings": 0}
    for task in ("instructions", "math_problems"):
        assert len(paid.rows(task, "a renamed.jsonl")) > 0


def test_responses_of_a_removed_shard_stay_usable(paid: SampleProject) -> None:
    asked = paid.server.asked_of.total()
    (paid.corpus / "a.jsonl").rename(paid.root / "away.jsonl")
    run(paid)
    assert personas(paid, "a.jsonl") == {}
    for path in (paid.data / "tables").rglob("a.jsonl-*"):
        path.unlink()
    (paid.root / "away.jsonl").rename(paid.corpus / "back.jsonl")
    run(paid)
    assert len(personas(paid, "back.jsonl")) == 4
    assert paid.server.asked_of.total() == asked


def test_metadata_of_a_table_tells_reused_calls(paid: SampleProject) -> None:
    repeat(paid)
    run(paid)
    with paid.instance() as instance:
        metadata = {
            event.asset_key.to_user_string(): event.asset_materialization.metadata
            for record in instance.get_records_for_run(
                next(run for run in instance.get_runs()).run_id, of_type=None
            ).records
            if (event := record.event_log_entry.dagster_event)
            and event.is_step_materialization
            and event.asset_key
            and event.asset_materialization
        }
    counts = {
        name: tuple(one[kind].value for kind in ("calls", "replayed", "reused"))
        for name, one in metadata.items()
        if "reused" in one
    }
    assert counts == {"text_personas": (0, 0, 3), "hop_1_personas": (0, 0, 2)}


def test_reused_calls_of_a_failed_run_are_found_in_its_journal(paid: SampleProject) -> None:
    """A run that dies between the copy and the table goes on from its own journal."""
    with ModelServer(latency=0.05) as server:
        project = SampleProject(paid.root, server)
        project.values = paid.values | {
            role: {**paid.values[role], "base_url": server.url}
            for role in ("writer", "solver", "second_solver", "judge", "evaluation", "embedder")
        }
        project.values["writer"]["concurrency"] = 1
        project.write("c.jsonl", [*TEXTS, *(f"A new text {number}." for number in range(9))])
        with project.command("run", "--select", "+key:text_personas") as process:
            server.wait_for(2)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        journal = project.journal("text_personas", "c.jsonl")
        assert sum(record.reused for record in journal) == len(TEXTS)
        with project.command("run", "--select", "+key:text_personas") as process:
            out, err = process.communicate()
        assert (process.returncode, err) == (0, ""), out
        assert len(project.rows("text_personas", "c.jsonl")) == 15
        assert 9 <= server.calls.total() <= 10
        assert len(project.journal("text_personas", "c.jsonl")) == 15


def test_project_without_an_index_or_with_a_damaged_one_reuses_all_the_same(
    paid: SampleProject,
) -> None:
    asked = paid.server.asked_of.total()
    index = paid.data / "paid_keys"
    shutil.rmtree(index)
    rename(paid)
    run(paid)
    for path in index.iterdir():
        path.write_bytes(b"garbage")
    (paid.corpus / "renamed.jsonl").rename(paid.corpus / "again.jsonl")
    run(paid)
    assert paid.server.asked_of.total() == asked
    assert json.loads((index / "manifest.json").read_text())["segments"]
