"""A renamed, repacked or split corpus, and a text in a second shard, cost no call twice."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from persona_assets.planning import cost
from persona_assets.planning.plan import make_plan
from persona_assets.planning.trial import try_task
from persona_assets.project import Project
from persona_assets.resources.models import Models
from persona_assets_tests.conftest import in_memory
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import SampleProject

SELECT = "+key:hop_1_personas"
TEXTS = [f"A letter about harbour number {number} and its tides." for number in range(6)]
REFUSED = "Please refuse this text about gulls."

Change = Callable[[SampleProject], None]


@pytest.fixture(scope="module")
def made(environment: None) -> Iterator[SampleProject]:
    """Project of two shards whose personas are paid for; tests copy it."""
    with ModelServer() as server, in_memory() as root:
        project = priced(SampleProject(Path(root) / "project", server))
        project.write("a.jsonl", TEXTS[:4])
        project.write("b.jsonl", [*TEXTS[4:], REFUSED])
        run(project)
        yield project


@pytest.fixture
def paid(made: SampleProject, server: ModelServer, folder: Path) -> SampleProject:
    """Copy of that project, with a server that has received no request."""
    return priced(made.copy(folder / "project", server))


def priced(project: SampleProject) -> SampleProject:
    """Set a price, and a relation for each persona."""
    project.values |= {"personas_per_hop": None, "relations_per_persona": 1, "tasks": {}}
    project.values["writer"]["price"] = {"input": "2", "output": "10"}
    return project


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
    # Probes have no shard.
    assert set(usage["shard"].drop_nulls()) == {"a.jsonl", "b.jsonl"}
    assert set(usage.filter(pl.col("shard").is_null())["asset"]) == {"endpoint_probe"}
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


def test_renamed_corpus_costs_no_call_up_to_its_samples(fresh: SampleProject) -> None:
    shutil.rmtree(fresh.corpus)
    # Each limit draws: a perspective of four, a persona per hop, half of the hub, problems.
    fresh.values |= {
        "perspectives": ["reads", "writes", "likes", "dislikes"],
        "personas_per_hop": 1,
        "tasks": {"instructions": {"share": 0.5}, "math_problems": {"per_shard": 3}},
        "prompting": {},
    }
    fresh.write("a.jsonl", TEXTS[:4])
    run(fresh, "+key:instructions or +key:math_solutions")
    calls = dict(fresh.server.calls)
    (fresh.corpus / "a.jsonl").rename(fresh.corpus / "renamed.jsonl")
    run(fresh, "+key:instructions or +key:math_solutions")
    # An embedding call holds many texts, in an order that depends on their ids, which are new.
    embeddings = {"embeddings": calls["embeddings"] + 1}
    assert dict(fresh.server.calls) in (calls, calls | embeddings)
    assert len(fresh.rows("instructions", "renamed.jsonl")) == calls["instructions"]


def test_plan_of_a_renamed_corpus_forecasts_no_call(paid: SampleProject) -> None:
    rename(paid)
    paid.write("new.jsonl", ["A text that is new.", TEXTS[5]])
    with paid.runner("+key:hop_2_personas") as runner:
        plan = make_plan(Project(paid.settings), runner)
    asked = paid.server.asked_of.total()
    forecasts = {forecast.asset: forecast for forecast in plan.assets}
    # Of seven texts, six have a persona.
    for asset, expected in (("text_personas", 1), ("hop_1_personas", 6 / 7)):
        assert forecasts[asset].tables == 1
        calls = forecasts[asset].calls
        assert calls is not None
        assert calls.estimate == pytest.approx(expected)
    # No table of the second round exists anywhere; that of the shard that is gone asks nothing.
    assert forecasts["hop_2_personas"].tables == 3
    run(paid, "+key:hop_1_personas")
    assert paid.server.asked_of.total() == asked + 2


def test_plan_of_a_renamed_corpus_counts_what_a_trial_left(fresh: SampleProject) -> None:
    shutil.rmtree(fresh.corpus)
    fresh.values |= {"tasks": {}, "prompting": {}}
    fresh.write("a.jsonl", TEXTS[:2])
    run(fresh, "+key:persona_hub")
    project = Project(fresh.settings)
    try_task(project, Models(fresh.settings, project.storage), "instructions", 1, lambda _: None)
    rename(fresh)
    with fresh.runner("+key:instructions") as runner:
        plan = make_plan(project, runner)
    assert "instructions" in [forecast.asset for forecast in plan.assets]


def test_plan_counts_calls_whose_demonstrations_depend_on_the_shard(paid: SampleProject) -> None:
    paid.values["prompting"] = {"persona_to_persona": {"mode": "few-shot", "shots": 1}}
    run(paid)
    rename(paid)
    with paid.runner(SELECT) as runner:
        plan = make_plan(Project(paid.settings), runner)
    [forecast] = plan.assets
    assert (forecast.asset, forecast.tables) == ("hop_1_personas", 1)
    assert forecast.calls is not None
    asked = paid.server.asked_of.total()
    run(paid, SELECT)
    assert forecast.calls.estimate == paid.server.asked_of.total() - asked == 4


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
    for asset, reused in (("text_personas", 3), ("hop_1_personas", 2)):
        with paid.instance() as instance:
            [record] = instance.fetch_materializations(dg.AssetKey(asset), limit=1).records
        assert record.asset_materialization is not None
        metadata = record.asset_materialization.metadata
        counts = [metadata[name].value for name in ("calls", "replayed", "reused")]
        assert counts == [0, 0, reused]


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
        run(project, "+key:text_personas")
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
