"""Graders of a project stand side by side; the judge is asked only where a number says so."""

import polars as pl

from persona_assets.planning.plan import make_plan
from persona_assets.project import Project
from persona_assets_tests.sample_project import SampleProject

SELECTED = "key:grader_verdicts or key:grader_agreement or key:grader_accuracy"


def run(project: SampleProject) -> None:
    assert [it.error for it in project.run(SELECTED) if it.error] == []


def test_finished_project_has_three_graders_without_a_further_call(
    finished: SampleProject,
) -> None:
    verdicts = finished.rows("grader_verdicts")
    curve = finished.rows("scaling_curve")
    assert len(verdicts) == curve["n"].sum()
    assert verdicts["judge_completion_id"].null_count() == len(verdicts)
    assert finished.journal("grader_verdicts") == []
    declared = finished.rows("grader_accuracy").filter(grader="declared")
    columns = ["benchmark", "training_size", "accuracy", "low", "high"]
    curve = curve.explode("training_sizes").rename({"training_sizes": "training_size"})
    assert declared.select(columns).sort(columns).equals(curve.select(columns).sort(columns))


def test_project_of_an_earlier_version_pays_nothing_for_the_graders(
    project: SampleProject,
) -> None:
    for name in ("grader_verdicts", "grader_agreement", "grader_accuracy"):
        project.storage.path(name, None).unlink()
    with project.runner() as runner:
        assert make_plan(Project(project.settings), runner).assets == ()
    assert [it.error for it in project.run() if it.error] == []
    assert project.server.asked_of.total() == 0
    assert project.stale() == []


def test_judge_grades_a_forecast_sample_of_answers_that_the_algebra_decided(
    project: SampleProject,
) -> None:
    project.values["judged_answers"] = 4
    with project.runner(SELECTED) as runner:
        [forecast] = make_plan(Project(project.settings), runner).assets
    assert forecast.asset == "grader_verdicts"
    assert forecast.most is not None
    assert forecast.most >= 8
    run(project)
    verdicts = project.rows("grader_verdicts")
    asked = verdicts.filter(asked="sample").unique(["expected", "given"])
    assert len(asked) == min(4, verdicts.filter(pl.col("given").is_not_null()).n_unique("given"))
    # The evaluation asked about none of them, since the algebra decides on numbers.
    assert project.server.calls.total() == project.server.calls["answer_equality"] == len(asked)
    assert (asked["judge"] == asked["declared"]).all()


def test_judge_is_asked_once_where_the_algebra_decided(project: SampleProject) -> None:
    project.values |= {"equality": "math_verify", "judged_answers": 3}
    run_all = [it.error for it in project.run() if it.error]
    assert run_all == []
    # Earlier verdicts are in the journals of the project, so another wording is new.
    project.edit("answer_equality", "You compare two final answers", "You compare two answers")
    before = project.server.calls["answer_equality"]
    run(project)
    bought = project.server.calls["answer_equality"]
    assert 0 < bought - before <= 3
    versions = project.versions()
    project.storage.path("grader_verdicts", None).unlink()
    run(project)
    assert project.server.calls["answer_equality"] == bought
    assert project.versions() == versions
    completions = {record.key for record in project.journal("grader_verdicts")}
    named = project.rows("grader_verdicts")["judge_completion_id"].drop_nulls()
    assert set(named) <= completions


def test_figures_of_the_graders_are_metadata(project: SampleProject) -> None:
    project.values["judged_answers"] = 5
    run(project)
    with project.instance() as instance:
        shown = {
            name: instance.get_latest_materialization_event(
                project.defs.resolve_assets_def(name).key
            )
            for name in ("grader_verdicts", "grader_agreement", "grader_accuracy")
        }
    texts = {
        name: event.asset_materialization.metadata
        for name, event in shown.items()
        if event is not None and event.asset_materialization is not None
    }
    assert "PERSONA_EQUALITY=judge" in str(texts["grader_accuracy"]["headline"].value)
    assert str(texts["grader_accuracy"]["accuracies"].value).count("declared") == 4
    assert "kappa" in str(texts["grader_agreement"]["agreement"].value)
    assert len(str(texts["grader_agreement"]["matrix"].value)) < 1_000
    assert texts["grader_verdicts"]["disagreements"].value == 0
