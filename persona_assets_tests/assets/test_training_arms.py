"""A control arm and further seeds leave finished models as they are, and are told beforehand."""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from persona_assets.assets.graph import project_assets
from persona_assets.planning.plan import Forecast, make_plan
from persona_assets.project import Project
from persona_assets.settings import CONTROL_TASK, NO_PERSONA, Settings, SettingsError
from persona_assets.steps.tasks import sample_inputs
from persona_assets_tests.sample_project import TEXTS, SampleProject
from persona_assets_tests.sampling_server import SamplingServer

CURVES = {"training_curve", "scaling_curve", "size_comparison"}
CONTROL_MODELS = {f"{name}{NO_PERSONA}" for name in ("synthetic_accuracy", "math_accuracy")}
ASKING = {CONTROL_TASK, f"math_solutions{NO_PERSONA}", *CONTROL_MODELS}


def stale_tables(project: SampleProject) -> set[tuple[str, str | None]]:
    return {(asset, work.partition) for work in project.stale() for asset in work.reasons}


def names(tables: set[tuple[str, str | None]]) -> set[str]:
    return {asset for asset, _ in tables}


class Made:
    """Project with a control arm and two seeds, and its state before and at the plan."""

    def __init__(self, project: SampleProject) -> None:
        self.project = project
        self.before = project.versions()
        self.earlier_calls = len(project.journaled())
        project.values |= {"train_without_personas": True, "training_seeds": [0, 2]}
        self.stale = stale_tables(project)
        with project.runner() as runner:
            forecasts = make_plan(Project(project.settings), runner).assets
        self.forecasts: dict[str, Forecast] = {each.asset: each for each in forecasts}
        self.errors = [run.error for run in project.run() if run.error]


@pytest.fixture(scope="module")
def made(finished: SampleProject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with SamplingServer("math_problems") as server:
        yield Made(finished.copy(tmp_path_factory.mktemp("arms") / "project", server))


def test_finished_tables_stay_and_what_is_bought_is_told(made: Made) -> None:
    assert made.errors == []
    # The first seed's models and figures stay; the second's are partitions of their own.
    of_models = {"fine_tuned_model", "synthetic_accuracy", "math_accuracy"}
    old = {table for table in made.stale if NO_PERSONA not in table[0]}
    assert {table for table in old if table[0] in of_models} == {
        (name, f"{size}-seed-2") for name in of_models for size in (1, 3)
    }
    graders = {"grader_verdicts", "grader_agreement", "grader_accuracy"}
    assert names(old) - of_models == {*CURVES, "paper_results", *graders}
    now = made.project.versions()
    changed = {table[0] for table, version in made.before.items() if now[table] != version}
    # The double of the trainer has no losses: their table stays empty.
    assert changed == {*CURVES, "paper_results", *graders} - {"training_curve"}
    assert made.forecasts.keys() == {*ASKING, "synthetic_accuracy", "math_accuracy"}
    for asset in (CONTROL_TASK, f"math_solutions{NO_PERSONA}"):
        asked = sum(len(made.project.journal(asset, shard)) for shard in TEXTS)
        assert 0 < asked <= (made.forecasts[asset].most or 0)
    assert made.project.stale() == []


def test_as_many_problems_are_asked_for_and_no_request_shows_a_persona(made: Made) -> None:
    project = made.project
    for shard in TEXTS:
        with_persona, without = (
            project.rows(name, shard) for name in ("math_problems", CONTROL_TASK)
        )
        asked = [
            len(project.rows(name, shard)) + len(project.storage.quarantine(name, shard))
            for name in ("math_problems", CONTROL_TASK)
        ]
        assert asked[0] == asked[1] > 0
        assert without.schema == with_persona.schema
        assert set(without["persona"]) <= {""}
        personas = project.rows("persona_hub", shard)["persona"].to_list()
        bodies = [
            json.dumps(record.body, ensure_ascii=False)
            for record in project.journal(CONTROL_TASK, shard)
        ]
        assert not [text for text in personas for body in bodies if text in body]
    rows = pl.concat(project.rows(CONTROL_TASK, shard) for shard in TEXTS)
    assert rows["completion_id"].is_unique().all()


def test_the_same_problems_are_held_out_of_both_arms(made: Made) -> None:
    solutions = [made.project.rows(f"math_solutions{NO_PERSONA}", shard) for shard in TEXTS]
    both = pl.concat(solutions)
    assert not both["held_out"].any()
    assert set(both["solver"]) == {"assistant"}
    train = made.project.rows(f"math_train{NO_PERSONA}")
    assert len(train) >= 3
    assert set(train["sample_id"]) <= set(both["sample_id"])
    results = [
        made.project.rows(f"synthetic_accuracy{variant}", "3")["results"].item().struct.unnest()
        for variant in ("", NO_PERSONA)
    ]
    assert results[0]["problem_id"].equals(results[1]["problem_id"])


def test_curve_and_comparison_have_both_arms_and_the_seeds(made: Made) -> None:
    project = made.project
    curve = project.rows("scaling_curve")
    arms, seeds = ("full_persona", "no_persona"), (0, 2)
    for benchmark in ("sample", "synthetic"):
        assert curve.filter(benchmark=benchmark).select("arm", "examples", "seed").rows() == [
            (arm, size, seed) for arm in arms for size in (1, 3) for seed in seeds
        ]
    assert curve["model"].n_unique() == len(arms) * 2 * len(seeds)
    compared = project.rows("size_comparison")
    of_arms = compared.filter(arm_before="no_persona")
    assert of_arms.select("before", "after", "seeds").unique().sort("before").rows() == [
        (1, 1, 2),
        (3, 3, 2),
    ]
    assert of_arms["verdict"].str.contains(r"^Personas (add|cost) .* at [13] problems: ").all()
    ours = project.rows("paper_results").filter(source="this project")["model"]
    assert ours.str.contains("problems without personas, seed 2, weights").any()


def test_a_size_stands_for_its_trainings_and_a_key_for_one(made: Made) -> None:
    for sizes, keys in ((["3"], ["3", "3-seed-2"]), (["3-seed-2"], ["3-seed-2"])):
        with made.project.runner(sizes=sizes) as runner:
            assert runner.keys("training_sizes") == keys


def test_without_the_settings_the_tables_are_those_of_before(made: Made, tmp_path: Path) -> None:
    with SamplingServer() as server:
        project = made.project.copy(tmp_path / "project", server)
        assert not [name for name in project.assets if NO_PERSONA in name]
        graders = {"grader_verdicts", "grader_agreement", "grader_accuracy"}
        assert names(stale_tables(project)) == {*CURVES, "paper_results", *graders}
        assert [run.error for run in project.run() if run.error] == []
        assert server.asked_of.total() == 0
        now = project.versions()
        assert {table: now[table] for table in made.before} == made.before
        # A size that is not named has no partition; its tables wait, and nothing is made anew.
        project.values["training_sizes"] = [3]
        with project.instance() as instance:
            assert instance.get_dynamic_partitions("training_sizes") == ["3"]
        assert [run.error for run in project.run() if run.error] == []
        assert set(project.rows("scaling_curve")["examples"]) == {3}
        assert project.stale() == []
        project.values["training_sizes"] = [1, 3]
        assert not {"fine_tuned_model", "math_accuracy"} & names(stale_tables(project))
        assert [run.error for run in project.run() if run.error] == []
        assert project.versions()["scaling_curve", None] == now["scaling_curve", None]
        assert server.asked_of.total() == 0


def test_subjects_are_dealt_out_to_problems_without_personas(project: SampleProject) -> None:
    project.values |= {"train_without_personas": True}
    project.values["tasks"]["math_problems"]["variables"] = {"focus": "tides | bells"}
    personas = pl.concat(project.rows("persona_hub", shard) for shard in TEXTS)
    prompt = project.project.prompt(CONTROL_TASK)
    rows = sample_inputs(personas, prompt, 4)
    asked = {prompt.request(row.inputs, row.index).messages[-1]["content"] for row in rows}
    assert asked == {
        f"Subject: {subject}\n\nWrite one math problem on this subject."
        for subject in ("tides", "bells")
    }
    assert len({row.index for row in rows}) == len(rows)


def test_prompt_without_a_part_for_personas_is_refused(project: SampleProject) -> None:
    project.edit("tasks/math_problems", "{% if persona %}", "{% if persona | length %}")
    project.values |= {"train_without_personas": True}
    with pytest.raises(SettingsError, match=r"math_problems@no_persona: PERSONA=false needs"):
        project_assets(project.project)


def test_task_of_the_control_arm_is_never_asked_with_personas(project: SampleProject) -> None:
    project.values["tasks"][CONTROL_TASK] = {"per_shard": 2}
    with pytest.raises(SettingsError, match=r"no_persona: it would be asked with personas: set"):
        _ = project.project
    project.values |= {"train_without_personas": True}
    task = project.project.settings.task(CONTROL_TASK)
    # What is not set is that of the task with personas.
    assert (task.per_shard, task.shots, task.persona) == (2, 2, False)


def test_seeds_are_different_numbers() -> None:
    with pytest.raises(SettingsError, match=r"TRAINING_SEEDS: .*a seed is named twice"):
        Settings.load(training_seeds=[1, 1])
    assert [
        run.key for run in Settings.load(training_sizes=[8], training_seeds=[1, 0]).training_runs
    ] == [
        "8-seed-1",
        "8",
    ]
