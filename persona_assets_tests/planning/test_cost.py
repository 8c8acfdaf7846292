"""What was asked and paid for: whoever asked, and however the run ended."""

import re
import signal
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from persona_assets.catalog.catalog import CatalogError
from persona_assets.cli import main
from persona_assets.orchestration.instance import open_instance
from persona_assets.planning import cost
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import TEXTS, SampleProject

BIRDS, LETTERS = TEXTS
PRICE = {"input": "2", "output": "10"}
"""US dollars for a million tokens; an answer of the server has 7 tokens in and 3 out."""
ANSWER = 7 * Decimal(2) / 10**6 + 3 * Decimal(10) / 10**6


def total(rows: pl.DataFrame) -> dict[str, Any]:
    assert rows["name"].to_list()[-1] is None
    row: dict[str, Any] = rows.row(-1, named=True)
    return row


@pytest.mark.parametrize("by", ["asset", "shard", "model", "run"])
def test_the_parts_add_up_to_what_the_endpoint_counted(
    finished: SampleProject, by: cost.By
) -> None:
    rows = cost.usage_by(finished.catalog, by)
    calls = finished.server.calls
    counted = total(rows)
    assert counted["calls"] == calls.total()
    assert counted["output_tokens"] == 3 * (calls.total() - calls["embeddings"])
    assert counted["unpriced"] == calls.total()
    assert counted["cost_usd"] is None
    parts = rows.filter(pl.col("name").is_not_null())
    assert parts["name"].is_unique().all()
    for name in ("calls", "failed", "input_tokens", "output_tokens", "unpriced"):
        assert parts[name].sum() == counted[name]


def test_shards_models_and_runs_are_named(finished: SampleProject) -> None:
    def names(by: cost.By) -> set[str]:
        return set(cost.usage_by(finished.catalog, by)["name"].drop_nulls())

    assert names("shard") >= {*TEXTS, "(all shards)"}
    assert names("model") == {
        "writer",
        "solver",
        "second_solver",
        "judge",
        "tuned",
        "embedder",
    }
    runs = {footer.run_id for _, footer in finished.storage.footers()}
    assert set[str]() < names("run") < runs


def test_one_run_is_told_apart(project: SampleProject) -> None:
    project.catalog.rebuild()
    asked = project.server.calls
    project.values["writer"]["price"] = PRICE
    project.edit("tasks/tools", "# User\n", "Be brief.\n\n# User\n")
    runs = project.run("key:tools")
    assert [run.error for run in runs] == ["", ""]
    new = cost.usage_by(project.catalog, "asset", runs[0].run_id)
    assert new["name"].to_list() == ["tools", None]
    assert total(new)["calls"] == 2
    assert total(new)["cost_usd"] == 2 * ANSWER
    assert total(new)["unpriced"] == 0
    everything = total(cost.usage_by(project.catalog, "asset"))
    assert everything["cost_usd"] == asked.total() * ANSWER
    with pytest.raises(cost.CostError, match="run nothing has asked no model"):
        cost.usage_by(project.catalog, "asset", "nothing")


def test_a_run_that_failed_or_was_killed_counts(fresh: SampleProject) -> None:
    with ModelServer(latency=0.05) as server:
        project = SampleProject(fresh.root, server)
        project.values["writer"]["concurrency"] = 1
        with project.command("run", "--select", "+key:text_personas") as process:
            server.wait_for(2)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        catalog = project.catalog
        cost.refresh_catalog(catalog, project.storage)
        on_disk = len(project.journal("text_personas", BIRDS))
        assert on_disk in (1, 2, 3)
        assert total(cost.usage_by(catalog, "asset"))["calls"] == on_disk
        # Once its table has landed nothing is left to look for.
        assert [run.error for run in project.run("+key:text_personas")] == ["", ""]
        before = catalog.path.stat()
        cost.refresh_catalog(catalog, project.storage)
        assert catalog.path.stat() == before
        # The call that was in flight is paid for and known to nobody.
        known = total(cost.usage_by(catalog, "asset"))["calls"]
        assert server.calls.total() - 1 <= known <= server.calls.total()


def test_no_catalog_and_nothing_paid_is_nothing(fresh: SampleProject) -> None:
    with pytest.raises(CatalogError, match="no catalog"):
        cost.usage_by(fresh.catalog, "asset")
    cost.refresh_catalog(fresh.catalog, fresh.storage)
    assert total(cost.usage_by(fresh.catalog, "asset"))["calls"] == 0


def test_caps_say_what_was_spent_and_is_held(fresh: SampleProject) -> None:
    fresh.values |= {"run_budget": "0.5", "backfill_budget": "2"}
    fresh.values["writer"]["price"] = PRICE
    with open_instance(fresh.settings) as instance:
        assert cost.caps_in_use(fresh.settings, fresh.storage, instance) == []
    runs = fresh.run("+key:text_personas")
    assert [run.error for run in runs] == ["", ""]
    with open_instance(fresh.settings) as instance:
        found = cost.caps_in_use(fresh.settings, fresh.storage, instance)
        [one] = cost.caps_in_use(fresh.settings, fresh.storage, instance, runs[0].run_id)[:1]
    spent = {cap.scope: cap.spent for cap in found}
    assert {cap.held for cap in found} == {Decimal(0)}
    billed = {run.run_id: len(fresh.rows("raw_corpus", run.work.partition)) for run in runs}
    assert {run: spent[f"run:{run}"] for run in billed} == {
        run: count * ANSWER for run, count in billed.items()
    }
    [backfill] = [cap for cap in found if cap.scope.startswith("backfill:")]
    assert backfill.spent == 4 * ANSWER
    assert (backfill.setting, backfill.limit) == ("PERSONA_BACKFILL_BUDGET", Decimal(2))
    assert one.scope == f"run:{runs[0].run_id}"


def test_the_command_prints_it(
    fresh: SampleProject, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.values |= {"run_budget": "0.5"}
    fresh.values["writer"]["price"] = PRICE
    monkeypatch.chdir(fresh.root)
    for name, value in fresh.environment().items():
        monkeypatch.setenv(name, value)

    def command(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(arguments)
        return (code, *capfd.readouterr())

    code, out, err = command("run", "--select", "+key:text_personas")
    assert (code, err) == (0, ""), out
    assert "; capped at 0.500 US dollars a run" in out
    assert "US dollars: 0.000176 so far, of which this run 0.000176." in out
    code, out, err = command("cost")
    assert (code, err) == (0, "")
    assert re.search(r"^text_personas +4 +0 +0 +28 +0 +12 +0 +0 +0\.000176$", out, re.MULTILINE)
    assert re.search(r"^total +4 .* 0\.000176$", out, re.MULTILINE)
    assert re.search(r"^run:[0-9a-f-]{36} +PERSONA_RUN_BUDGET +0\.500 +0\.000132 +0$", out, re.M)
    assert command("cost", "--by", "model", "--run", "nothing") == (
        1,
        "",
        "persona-assets: run nothing has asked no model: see persona-assets cost --by run\n",
    )
