"""A withdrawn text goes with all that was made from it, and nothing that remains is paid again."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from persona_assets.asset_names import asset_key
from persona_assets.assets.personas import HOPS
from persona_assets.generation.journal.purge import PURGED
from persona_assets.planning import cost
from persona_assets.planning.withdrawal import Descent, find_descent, find_texts
from persona_assets.planning.withdrawal_calls import bound_new_calls, total_calls
from persona_assets.resources.trained_models import MANIFEST, TrainedModel
from persona_assets.resources.training_outcome import Report
from persona_assets_tests.conftest import in_memory
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import SampleProject, StubTrainer

WITHDRAWN = "My name is Quillon Vastermark, an echo of fern, and I mend the bells of Orvendal."
TEXTS = {
    "a.jsonl": [WITHDRAWN, "The ferry to the islands leaves at noon when the tide allows it."],
    "b.jsonl": ["They sang an echo of fern.", f"  {WITHDRAWN.replace(' ', '  ')}"],
    "c.jsonl": ["A long letter about the price of barley in a wet year."],
}
"""The first personas of `a` and `b` mean the same: that of `b` is dropped, until that of `a` goes.
A copy with other white space is in `b`."""

SELECT = (
    "+key:fine_tuned_model or +key:unique_dialogues or +key:persona_clusters "
    "or +key:report_math_problems"
)

Command = Callable[..., tuple[int, str, str]]


class ModelFolders(StubTrainer):
    """Double of the trainer whose folders have the manifest by which a former model is removed."""

    def train(
        self, rows: Sequence[Mapping[str, str]], folder: Path, report: Report, **more: Any
    ) -> TrainedModel:
        trained = super().train(rows, folder, report, **more)
        (trained.path.parent / MANIFEST).write_text("{}")
        return trained


def prepared(project: SampleProject) -> SampleProject:
    project.values |= {
        "relations_per_persona": 1,
        "personas_per_hop": None,
        "tasks": {"math_problems": {"mode": "zero-shot"}, "dialogues": {"per_shard": None}},
        "prompting": {},
        "training_sizes": [2],
    }
    for role in ("writer", "solver", "second_solver", "embedder"):
        project.values[role] |= {"price": {"input": "2", "output": "10"}}
    project.trainer = ModelFolders()
    return project


@pytest.fixture(scope="module")
def made(environment: None) -> Iterator[SampleProject]:
    """Project whose tables are made."""
    with ModelServer() as server, in_memory() as root:
        tasks = ("math_problems", "dialogues")
        project = prepared(SampleProject(Path(root) / "made", server, tasks))
        for shard, texts in TEXTS.items():
            project.write(shard, texts)
        run(project)
        yield project


@pytest.fixture
def project(made: SampleProject, server: ModelServer, folder: Path) -> SampleProject:
    """Copy of the project, with a server that has received no request."""
    return prepared(made.copy(folder / "project", server))


def run(project: SampleProject, select: str = SELECT) -> None:
    assert [event.error for event in project.run(select) if event.error] == []


def text_id(project: SampleProject) -> str:
    rows = project.rows("raw_corpus", "a.jsonl")
    [found] = rows.filter(pl.col("text") == WITHDRAWN)["text_id"]
    return str(found)


def descent_of(project: SampleProject) -> Descent:
    project.catalog.rebuild()
    texts = find_texts(project.storage, project.catalog, [text_id(project)])
    return find_descent(project.storage, project.catalog, project.tables, texts)


def unique_words(project: SampleProject, descent: Descent) -> set[str]:
    """Return the names in rows of the text; the server puts names of its own into each row.

    Names that it also gave to personas of a shard without the text are left out.
    """
    words = set(re.findall("[A-Z][a-z]{6,}", WITHDRAWN))
    for asset in ("text_personas", "hop_1_personas", "math_problems", "dialogues"):
        rows = project.storage.shard_tables(asset).scan().collect()
        ids = descent.ids
        words |= {
            word
            for row in rows.iter_rows(named=True)
            if row[project.tables[asset].row_id] in ids
            for word in re.findall("[A-Z][a-z]{8,}", str(row))
        }
    others = [project.journal(asset, "c.jsonl") for asset in ("text_personas", *HOPS)]
    return {word for word in words if word not in str(others)}


def files_with(project: SampleProject, words: set[str]) -> set[str]:
    """Return the folders and files of the data folder that hold a word, tables uncompressed."""
    found: set[str] = set()
    for path in project.data.rglob("*"):
        if path.is_file():
            is_table = path.suffix == ".parquet"
            rows = pl.read_parquet(path).rows() if is_table else path.read_bytes()
            content = str(rows) if is_table else bytes(rows).decode("utf-8", "replace")
            if any(word in content for word in words):
                found.add(path.relative_to(project.data).parts[0])
    return found


def spent(project: SampleProject) -> tuple[int, int, Decimal]:
    """Return calls, failed calls and US dollars of all that the catalog accounts for."""
    project.catalog.rebuild()
    total = cost.usage_by(project.catalog, "asset").row(-1, named=True)
    return total["calls"], total["failed"], total["cost_usd"]


def test_text_leaves_every_table_and_returns(project: SampleProject, command: Command) -> None:
    """One story, as each run takes seconds: withdraw, run, undo, run, withdraw and purge, run."""
    before, paid = project.versions(), spent(project)
    descent = descent_of(project)
    words = unique_words(project, descent)
    assert len(words) > 20
    assert {"tables", "completions", "dagster_home"} <= files_with(project, words)
    assert descent.shards == ("a.jsonl", "b.jsonl")
    assert {"math_problems", "dialogues", "persona_map", "math_train"} <= set(descent.rows["asset"])
    assert ("fine_tuned_model", "2") in descent.whole
    with project.runner(SELECT) as runner:
        forecast = total_calls(
            bound_new_calls(project.project, runner.graph, project.tables, descent)
        )
    out = project.root / "out"
    terms = ("--model-terms", "writer=as agreed")
    assert command(project, "publish", "persona_hub", "--to", str(out), *terms)[0] == 0

    code, told, error = command(project, "withdraw", text_id(project))
    assert code == 1
    assert "add --yes" in error
    assert f"{out} holds" in told
    assert "1 duplicate of a row that goes may return" in told
    assert not project.storage.withdrawn.exists()
    assert project.versions() == before
    [problem] = project.rows("math_train")["sample_id"].head(1)
    code, _, error = command(project, "withdraw", problem, "--yes")
    assert (code, "is a row of math_problems and came from" in error) == (1, True)

    withdrawn = text_id(project)
    assert command(project, "withdraw", withdrawn, "--yes", "--reason", "asked")[0] == 0
    with project.runner("key:raw_corpus") as runner:
        [phase] = runner.phases()
        assert [(it.partition, it.reasons) for it in runner.stale(phase)] == [
            (shard, {"raw_corpus": "a text was withdrawn"}) for shard in descent.shards
        ]
    run(project)
    assert files_with(project, words) == {"completions"}
    assert project.storage.footer("raw_corpus", "b.jsonl").dropped == {"withdrawn": 1}
    returned = set(descent.returning["row_id"])
    assert returned <= set(project.rows("persona_hub", "b.jsonl")["persona_id"])
    calls = project.server.calls.total()
    assert 0 < calls <= forecast.most
    assert project.server.calls["embeddings"] == project.server.calls["text_to_persona"] == 0
    assert project.versions()["math_problems", "c.jsonl"] == before["math_problems", "c.jsonl"]
    assert "asked" in command(project, "withdraw", "--list")[1]
    now = spent(project)
    assert now[0] == paid[0] + calls
    with project.instance() as instance:
        # The run that made a table of another shard is gone, and the table is still reported.
        made = instance.get_materialized_partitions(asset_key("persona_map"))
    assert made == set(TEXTS)

    assert command(project, "withdraw", "--undo", withdrawn)[0] == 0
    run(project)
    assert project.server.calls.total() == calls
    kept = {"math_problems", "dialogues", "math_train", "persona_hub"}
    assert {k: v for k, v in project.versions().items() if k[0] in kept} == {
        k: v for k, v in before.items() if k[0] in kept
    }

    assert command(project, "withdraw", withdrawn, "--yes", "--purge")[0] == 0
    assert "to be purged" in command(project, "withdraw", "--list")[1]
    run(project)
    assert project.server.calls.total() == calls
    assert files_with(project, words) == set()
    assert project.storage.withdrawals().unpurged == set()
    assert spent(project) == now
    assert any(record.failure == PURGED for record in project.journaled())
    asked = [record.key for record in project.journal("math_problems", "b.jsonl")]
    kept_keys = set(project.rows("math_problems", "b.jsonl")["completion_id"])
    settled = {r.key for r in project.journal("math_problems", "b.jsonl") if r.answered}
    assert kept_keys == settled < set(asked)
    assert not any("purged" in reason for it in project.stale() for reason in it.reasons.values())


def test_text_that_comes_again_stays_withdrawn(
    project: SampleProject, server: ModelServer, command: Command
) -> None:
    """Also a ready persona, and beside a corpus file that has lost the text."""
    ready = project.root / "ready"
    ready.mkdir()
    persona = "A bell founder from Orvendal who sings."
    (ready / "own.jsonl").write_text(f'{{"persona": "{persona}"}}\n')
    project.values["ready_personas"] = str(ready)
    select = "key:raw_corpus"
    run(project, select)
    [ready_id] = project.rows("raw_corpus", ".personas/own.jsonl")["text_id"]
    assert command(project, "withdraw", text_id(project), ready_id, "--yes")[0] == 0
    project.write("a.jsonl", TEXTS["a.jsonl"][1:])
    project.write("later.jsonl", [f"{WITHDRAWN}\n", "Another letter."])
    run(project, select)
    assert project.rows("raw_corpus", ".personas/own.jsonl").is_empty()
    assert project.rows("raw_corpus", "later.jsonl")["text"].to_list() == ["Another letter."]
    with project.runner(select) as runner:
        assert not runner.anything_stale()
    assert command(project, "withdraw", "--undo", ready_id)[0] == 0
    with project.runner(select) as runner:
        [stale] = runner.stale(runner.phases()[0])
    assert (stale.partition, stale.reasons) == (
        ".personas/own.jsonl",
        {"raw_corpus": "a withdrawal was undone"},
    )
    assert server.calls.total() == 0


def test_refusals_name_the_cure(
    project: SampleProject, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "see persona-assets withdraw --list" in command(project, "withdraw", "--undo", "x")[2]
    assert "name texts by their ids" in command(project, "withdraw")[2]
    assert "no row nothing in the tables" in command(project, "withdraw", "nothing")[2]
    withdrawn = text_id(project)

    def answer_after_a_run(_: str) -> str:
        with project.instance() as instance:
            job = project.defs.resolve_implicit_global_asset_job_def()
            instance.report_run_failed(instance.create_run_for_job(job))
        return "y"

    with monkeypatch.context() as patch:
        patch.setattr("sys.stdin.isatty", lambda: True)
        patch.setattr("builtins.input", answer_after_a_run)
        code, _, error = command(project, "withdraw", withdrawn)
    assert (code, "a run has written tables meanwhile" in error) == (1, True)
    with project.instance() as instance:
        run_id = instance.create_run_for_job(project.defs.resolve_implicit_global_asset_job_def())
    code, _, error = command(project, "withdraw", withdrawn, "--yes")
    assert (code, run_id.run_id in error, "wait for its end" in error) == (1, True, True)
    assert not project.storage.withdrawn.exists()
