"""The plan forecasts calls, tokens, cost and hours of a run, and makes no call itself."""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl
import pytest

from persona_assets.assets.graph import call_bounds, project_assets
from persona_assets.planning.estimate import Interval
from persona_assets.planning.model_asset import ModelAsset
from persona_assets.planning.pilot import MIN_SHARD_UNITS, Pilot
from persona_assets.planning.plan import Forecast, Plan, make_plan
from persona_assets.project import Project
from persona_assets.storage.storage import PROBE
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import TEXTS, SampleProject

if TYPE_CHECKING:
    from persona_assets.planning.estimate import Array

BIRDS, LETTERS = TEXTS
PERSONAS = "+key:hop_6_personas"
NEW = "web/new.jsonl"
PRICE = {"input": "2", "output": "10"}
"""US dollars per million tokens. A response of the server has 7 input and 3 output tokens."""
CALL_COST = 7 * 2e-6 + 3 * 10e-6


def texts(count: int, parish: str = "new") -> list[str]:
    return [
        f"Notice {number} of the {parish} parish council about the mill." for number in range(count)
    ]


def plan_of(project: SampleProject, select: str = "*", *only: str) -> Plan:
    with project.runner(select, only) as runner:
        return make_plan(Project(project.settings), runner)


def forecasts(plan: Plan) -> Mapping[str, Forecast]:
    return {forecast.asset: forecast for forecast in plan.assets}


def text_personas(project: SampleProject) -> Forecast:
    """Plan `text_personas` and return its forecast."""
    return forecasts(plan_of(project, "+key:text_personas"))["text_personas"]


def calls(plan: Plan) -> dict[str, float]:
    return {
        forecast.asset: forecast.calls.estimate
        for forecast in plan.assets
        if forecast.calls is not None
    }


def contains(interval: Interval | None, truth: float) -> bool:
    assert interval is not None
    assert interval.low is not None
    assert interval.high is not None
    return interval.low <= truth + 1e-9 and truth - 1e-9 <= interval.high


def run_next_command(project: SampleProject, plan: Plan) -> list[str]:
    """Run the selection of a plan's next command; return the command's arguments."""
    assert plan.next is not None
    program, *arguments = shlex.split(plan.next.command)
    assert program == "persona-assets"
    [command, option, select, *rest] = arguments
    assert (command, option) == ("run", "--select")
    assert rest[:1] in ([], ["--shards"])
    assert not any(run.error for run in project.run(select, rest[1:]))
    return arguments


def sample_pilot(
    project: SampleProject, names: Sequence[str], select: str = "*"
) -> "tuple[Array, Array]":
    """Return the pilot's calls and sizes per unit, a column per asset."""
    with project.runner(select) as runner:
        loaded = Project(project.settings)
        assets = project_assets(loaded)
        model_assets = [
            ModelAsset.from_declaration(runner.graph.assets[name], assets[name], loaded)
            for name in names
        ]
        [(_, amounts, sizes)] = Pilot(loaded, runner.graph, assets).samples(model_assets)
    return amounts, sizes


def test_plan_counts_a_probe_per_endpoint_model_and_shape_until_it_is_made(
    fresh: SampleProject,
) -> None:
    fresh.values["writer"]["price"] = PRICE
    probes = plan_of(fresh, PERSONAS).probes
    assert probes.calls == 1
    assert probes.most is not None
    # The worst case of a token per byte of the schema.
    assert 100 * CALL_COST > probes.most > CALL_COST
    assert fresh.server.probes == []
    assert not any(run.error for run in fresh.run("+key:text_personas", [LETTERS]))
    assert len(fresh.server.probes) == 1
    assert plan_of(fresh, PERSONAS).probes.calls == 0


def test_plan_without_a_pilot_has_bounds_but_no_estimates(fresh: SampleProject) -> None:
    plan = plan_of(fresh)
    assert calls(plan) == {}
    assert {forecast.pilot_tables for forecast in plan.assets} == {0}
    assert plan.total.calls is None
    assert forecasts(plan)["hop_1_personas"].tables == 2
    # One persona per shard: one call, one if the response is truncated, two if it is invalid.
    assert forecasts(plan)["hop_1_personas"].most == 2 * 4
    assert forecasts(plan)["text_personas"].most == 4 * 4
    assert fresh.server.calls == {}


def test_next_commands_lead_to_the_missing_pilots(fresh: SampleProject) -> None:
    # The smallest shard comes first.
    arguments = run_next_command(fresh, plan_of(fresh))
    assert arguments == ["run", "--select", PERSONAS, "--shards", LETTERS]
    assert {shard for _, shard in fresh.versions()} == {LETTERS}
    assert fresh.server.calls["text_to_persona"] == 1

    # The next pilot depends on a table of all shards.
    plan = plan_of(fresh)
    assert calls(plan)["text_personas"] == 3
    assert plan.next is not None
    assert plan.next.after == ("lexical_duplicates",)
    run_next_command(fresh, plan)
    assert fresh.server.calls["text_to_persona"] == 4

    plan = plan_of(fresh)
    assert plan.next is not None
    assert plan.next.assets == ("persona_embeddings",)
    assert shlex.split(plan.next.command)[3:] == ["+key:persona_embeddings", "--shards", LETTERS]


def test_plan_of_a_finished_project_is_empty(finished: SampleProject) -> None:
    plan = plan_of(finished)
    assert plan.assets == ()
    assert plan.next is None


def test_call_bounds_hold_for_a_finished_project(finished: SampleProject) -> None:
    bounds = call_bounds(Project(finished.settings), len(TEXTS), 4, once=True).all_calls()
    usage = finished.catalog.usage().group_by("asset").agg(pl.col("calls").sum())
    for asset, count in usage.filter(pl.col("asset") != PROBE).iter_rows():
        bound = bounds[asset]
        assert bound is not None
        assert count <= bound, asset


def test_plan_is_reproducible_and_changes_nothing(project: SampleProject) -> None:
    project.write(NEW, texts(6))
    before = project.versions()
    plan = plan_of(project)
    assert plan == plan_of(project)
    assert project.server.calls == {}
    assert project.versions() == before


def test_forecast_of_a_new_shard_contains_the_calls_of_its_run(project: SampleProject) -> None:
    project.write(NEW, texts(6))
    plan = plan_of(project)
    assert forecasts(plan)["text_personas"].pilot_texts == 4
    assert calls(plan)["text_personas"] == 6
    # Limits decide the number of these calls, not the texts of the shard.
    for asset, limit in (("hop_1_personas", 1), ("math_problems", 4), ("tools", 2)):
        assert calls(plan)[asset] == limit

    runs = project.run()
    assert [run.error for run in runs] == [""] * len(runs)
    run_ids = [run.run_id for run in runs]
    usage = project.catalog.usage(run_ids).group_by("asset").agg(pl.col("new_calls").sum())
    made = dict(usage.iter_rows())
    for asset, forecast in forecasts(plan).items():
        # Assets without shards depend on all shards: their calls differ from the pilot's.
        if forecast.calls is not None and forecast.pilot_texts is not None:
            assert contains(forecast.calls, made[asset]), asset
        assert forecast.most is not None
        assert made.get(asset, 0) <= forecast.most
    assert contains(plan.total.calls, sum(made.values()))


def test_forecast_without_prices_names_the_missing_settings(project: SampleProject) -> None:
    project.write(NEW, texts(6))
    plan = plan_of(project, "+key:hop_1_personas")
    forecast = forecasts(plan)["text_personas"]
    assert forecast.input_tokens == Interval(42, pytest.approx(42), pytest.approx(42))  # type: ignore[arg-type]
    assert forecast.cost is None
    assert forecast.at_least
    assert forecast.prices == ("PERSONA_WRITER__PRICE__INPUT", "PERSONA_WRITER__PRICE__OUTPUT")
    assert plan.total.prices == forecast.prices


def test_pilot_calls_of_unknown_cost_have_todays_price(project: SampleProject) -> None:
    project.write(NEW, texts(6))
    project.values["writer"]["price"] = PRICE
    plan = plan_of(project, "+key:hop_1_personas")
    forecast = forecasts(plan)["text_personas"]
    assert forecast.cost is not None
    assert forecast.cost.estimate == pytest.approx(6 * CALL_COST)
    assert (forecast.at_least, forecast.prices) == (False, ())
    assert plan.total.cost is not None
    assert plan.total.cost.estimate == pytest.approx(7 * CALL_COST)


def test_pilot_calls_of_known_cost_keep_their_cost(project: SampleProject) -> None:
    project.write(NEW, texts(6))
    project.values["writer"]["price"] = {"input": "4", "output": "20"}
    project.run("+key:text_personas")
    project.write("web/newer.jsonl", texts(10, "newer"))
    cost = text_personas(project).cost
    assert cost is not None
    assert cost.estimate == pytest.approx(10 * 2 * CALL_COST)
    # Only the 4 calls without a recorded cost have the new price.
    project.values["writer"]["price"] = PRICE
    cost = text_personas(project).cost
    assert cost is not None
    assert cost.estimate == pytest.approx((4 + 6 * 2) * CALL_COST)


def test_online_pilot_of_coming_batches_has_the_batch_price(project: SampleProject) -> None:
    project.write(NEW, texts(6))
    project.values["writer"] |= {"transport": "batch", "price": PRICE}
    forecast = text_personas(project)
    assert forecast.cost is None
    assert forecast.prices == ("PERSONA_WRITER__PRICE__BATCH",)
    project.values["writer"]["price"] = {**PRICE, "batch": "0.5"}
    forecast = text_personas(project)
    assert forecast.cost is not None
    assert forecast.cost.estimate == pytest.approx(3 * CALL_COST)


def test_hours_respect_the_endpoints_limits_per_minute(project: SampleProject) -> None:
    project.write(NEW, texts(60))
    assert text_personas(project).hours is not None
    project.values["writer"]["requests_per_minute"] = 2
    hours = text_personas(project).hours
    assert hours is not None
    assert hours.estimate == pytest.approx(0.5)
    project.values["writer"] |= {"requests_per_minute": None, "tokens_per_minute": 10}
    hours = text_personas(project).hours
    assert hours is not None
    assert hours.estimate == pytest.approx(1)


def test_forecast_of_batches_has_no_hours(project: SampleProject) -> None:
    project.write(NEW, texts(60))
    project.values["writer"] |= {"tokens_per_minute": 10, "transport": "batch"}
    forecast = text_personas(project)
    assert forecast.batch
    assert forecast.hours is None


def test_text_added_to_a_shard_needs_the_only_new_call(project: SampleProject) -> None:
    project.write(BIRDS, [*TEXTS[BIRDS], "A heron has taken to the weir."])
    plan = plan_of(project)
    assert calls(plan)["text_personas"] == pytest.approx(1)
    assert forecasts(plan)["text_personas"].tables == 1
    runs = project.run("+key:text_personas")
    assert [run.error for run in runs] == [""]
    assert project.server.calls.total() == 1


def test_responses_of_a_failed_run_are_not_forecast_again(project: SampleProject) -> None:
    project.write(NEW, texts(6))
    project.values["writer"]["concurrency"] = 1
    project.server.meets = lambda prompt, message: "402" if "Notice 4" in message else None
    runs = project.run("+key:text_personas", [NEW])
    assert runs[0].error
    answered = project.server.calls.total()
    assert 0 < answered < 6
    plan = plan_of(project, "+key:text_personas")
    assert calls(plan)["text_personas"] == pytest.approx(6 - answered)
    # Nor are the responses of a table that was removed.
    project.storage.path("text_personas", BIRDS).unlink()
    assert text_personas(project).tables == 1


def test_settings_that_multiply_calls_multiply_the_forecast(project: SampleProject) -> None:
    project.values["tasks"]["tools"] |= {"per_persona": 5}
    project.values["writer"]["concurrency"] = 1
    assert calls(plan_of(project, "key:tools")) == {"tools": pytest.approx(2 * 3)}
    # Of an interrupted run the answers count, and are not multiplied once more.
    project.server.meets = lambda *_: "402" if project.server.calls.total() > 1 else None
    assert [bool(run.error) for run in project.run("key:tools", [BIRDS])] == [True]
    answered = len(project.journal("tools", BIRDS)) - 2
    assert 0 < answered < 3
    assert calls(plan_of(project, "key:tools")) == {"tools": pytest.approx(2 * 3 - answered)}


def test_edited_prompt_keeps_its_pilot_and_its_descendants_need_new_calls(
    project: SampleProject,
) -> None:
    project.edit("text_to_persona", "# User\n", "Be brief.\n\n# User\n")
    plan = plan_of(project)
    text_personas = forecasts(plan)["text_personas"]
    assert (text_personas.pilot_tables, text_personas.pilot_outdated) == (2, True)
    assert text_personas.calls is not None
    assert text_personas.calls.estimate == 4
    # All other tables have the current prompts, but their personas will be different.
    assert forecasts(plan)["math_problems"].pilot_tables == 2
    assert calls(plan)["math_problems"] == 2 * 4
    assert not forecasts(plan)["math_problems"].pilot_outdated
    assert [run.error for run in project.run("+key:text_personas", [LETTERS])] == [""]
    assert project.server.calls.total() == 1
    after = forecasts(plan_of(project))["text_personas"]
    assert (after.pilot_tables, after.pilot_outdated) == (1, False)
    assert calls(plan_of(project))["text_personas"] == 3


def test_model_that_was_replaced_gives_no_pilot(project: SampleProject) -> None:
    project.values["writer"] = project.endpoint("another")
    assert forecasts(plan_of(project))["text_personas"].pilot_tables == 0


def test_next_command_avoids_shards_that_wait_for_tables_of_all_shards(
    project: SampleProject,
) -> None:
    # A new shard makes the tables of all shards stale, but old shards do not depend on them.
    project.write(NEW, texts(2))
    project.values["solver"] = project.endpoint("another")
    plan = plan_of(project)
    assert plan.next is not None
    assert plan.next.assets == ("math_solutions",)
    arguments = run_next_command(project, plan)
    assert arguments == ["run", "--select", "key:math_solutions", "--shards", LETTERS]
    assert forecasts(plan_of(project))["math_solutions"].pilot_tables == 1


def test_pilot_of_many_shards_samples_shards(fresh: SampleProject) -> None:
    shards = [f"web/part-{number}.jsonl" for number in range(MIN_SHARD_UNITS)]
    for number, shard in enumerate(shards):
        fresh.write(shard, texts(2 + number % 3, str(number)))
    select = "key:raw_corpus or key:text_personas"
    assert not any(run.error for run in fresh.run(select, shards))
    amounts, sizes = sample_pilot(fresh, ["text_personas"], select)
    texts_per_shard = [2 + number % 3 for number in range(MIN_SHARD_UNITS)]
    assert amounts[:, 0].tolist() == sizes[:, 0].tolist() == texts_per_shard
    forecast = forecasts(plan_of(fresh, select))["text_personas"]
    assert (forecast.pilot_tables, forecast.tables) == (MIN_SHARD_UNITS, 2)
    assert contains(forecast.calls, 4)


def test_pilot_of_few_shards_attributes_rows_and_drops_to_texts(finished: SampleProject) -> None:
    amounts, sizes = sample_pilot(finished, ["text_personas", "logic_problems"])
    assert sizes.tolist() == [[1, 1]] * 4
    # The model refused one text, which therefore has no persona and no problem.
    assert amounts[:, 0].tolist() == [1] * 4
    assert (amounts[:, 1] == 0).sum() == 1
    problems = sum(len(finished.rows("logic_problems", shard)) for shard in TEXTS)
    assert amounts[:, 1].sum() == pytest.approx(problems)


def test_plan_command_prints_the_same_twice_and_makes_no_call(
    fresh: SampleProject, command: Callable[..., tuple[int, str, str]]
) -> None:
    assert command(fresh, "run", "--select", PERSONAS, "--shards", LETTERS)[0] == 0
    made = fresh.server.calls.total()
    first, second = (command(fresh, "plan", "--select", PERSONAS) for _ in range(2))
    code, out, _ = first
    assert code == second[0] == 0
    assert out == second[1]
    assert "text_personas" in out
    assert "1 text of 1 shard" in out
    assert "set PERSONA_WRITER__PRICE__INPUT, PERSONA_WRITER__PRICE__OUTPUT" in out
    code, out, _ = command(fresh, "plan", "--select", PERSONAS, "--json")
    assert code == 0
    printed = json.loads(out)
    assert [forecast["asset"] for forecast in printed["assets"]][:2] == [
        "text_personas",
        "hop_1_personas",
    ]
    assert printed["assets"][0]["calls"] == {"estimate": 3, "low": 3, "high": 12}
    assert printed["total"]["cost"] is None
    assert fresh.server.calls.total() == made
    code, out, _ = command(fresh, "plan", "--select", "key:raw_corpus", "--shards", LETTERS)
    assert (code, out) == (0, "everything is fresh: a run asks nothing\n")


def test_plan_needs_no_server_and_no_api_key(fresh: SampleProject) -> None:
    with ModelServer() as stopped:
        url = stopped.url
    fresh.values["writer"] |= {"base_url": url, "api_key_env": "NO_SUCH_KEY"}
    assert plan_of(fresh).assets[0].tables == 2


READY = ".personas/people.jsonl"


def add_ready(project: SampleProject, count: int) -> None:
    folder = project.root / "ready"
    folder.mkdir(exist_ok=True)
    project.values["ready_personas"] = folder
    rows = (
        f"A keeper of lighthouse number {n} who lists {n * 7} ships" for n in range(1, count + 1)
    )
    lines = "".join(json.dumps({"persona": row}) + "\n" for row in rows)
    (folder / "people.jsonl").write_text(lines)


def test_forecast_of_ready_personas_has_no_call_up_to_their_embeddings(
    project: SampleProject,
) -> None:
    add_ready(project, 6)
    hub = plan_of(project, "+key:persona_hub")
    assert [forecast.asset for forecast in hub.assets] == ["persona_embeddings"]
    assert forecasts(hub)["persona_embeddings"].most == 1
    plan = plan_of(project)
    assert {"text_personas", "hop_1_personas"}.isdisjoint(forecasts(plan))
    npcs = forecasts(plan)["game_npcs"]
    assert npcs.calls is not None
    assert npcs.most is not None
    # A ready persona is one of a text's personas, of which near-duplicates go.
    assert 0 < npcs.calls.estimate <= 6
    assert npcs.pilot_texts == 4
    assert [
        run.error for run in project.run("key:game_npcs or +key:persona_hub") if run.error
    ] == []
    assert len(project.journal("game_npcs", READY)) <= npcs.most


def test_forecast_of_texts_leaves_ready_personas_out_of_its_pilot(project: SampleProject) -> None:
    add_ready(project, 6)
    assert [run.error for run in project.run("+key:persona_hub") if run.error] == []
    project.write(NEW, texts(6))
    plan = plan_of(project, "+key:persona_hub")
    assert calls(plan)["text_personas"] == 6
    assert forecasts(plan)["persona_embeddings"].pilot_texts == 4


def test_next_command_makes_the_pilot_of_texts_before_ready_personas(
    fresh: SampleProject,
) -> None:
    add_ready(fresh, 1)
    plan = plan_of(fresh, "+key:persona_embeddings")
    assert plan.next is not None
    assert shlex.split(plan.next.command)[-1] == LETTERS


def test_project_of_ready_personas_alone_is_its_own_pilot(fresh: SampleProject) -> None:
    for shard in TEXTS:
        (fresh.corpus / shard).unlink()
    add_ready(fresh, 4)
    assert [run.error for run in fresh.run("+key:game_npcs") if run.error] == []
    fresh.values["ready_per_shard"] = 4
    (fresh.root / "ready" / "more.jsonl").write_text(
        "".join(json.dumps({"persona": f"A miller of wheel {n} by the weir"}) + "\n" for n in "abc")
    )
    plan = plan_of(fresh, "+key:game_npcs")
    assert calls(plan)["game_npcs"] == pytest.approx(3)
    assert "text_personas" not in forecasts(plan)
