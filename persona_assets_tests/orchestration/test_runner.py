"""The runner makes the whole graph, and again exactly what changed, over a real HTTP server."""

from collections.abc import Mapping

import polars as pl
import pytest

from persona_assets.orchestration.runner import Finished, Fresh
from persona_assets.storage.step_result import QUARANTINE_SCHEMA
from persona_assets_tests.sample_project import TEXTS, SampleProject

BIRDS, LETTERS = TEXTS
HUB = "+key:persona_hub"
"""Dagster's selection of the hub with all its ancestors."""


def assets_by_partition(runs: list[Finished]) -> dict[str | None, set[str]]:
    """Return the assets of runs by partition."""
    assets: dict[str | None, set[str]] = {}
    for run in runs:
        assets.setdefault(run.work.partition, set()).update(run.work.reasons)
    return assets


def errors(runs: list[Finished]) -> dict[str | None, str]:
    return {run.work.partition: run.error for run in runs if run.error}


def contents(project: SampleProject) -> Mapping[str, bytes]:
    """Return the bytes of every table, quarantine and journal by its path."""
    folders = [project.data / kind for kind in ("tables", "quarantine", "journals")]
    files = [file for folder in folders for file in folder.rglob("*.*") if file.suffix != ".lock"]
    return {str(file.relative_to(project.data)): file.read_bytes() for file in files}


def test_run_makes_every_table_of_the_graph(finished: SampleProject) -> None:
    with finished.runner() as runner:
        assert runner.size() == len(finished.versions())


def test_every_input_row_is_published_or_quarantined(finished: SampleProject) -> None:
    def rows_and_drops(asset: str, shard: str | None) -> int:
        return len(finished.rows(asset, shard)) + len(finished.storage.quarantine(asset, shard))

    for shard, texts in TEXTS.items():
        assert rows_and_drops("raw_corpus", shard) == len(texts)
        assert rows_and_drops("text_personas", shard) == len(finished.rows("raw_corpus", shard))
        candidates = finished.rows("persona_candidates", shard)
        generations = ["text_personas", *(f"hop_{number}_personas" for number in range(1, 7))]
        assert len(candidates) == sum(len(finished.rows(name, shard)) for name in generations)
        survivors = finished.rows("lexical_survivors", shard)
        assert rows_and_drops("lexical_survivors", shard) == len(candidates)
        assert rows_and_drops("persona_embeddings", shard) == len(survivors)
        assert rows_and_drops("persona_hub", shard) == len(survivors)
        assert rows_and_drops("logic_problems", shard) == len(finished.rows("persona_hub", shard))
        assert rows_and_drops("tools", shard) == 2
        held_out = len(finished.rows("math_problems", shard)) // 2
        assert rows_and_drops("math_solutions", shard) == 4 + 2 * held_out
    assert rows_and_drops("math_test", None) == 4
    assert rows_and_drops("math_train", None) == 4


def test_footers_count_rows_and_quarantined_rows(finished: SampleProject) -> None:
    for _, footer in finished.storage.footers():
        dropped = finished.storage.quarantine(footer.asset, footer.shard)
        assert dropped.schema == QUARANTINE_SCHEMA
        assert sum(footer.dropped.values()) == len(dropped)
        assert footer.rows == len(finished.rows(footer.asset, footer.shard))
    refused = finished.storage.quarantine("text_personas", BIRDS)
    assert refused["reason"].to_list() == ["refused: the model refused"]


def test_completion_of_every_row_is_in_a_journal(finished: SampleProject) -> None:
    ids = set[str]()
    for _, footer in finished.storage.footers():
        rows = finished.rows(footer.asset, footer.shard)
        if "results" in rows.columns:
            rows = rows.select(pl.col("results").explode()).unnest("results")
        if "completion_id" in rows.columns:
            ids |= set(rows["completion_id"].drop_nulls())
    assert len(ids) > 100
    assert ids <= {record.key for record in finished.journaled()}


def test_each_response_is_paid_for_once(finished: SampleProject) -> None:
    paid = [record for record in finished.journaled() if not record.reused]
    assert len(finished.server.keys) == len(paid)


def test_tables_hold_no_path_and_no_run_id(finished: SampleProject) -> None:
    model = finished.rows("fine_tuned_model", "3")["path"].item()
    assert (finished.data / model).is_file()
    runs = {footer.run_id for _, footer in finished.storage.footers()}
    for _, footer in finished.storage.footers():
        rows = finished.rows(footer.asset, footer.shard).write_ndjson()
        assert not any(text in rows for text in (str(finished.root), *runs))


def test_second_run_makes_no_table_and_no_call(project: SampleProject) -> None:
    before = contents(project)
    with project.runner() as runner:
        assert not runner.anything_stale()
        events = list(runner.run())
    assert all(isinstance(event, Fresh) for event in events)
    assert sum(event.tables for event in events if isinstance(event, Fresh)) == runner.size()
    assert project.server.calls.total() == 0
    assert contents(project) == before


def test_edited_prompt_refreshes_its_asset_and_changed_inputs_downstream(
    project: SampleProject,
) -> None:
    project.edit("math_program", "# User\n", "Be brief.\n\n# User\n")
    before = project.versions()
    runs = project.run()
    assert errors(runs) == {}
    # The programs are unchanged, so no training row changes and no model is stale.
    assert assets_by_partition(runs) == {
        BIRDS: {"math_solutions"},
        LETTERS: {"math_solutions"},
        None: {"math_train", "math_test"},
    }
    assert project.server.calls == {"math_program": 4}
    after = project.versions()
    changed = {table for table in after if after[table] != before[table]}
    assert changed == {("math_solutions", BIRDS), ("math_solutions", LETTERS)}


def test_new_shard_costs_its_own_calls_and_changes_no_older_table(
    project: SampleProject,
) -> None:
    texts = [*TEXTS["letters.txt"], "An echo of amber: the storks of the canal, once more."]
    # Its name sorts first, but the shard arrives last.
    project.write("a.jsonl", texts)
    before, journals = project.versions(), contents(project)
    runs = project.run(f"{HUB} or key:instructions")
    assert errors(runs) == {}
    after = project.versions()
    older = {table for table in before if table[1] in TEXTS}
    assert {table: after[table] for table in older} == {table: before[table] for table in older}
    # The letter is in another shard, where its persona is paid for.
    assert project.server.calls["text_to_persona"] == 1
    asked = [
        record
        for hop in range(1, 7)
        for record in project.journal(f"hop_{hop}_personas", "a.jsonl")
    ]
    assert project.server.calls["persona_to_persona"] == sum(not r.reused for r in asked)
    assert len(asked) == 6
    assert project.server.calls["embeddings"] == 1
    now = contents(project)
    assert all(now[name] == journals[name] for name in journals if name.startswith("journals"))

    assert project.storage.shards("persona_hub") == [BIRDS, LETTERS, "a.jsonl"]
    hub = project.rows("persona_hub", "a.jsonl")
    dropped = project.storage.quarantine("lexical_survivors", "a.jsonl")["reason"].to_list()
    assert "lexical_duplicate" in dropped
    letter = project.rows("text_personas", LETTERS)["persona"][0]
    assert letter in project.rows("text_personas", "a.jsonl")["persona"]
    assert letter not in hub["persona"]
    assert letter in project.rows("persona_hub", LETTERS)["persona"]

    echoes = {
        shard: project.rows("persona_hub", shard)
        .filter(pl.col("persona").str.contains("echo of amber"))
        .height
        for shard in (BIRDS, "a.jsonl")
    }
    assert echoes == {BIRDS: 1, "a.jsonl": 0}
    assert project.storage.quarantine("persona_hub", "a.jsonl")["reason"].to_list() == [
        "semantic_duplicate"
    ]
    survivor = project.rows("semantic_duplicates")["survivor_id"].item()
    assert survivor in project.rows("persona_hub", BIRDS)["persona_id"]


def test_changed_file_refreshes_its_own_shard_alone(
    project: SampleProject,
) -> None:
    before = project.versions()
    project.write(LETTERS, ["Dear sir, the second bell arrived whole."])
    runs = project.run(HUB)
    assert errors(runs) == {}
    assert BIRDS not in assets_by_partition(runs)
    assert runs[0].work.reasons["raw_corpus"] == "corpus file changed"
    assert project.server.calls == {"text_to_persona": 1, "persona_to_persona": 6, "embeddings": 1}
    after = project.versions()
    assert after["persona_hub", LETTERS] != before["persona_hub", LETTERS]
    assert project.storage.arrival(LETTERS) == 2


def test_touched_file_is_not_stale(project: SampleProject) -> None:
    (project.corpus / LETTERS).touch()
    assert project.stale() == []


def test_deleted_file_leaves_no_row_and_returns_without_a_call(project: SampleProject) -> None:
    before, versions = contents(project), project.versions()
    path = project.corpus / BIRDS
    text = path.read_bytes()
    path.unlink()
    assert errors(project.run(HUB)) == {}
    for asset in ("raw_corpus", "text_personas", "persona_hub", "persona_embeddings"):
        assert project.rows(asset, BIRDS).is_empty()
        assert project.rows(asset, BIRDS).schema == project.rows(asset, LETTERS).schema
    footer = project.storage.existing_footer("raw_corpus", BIRDS)
    assert (footer.source, footer.arrival) == (None, 1)
    assert {name: text for name, text in contents(project).items() if "journals" in name} == {
        name: text for name, text in before.items() if "journals" in name
    }
    assert project.run(HUB) == []

    path.write_bytes(text)
    assert errors(project.run()) == {}
    assert project.server.calls.total() == 0
    assert project.versions() == versions


@pytest.mark.parametrize(
    ("status", "message", "paid"),
    [("500", "error:server_error 1", 3), ("402", "no quota left", 2)],
)
def test_failing_endpoint_fails_its_shard_and_stored_responses_are_replayed(
    project: SampleProject, status: str, message: str, paid: int
) -> None:
    project.values["max_quarantine_share"] = 0.1
    # A single call at a time makes the number of calls before the failure known.
    project.values["writer"]["concurrency"] = 1
    project.edit("text_to_persona", "# User\n", "Be brief.\n\n# User\n")
    project.server.meets = lambda prompt, text: status if "storks" in text else None
    before = contents(project)
    runs = project.run("key:text_personas")
    assert list(errors(runs)) == [BIRDS]
    assert message in errors(runs)[BIRDS]
    assert "\n" not in errors(runs)[BIRDS]
    now = contents(project)
    untouched = [name for name in before if "birds" in name and "journals" not in name]
    assert {name: now[name] for name in untouched} == {name: before[name] for name in untouched}
    assert project.storage.existing_footer("text_personas", LETTERS).run_id == runs[1].run_id
    assert project.server.calls.total() == paid

    project.server.meets = lambda prompt, text: None
    again = project.run("key:text_personas")
    assert assets_by_partition(again) == {BIRDS: {"text_personas"}}
    assert errors(again) == {}
    assert project.server.calls.total() == 4
    assert len(set(project.server.keys)) == 4


def test_few_errors_are_quarantined_without_a_failure(project: SampleProject) -> None:
    project.edit("text_to_persona", "# User\n", "Be brief.\n\n# User\n")
    project.server.meets = lambda prompt, text: "500" if "storks" in text else None
    assert errors(project.run("key:text_personas")) == {}
    reasons = project.storage.quarantine("text_personas", BIRDS)["reason"].to_list()
    assert sorted(reasons) == ["error:server_error", "refused: the model refused"]


def test_failing_embedding_endpoint_changes_no_table(project: SampleProject) -> None:
    project.values["embedder"]["model"] = "other"
    project.server.meets = lambda prompt, text: "500" if prompt == "embeddings" else None
    before = project.versions()
    failed = errors(project.run("key:persona_embeddings", [LETTERS]))
    assert "server_error" in failed[LETTERS]
    assert project.versions() == before


def test_selection_and_shards_restrict_a_run(fresh: SampleProject) -> None:
    runs = fresh.run("key:raw_corpus", [LETTERS])
    assert assets_by_partition(runs) == {LETTERS: {"raw_corpus"}}
    assert list(fresh.versions()) == [("raw_corpus", LETTERS)]
    # Only the chosen shards are made; a step over all shards still needs every shard.
    runs = fresh.run("key:raw_corpus or key:lexical_duplicates", [BIRDS])
    assert assets_by_partition(runs) == {BIRDS: {"raw_corpus"}, None: {"lexical_duplicates"}}
    assert f"persona_candidates of shard '{BIRDS}' has no table" in errors(runs)[None]
    assert fresh.storage.shards("raw_corpus") == [BIRDS, LETTERS]


@pytest.mark.parametrize(
    ("select", "shards"),
    [("*", ["nowhere.jsonl"]), ("key:nothing", []), ("persona hub)", []), ("group:nothing", [])],
)
def test_selection_of_unknown_shards_or_assets_is_refused(
    fresh: SampleProject, select: str, shards: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"no shard 'nowhere.jsonl'|--select "):
        fresh.run(select, shards)


def test_empty_corpus_gives_empty_tables_and_null_accuracies(fresh: SampleProject) -> None:
    for shard in TEXTS:
        (fresh.corpus / shard).unlink()
    fresh.values["training_sizes"] = [1]
    assert errors(fresh.run()) == {}
    assert fresh.server.calls == {}
    footers = [footer for _, footer in fresh.storage.footers()]
    constant = ("report_", "paper_results")
    rows = {footer.rows for footer in footers if not footer.asset.startswith(constant)}
    assert rows == {0, 1}
    rates = fresh.catalog.query("SELECT share FROM task_reports WHERE measure = 'pass_rate'")
    assert set(rates["share"]) == {None}
    for asset in ("synthetic_accuracy", "math_accuracy"):
        accuracy = fresh.rows(asset, "1")
        assert accuracy.select("examples", "n", "accuracy").rows() == [(None, 0, None)]
    assert fresh.rows("scaling_curve").is_empty()
    assert fresh.stale() == []
