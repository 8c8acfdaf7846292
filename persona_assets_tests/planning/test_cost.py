"""The cost report counts every recorded call once, of finished, failed and killed runs alike."""

import re
import signal
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from persona_assets.catalog.catalog import CatalogError
from persona_assets.orchestration.instance import open_instance
from persona_assets.planning import cost
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import TEXTS, SampleProject

BIRDS, LETTERS = TEXTS
PRICE = {"input": "2", "output": "10"}
"""US dollars per million tokens. A response of the server has 7 input and 3 output tokens."""
CALL_COST = 7 * Decimal(2) / 10**6 + 3 * Decimal(10) / 10**6


def total(rows: pl.DataFrame) -> dict[str, Any]:
    assert rows["name"].to_list()[-1] is None
    row: dict[str, Any] = rows.row(-1, named=True)
    return row


@pytest.mark.parametrize("by", ["asset", "shard", "model", "run"])
def test_usage_sums_to_the_calls_that_the_server_counted(
    finished: SampleProject, by: cost.GroupBy
) -> None:
    rows = cost.usage_by(finished.catalog, by)
    calls, probes = finished.server.calls, finished.server.probes
    count = calls.total() + len(probes)
    embeddings = calls["embeddings"] + sum("input" in body for body in probes)
    totals = total(rows)
    assert totals["calls"] == count
    assert totals["output_tokens"] == 3 * (count - embeddings)
    assert totals["unpriced"] == count
    assert totals["cost_usd"] is None
    groups = rows.filter(pl.col("name").is_not_null())
    assert groups["name"].is_unique().all()
    for name in ("calls", "failed", "input_tokens", "output_tokens", "unpriced"):
        assert groups[name].sum() == totals[name]


def test_usage_names_shards_models_and_runs(finished: SampleProject) -> None:
    def names(by: cost.GroupBy) -> set[str]:
        return set(cost.usage_by(finished.catalog, by)["name"].drop_nulls())

    assert names("shard") >= {*TEXTS, "(all shards)"}
    weights = [finished.rows("fine_tuned_model", size)["sha256"].item() for size in ("1", "3")]
    assert names("model") == {
        "writer",
        "solver",
        "second_solver",
        *(f"tuned-{sha256[:12]}" for sha256 in weights),
        "embedder",
    }
    runs = {footer.run_id for _, footer in finished.storage.footers()}
    assert set[str]() < names("run") < runs


def test_usage_of_a_run_leaves_out_other_runs(project: SampleProject) -> None:
    project.catalog.rebuild()
    calls = project.server.calls
    project.values["writer"]["price"] = PRICE
    project.edit("tasks/tools", "# User\n", "Be brief.\n\n# User\n")
    runs = project.run("key:tools")
    assert [run.error for run in runs] == ["", ""]
    usage = cost.usage_by(project.catalog, "asset", runs[0].run_id)
    assert usage["name"].to_list() == ["tools", None]
    assert total(usage)["calls"] == 2
    assert total(usage)["cost_usd"] == 2 * CALL_COST
    assert total(usage)["unpriced"] == 0
    of_all_runs = total(cost.usage_by(project.catalog, "asset"))
    assert of_all_runs["cost_usd"] == calls.total() * CALL_COST


def test_usage_of_an_unknown_run_is_an_error(finished: SampleProject) -> None:
    with pytest.raises(cost.CostError, match="run nothing has asked no model"):
        cost.usage_by(finished.catalog, "asset", "nothing")


def test_usage_counts_the_calls_of_a_killed_run(fresh: SampleProject) -> None:
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
        assert total(cost.usage_by(catalog, "asset"))["calls"] == on_disk + 1
        assert len(project.probe_records()) == len(server.probes) == 1
        # Once the table is published, nothing is left to refresh.
        assert [run.error for run in project.run("+key:text_personas")] == ["", ""]
        before = catalog.path.stat()
        cost.refresh_catalog(catalog, project.storage)
        assert catalog.path.stat() == before
        # The call in flight at the kill is billed but not recorded.
        recorded = total(cost.usage_by(catalog, "asset"))["calls"] - 1
        assert len(server.probes) == 1
        assert server.calls.total() - 1 <= recorded <= server.calls.total()


def test_usage_without_a_catalog_is_an_error(fresh: SampleProject) -> None:
    with pytest.raises(CatalogError, match="no catalog"):
        cost.usage_by(fresh.catalog, "asset")


def test_usage_without_calls_is_zero(fresh: SampleProject) -> None:
    cost.refresh_catalog(fresh.catalog, fresh.storage)
    assert total(cost.usage_by(fresh.catalog, "asset"))["calls"] == 0


def test_caps_report_spent_and_held_dollars(fresh: SampleProject) -> None:
    fresh.values |= {"run_budget": "0.5", "backfill_budget": "2"}
    fresh.values["writer"]["price"] = PRICE
    with open_instance(fresh.settings) as instance:
        assert cost.caps_in_use(fresh.settings, fresh.storage, instance) == []
    runs = fresh.run("+key:text_personas")
    assert [run.error for run in runs] == ["", ""]
    with open_instance(fresh.settings) as instance:
        caps = cost.caps_in_use(fresh.settings, fresh.storage, instance)
        [run_cap] = cost.caps_in_use(fresh.settings, fresh.storage, instance, runs[0].run_id)[:1]
    spent = {cap.scope: cap.spent for cap in caps}
    assert {cap.held for cap in caps} == {Decimal(0)}
    calls = {run.run_id: len(fresh.rows("raw_corpus", run.work.partition)) for run in runs}
    # The probe.
    calls[runs[0].run_id] += 1
    assert {run: spent[f"run:{run}"] for run in calls} == {
        run: count * CALL_COST for run, count in calls.items()
    }
    [backfill] = [cap for cap in caps if cap.scope.startswith("backfill:")]
    assert backfill.spent == 5 * CALL_COST
    assert (backfill.setting, backfill.limit) == ("PERSONA_BACKFILL_BUDGET", Decimal(2))
    assert run_cap.scope == f"run:{runs[0].run_id}"


def test_run_and_cost_commands_print_usage_and_caps(
    fresh: SampleProject, command: Callable[..., tuple[int, str, str]]
) -> None:
    fresh.values |= {"run_budget": "0.5"}
    fresh.values["writer"]["price"] = PRICE
    code, out, err = command(fresh, "run", "--select", "+key:text_personas")
    assert (code, err) == (0, ""), out
    assert "; capped at 0.500 US dollars a run" in out
    assert "US dollars: 0.000220 so far, of which this run 0.000220." in out
    code, out, err = command(fresh, "cost")
    assert (code, err) == (0, "")
    assert re.search(r"^text_personas +4 +0 +0 +28 +0 +12 +0 +0 +0\.000176$", out, re.MULTILINE)
    assert re.search(r"^endpoint_probe +1 .* 0\.0000440$", out, re.MULTILINE)
    assert re.search(r"^total +5 .* 0\.000220$", out, re.MULTILINE)
    assert re.search(r"^run:[0-9a-f-]{36} +PERSONA_RUN_BUDGET +0\.500 +0\.000176 +0$", out, re.M)
    assert command(fresh, "cost", "--by", "model", "--run", "nothing") == (
        1,
        "",
        "persona-assets: run nothing has asked no model: see persona-assets cost --by run\n",
    )
