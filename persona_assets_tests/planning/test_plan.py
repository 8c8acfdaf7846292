"""The plan: what a run would ask, against what it then asks."""

import json
import shlex
from collections.abc import Mapping

import polars as pl
import pytest

from persona_assets.assets.graph import call_bounds
from persona_assets.cli import main
from persona_assets.planning.asker import Asker
from persona_assets.planning.forecast import Interval
from persona_assets.planning.pilot import CLUSTERS, Pilot
from persona_assets.planning.plan import Forecast, Plan, make_plan
from persona_assets.project import Project
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import TEXTS, SampleProject

BIRDS, LETTERS = TEXTS
PERSONAS = "+key:hop_6_personas"
NEW = "web/new.jsonl"
PRICE = {"input": "2", "output": "10"}
"""US dollars for a million tokens; an answer of the server has 7 tokens in and 3 out."""
ANSWER = 7 * 2e-6 + 3 * 10e-6


def texts(count: int, of: str = "new") -> list[str]:
    return [
        f"Notice {number} of the {of} parish council about the mill." for number in range(count)
    ]


def planned(project: SampleProject, select: str = "*", *only: str) -> Plan:
    with project.runner(select, only) as runner:
        return make_plan(Project(project.settings), runner)


def forecasts(made: Plan) -> Mapping[str, Forecast]:
    return {forecast.asset: forecast for forecast in made.assets}


def calls(made: Plan) -> dict[str, float]:
    return {it.asset: it.calls.estimate for it in made.assets if it.calls is not None}


def holds(interval: Interval | None, truth: float) -> bool:
    assert interval is not None
    assert interval.low is not None
    assert interval.high is not None
    return interval.low <= truth + 1e-9 and truth - 1e-9 <= interval.high


def run_next(project: SampleProject, made: Plan) -> list[str]:
    """Runs what the command that a plan names would; its arguments."""
    assert made.next is not None
    program, *arguments = shlex.split(made.next.command)
    assert program == "persona-assets"
    [command, option, select, *rest] = arguments
    assert (command, option) == ("run", "--select")
    assert rest[:1] in ([], ["--shards"])
    assert not any(run.error for run in project.run(select, rest[1:]))
    return arguments


def test_without_a_pilot_it_is_said_how_to_make_one(fresh: SampleProject) -> None:
    made = planned(fresh)
    assert calls(made) == {}
    assert {forecast.pilot_tables for forecast in made.assets} == {0}
    assert made.total.calls is None
    assert forecasts(made)["hop_1_personas"].tables == 2
    # One persona a shard, asked once, once more if cut off, and again twice.
    assert forecasts(made)["hop_1_personas"].most == 2 * 4
    assert forecasts(made)["text_personas"].most == 4 * 4
    assert fresh.server.calls == {}

    arguments = run_next(fresh, made)
    assert arguments == ["run", "--select", PERSONAS, "--shards", LETTERS]
    assert {shard for _, shard in fresh.versions()} == {LETTERS}
    assert fresh.server.calls["text_to_persona"] == 1

    made = planned(fresh)
    assert calls(made)["text_personas"] == 3
    assert made.next is not None
    assert made.next.after == ("lexical_duplicates",)
    run_next(fresh, made)
    assert fresh.server.calls["text_to_persona"] == 4
    made = planned(fresh)
    assert made.next is not None
    assert made.next.assets == ("persona_embeddings",)
    assert shlex.split(made.next.command)[3:] == ["+key:persona_embeddings", "--shards", LETTERS]


def test_a_finished_project_has_nothing_to_come(finished: SampleProject) -> None:
    made = planned(finished)
    assert made.assets == ()
    assert made.next is None


def test_the_settings_bound_what_was_asked(finished: SampleProject) -> None:
    most = call_bounds(Project(finished.settings), len(TEXTS), 4, once=True).all_calls()
    usage = finished.catalog.usage().group_by("asset").agg(pl.col("calls").sum())
    for asset, made in usage.iter_rows():
        bound = most[asset]
        assert bound is not None
        assert made <= bound, asset


def test_a_new_shard_is_forecast_and_then_asked(project: SampleProject) -> None:
    project.write(NEW, texts(6))
    before = project.versions()
    made = planned(project)
    assert made == planned(project)
    assert project.server.calls == {}
    assert project.versions() == before
    found = forecasts(made)
    assert found["text_personas"].pilot_texts == 4
    assert calls(made)["text_personas"] == 6
    # A limit makes their number, not the texts of the shard.
    for asset, limit in (("hop_1_personas", 1), ("math_problems", 4), ("tools", 2)):
        assert calls(made)[asset] == limit

    runs = project.run()
    assert [run.error for run in runs] == [""] * len(runs)
    run_ids = [run.run_id for run in runs]
    usage = project.catalog.usage(run_ids).group_by("asset").agg(pl.col("new_calls").sum())
    asked = dict(usage.iter_rows())
    for asset, forecast in found.items():
        # The others are made of all shards, and their number is not the pilot's.
        if forecast.calls is not None and forecast.pilot_texts is not None:
            assert holds(forecast.calls, asked[asset]), asset
        assert forecast.most is not None
        assert asked[asset] <= forecast.most
    assert holds(made.total.calls, sum(asked.values()))


def test_money_and_tokens_are_those_of_the_pilot(project: SampleProject) -> None:
    project.write(NEW, texts(6))
    made = planned(project, "+key:hop_1_personas")
    first = forecasts(made)["text_personas"]
    assert first.input_tokens == Interval(42, pytest.approx(42), pytest.approx(42))  # type: ignore[arg-type]
    assert first.cost is None
    assert first.at_least
    assert first.prices == ("PERSONA_WRITER__PRICE__INPUT", "PERSONA_WRITER__PRICE__OUTPUT")
    assert made.total.prices == first.prices

    # Answers whose cost nobody knew when they came are worth what they would cost now.
    project.values["writer"]["price"] = PRICE
    made = planned(project, "+key:hop_1_personas")
    first = forecasts(made)["text_personas"]
    assert first.cost is not None
    assert first.cost.estimate == pytest.approx(6 * ANSWER)
    assert (first.at_least, first.prices) == (False, ())
    assert made.total.cost is not None
    assert made.total.cost.estimate == pytest.approx(7 * ANSWER)

    # And those whose cost was known cost what they did.
    project.values["writer"]["price"] = {"input": "4", "output": "20"}
    project.run("+key:text_personas")
    project.write("web/newer.jsonl", texts(10, "newer"))
    first = forecasts(planned(project, "+key:text_personas"))["text_personas"]
    assert first.cost is not None
    assert first.cost.estimate == pytest.approx(10 * 2 * ANSWER)


def test_a_pilot_that_went_online_is_priced_as_the_batches_that_follow(
    project: SampleProject,
) -> None:
    project.write(NEW, texts(6))
    project.values["writer"] |= {"transport": "batch", "price": PRICE}
    first = forecasts(planned(project, "+key:text_personas"))["text_personas"]
    assert first.cost is None
    assert first.prices == ("PERSONA_WRITER__PRICE__BATCH",)
    project.values["writer"]["price"] = {**PRICE, "batch": "0.5"}
    first = forecasts(planned(project, "+key:text_personas"))["text_personas"]
    assert first.cost is not None
    assert first.cost.estimate == pytest.approx(3 * ANSWER)


def test_a_limit_a_minute_takes_its_time(project: SampleProject) -> None:
    project.write(NEW, texts(60))
    quick = forecasts(planned(project, "+key:text_personas"))["text_personas"]
    assert quick.hours is not None
    project.values["writer"]["requests_per_minute"] = 2
    slow = forecasts(planned(project, "+key:text_personas"))["text_personas"]
    assert slow.hours is not None
    assert slow.hours.estimate == pytest.approx(0.5)
    project.values["writer"] |= {"requests_per_minute": None, "tokens_per_minute": 10}
    slow = forecasts(planned(project, "+key:text_personas"))["text_personas"]
    assert slow.hours is not None
    assert slow.hours.estimate == pytest.approx(1)
    project.values["writer"]["transport"] = "batch"
    batch = forecasts(planned(project, "+key:text_personas"))["text_personas"]
    assert batch.batch
    assert batch.hours is None


def test_a_text_that_came_is_all_that_is_asked_about(project: SampleProject) -> None:
    project.write(BIRDS, [*TEXTS[BIRDS], "A heron has taken to the weir."])
    made = planned(project)
    assert calls(made)["text_personas"] == pytest.approx(1)
    assert forecasts(made)["text_personas"].tables == 1
    runs = project.run("+key:text_personas")
    assert [run.error for run in runs] == [""]
    assert project.server.calls.total() == 1


def test_answers_of_a_run_that_broke_off_are_not_asked_for_again(project: SampleProject) -> None:
    project.write(NEW, texts(6))
    project.values["writer"]["concurrency"] = 1
    project.server.meets = lambda prompt, message: "401" if "Notice 4" in message else None
    runs = project.run("+key:text_personas", [NEW])
    assert runs[0].error
    answered = project.server.calls.total()
    assert 0 < answered < 6
    assert calls(planned(project, "+key:text_personas"))["text_personas"] == pytest.approx(
        6 - answered
    )
    # Those of a table that somebody removed neither.
    project.storage.path("text_personas", BIRDS).unlink()
    assert forecasts(planned(project, "+key:text_personas"))["text_personas"].tables == 1


def test_an_edited_prompt_has_no_pilot_and_what_descends_is_asked_anew(
    project: SampleProject,
) -> None:
    project.edit("text_to_persona", "# User\n", "Be brief.\n\n# User\n")
    made = planned(project)
    found = forecasts(made)
    assert found["text_personas"].pilot_tables == 0
    # Everything else was made by the prompts of now, of personas that will be others.
    assert found["math_problems"].pilot_tables == 2
    assert calls(made)["math_problems"] == 2 * 4
    arguments = run_next(project, made)
    assert arguments == ["run", "--select", "+key:text_personas", "--shards", LETTERS]
    assert project.server.calls.total() == 1
    made = planned(project)
    assert calls(made)["text_personas"] == 3


def test_a_pilot_of_one_shard_is_made_where_that_is_possible(project: SampleProject) -> None:
    # Tables made of all shards are stale, and yet the old shards need none of them.
    project.write(NEW, texts(2))
    project.edit("math_program", "# User\n", "Be brief.\n\n# User\n")
    made = planned(project)
    assert made.next is not None
    assert made.next.assets == ("math_solutions",)
    arguments = run_next(project, made)
    assert arguments == ["run", "--select", "key:math_solutions", "--shards", LETTERS]
    assert forecasts(planned(project))["math_solutions"].pilot_tables == 1


def test_many_shards_are_units_of_the_sample(fresh: SampleProject) -> None:
    for number in range(CLUSTERS):
        fresh.write(f"web/part-{number}.jsonl", texts(2 + number % 3, str(number)))
    made_of = "key:raw_corpus or key:text_personas"
    pilots = [f"web/part-{number}.jsonl" for number in range(CLUSTERS)]
    assert not any(run.error for run in fresh.run(made_of, pilots))
    with fresh.runner(made_of) as runner:
        project = Project(fresh.settings)
        asset = runner.graph.assets["text_personas"]
        asker = Asker.of(asset, runner.specs[asset.name], project)
        [(_, made, sizes)] = Pilot(project, runner.graph).samples([asker])
    assert made[:, 0].tolist() == sizes[:, 0].tolist() == [2 + n % 3 for n in range(CLUSTERS)]
    first = forecasts(planned(fresh, made_of))["text_personas"]
    assert (first.pilot_tables, first.tables) == (CLUSTERS, 2)
    assert holds(first.calls, 4)


def test_calls_of_a_text_are_those_of_its_rows_and_of_its_drops(finished: SampleProject) -> None:
    with finished.runner() as runner:
        project = Project(finished.settings)
        askers = [
            Asker.of(runner.graph.assets[name], runner.specs[name], project)
            for name in ("text_personas", "logic_problems")
        ]
        [(_, made, sizes)] = Pilot(project, runner.graph).samples(askers)
    assert sizes.tolist() == [[1, 1]] * 4
    # The model refused one of the texts, which led to no persona and to no problem.
    assert made[:, 0].tolist() == [1] * 4
    assert (made[:, 1] == 0).sum() == 1
    problems = sum(len(finished.rows("logic_problems", shard)) for shard in TEXTS)
    assert made[:, 1].sum() == pytest.approx(problems)


def test_the_command_prints_the_same_twice_and_asks_nothing(
    fresh: SampleProject, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fresh.root)
    for name, value in fresh.environment().items():
        monkeypatch.setenv(name, value)
    assert main(["run", "--select", PERSONAS, "--shards", LETTERS]) == 0
    asked = fresh.server.calls.total()
    capfd.readouterr()
    printed: list[str] = []
    for _ in range(2):
        assert main(["plan", "--select", PERSONAS]) == 0
        printed.append(capfd.readouterr().out)
    assert printed[0] == printed[1]
    assert "text_personas" in printed[0]
    assert "1 text of 1 shard" in printed[0]
    assert "set PERSONA_WRITER__PRICE__INPUT, PERSONA_WRITER__PRICE__OUTPUT" in printed[0]
    assert main(["plan", "--select", PERSONAS, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert [it["asset"] for it in found["assets"]][:2] == ["text_personas", "hop_1_personas"]
    assert found["assets"][0]["calls"] == {"estimate": 3, "low": 0, "high": 12}
    assert found["total"]["cost"] is None
    assert fresh.server.calls.total() == asked
    assert main(["plan", "--select", "key:raw_corpus", "--shards", LETTERS]) == 0
    assert capfd.readouterr().out == "everything is fresh: a run asks nothing\n"


def test_a_plan_needs_no_server(fresh: SampleProject) -> None:
    with ModelServer() as gone:
        url = gone.url
    fresh.values["writer"] |= {"base_url": url, "api_key_env": "NO_SUCH_KEY"}
    assert planned(fresh).assets[0].tables == 2
