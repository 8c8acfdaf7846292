"""Problem sets are measured side by side: another set or model asks its own questions alone."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from persona_assets.assets.graph import project_assets
from persona_assets.generation.calls.adaptation import Change
from persona_assets.generation.calls.adaptation_file import Adaptations
from persona_assets.orchestration.staleness import EARLIER
from persona_assets.planning.plan import make_plan
from persona_assets.project import Project
from persona_assets.settings import SettingsError
from persona_assets.steps.evaluation import ACCURACY
from persona_assets.storage.footer import data_version
from persona_assets.storage.step_result import StepResult
from persona_assets_tests.sample_project import ROOT, SampleProject

SAMPLE = ROOT / "data" / "benchmarks" / "sample.jsonl"
GSM8K = [
    {"question": "Tom has 3 bags of 4 nuts. How many nuts has he?", "answer": "3 * 4 #### 12"},
    {"question": "Ida walks 2 km a day. How far in 5 days?", "answer": "2 * 5 #### 10"},
]
SIZES = ("1", "3")
MEASURED = ("synthetic_accuracy", "math_accuracy")
GRADERS = ("grader_verdicts", "grader_agreement", "grader_accuracy")


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def errors(project: SampleProject) -> list[str]:
    """Run all that is stale and return the errors."""
    return [run.error for run in project.run() if run.error]


def stale_assets(project: SampleProject) -> set[str]:
    return {asset for work in project.stale() for asset in work.reasons}


def asked(project: SampleProject) -> int:
    """Return the number of calls to the evaluated model."""
    return project.server.asked_of["evaluation"]


def answers_of(project: SampleProject, model: str) -> int:
    """Return the number of a baseline's stored answers."""
    return sum(record.model == model for record in project.journal("baseline_accuracy"))


def unjudged(project: SampleProject) -> int:
    """Return the number of calls that asked for no verdict."""
    return project.server.asked_of.total() - project.server.asked_of["answer_equality"]


def test_tables_without_outcomes_gain_them_without_a_call(project: SampleProject) -> None:
    specs = {spec.key.to_user_string(): spec for spec in project.defs.resolve_all_asset_specs()}
    for asset in MEASURED:
        for size in SIZES:
            footer = project.storage.existing_footer(asset, size)
            rows = project.rows(asset, size).drop("examples", "decoding", "groups", "truncated")
            old = footer.model_copy(
                update={
                    "code_version": specs[asset].metadata[EARLIER][0],
                    "data_version": data_version(rows),
                }
            )
            project.storage.write(StepResult(rows), old)
    assert stale_assets(project) >= set(MEASURED)
    assert "fine_tuned_model" not in stale_assets(project)
    with project.runner() as runner:
        assert make_plan(Project(project.settings), runner).assets == ()
    assert errors(project) == []
    assert project.server.asked_of.total() == 0
    for asset in MEASURED:
        assert project.rows(asset, "3").schema == ACCURACY
        assert project.rows(asset, "3")["examples"].to_list() == [3]
    assert project.stale() == []


def test_another_benchmark_asks_its_own_problems_alone(project: SampleProject) -> None:
    file = write_lines(project.root / "gsm8k.test.jsonl", GSM8K)
    project.values["benchmarks"] = ["synthetic", str(SAMPLE), str(file)]
    before = project.versions()
    assert "gsm8k_accuracy" in stale_assets(project)
    assert not stale_assets(project) & {"fine_tuned_model", *MEASURED}
    with project.runner() as runner:
        [forecast] = make_plan(Project(project.settings), runner).assets
    # Two problems at each of two sizes, and as many verdicts.
    assert (forecast.asset, forecast.most is not None) == ("gsm8k_accuracy", True)

    assert errors(project) == []
    assert asked(project) == len(GSM8K) * len(SIZES)
    now = project.versions()
    unchanged = [("fine_tuned_model", "3"), *((asset, "3") for asset in MEASURED)]
    assert all(now[table] == before[table] for table in unchanged)
    assert set(project.rows("scaling_curve")["benchmark"]) == {"synthetic", "sample", "gsm8k"}
    compared = project.rows("size_comparison")
    assert compared.select("benchmark", "before", "after").rows() == [
        (benchmark, 1, 3) for benchmark in ("gsm8k", "sample", "synthetic")
    ]
    assert project.stale() == []


def test_a_subset_leaves_the_other_tables_as_they_are(project: SampleProject) -> None:
    project.values["benchmarks"] = ["synthetic"]
    assert stale_assets(project) == {
        *("scaling_curve", "size_comparison", "paper_results"),
        *GRADERS,
    }
    assert errors(project) == []
    assert project.server.asked_of.total() == 0
    assert set(project.rows("scaling_curve")["benchmark"]) == {"synthetic"}
    del project.values["benchmarks"]
    assert errors(project) == []
    assert project.server.asked_of.total() == 0
    assert set(project.rows("scaling_curve")["benchmark"]) == {"synthetic", "sample"}


@pytest.mark.parametrize(
    ("benchmarks", "message"),
    [
        (["synthetic", "synthetic"], "synthetic would be the second table synthetic_accuracy"),
        (["a/x.jsonl", "b/x.jsonl"], "b/x.jsonl would be the second table x_accuracy"),
        ([str(SAMPLE), "math.jsonl"], "math.jsonl would be the second table math_accuracy"),
        ([], "the list is empty"),
        (["-.jsonl"], "has no letter or digit"),
        (["a/synthetic.jsonl"], "would be the second problem set named synthetic"),
        ([str(SAMPLE), "b/Sample.jsonl"], "b/Sample.jsonl would be the second problem set named"),
        (["grader"], "the table grader_accuracy has another meaning: rename the file"),
    ],
)
def test_problem_sets_without_a_table_of_their_own_are_refused(
    project: SampleProject, benchmarks: list[str], message: str
) -> None:
    project.values["benchmarks"] = benchmarks
    with pytest.raises(SettingsError, match=message):
        project_assets(Project(project.settings))


def test_baselines_are_measured_on_the_same_problems(project: SampleProject) -> None:
    project.values["baselines"] = {"strong": project.endpoint("other")}
    assert stale_assets(project) == {"baseline_accuracy", "scaling_curve", "paper_results"}
    with project.runner() as runner:
        [forecast] = make_plan(Project(project.settings), runner).assets
    assert forecast.asset == "baseline_accuracy"
    assert forecast.most is not None
    assert errors(project) == []
    rows = project.rows("baseline_accuracy")
    assert rows.select("baseline", "benchmark", "model", "decoding").rows() == [
        ("strong", "synthetic", "other", "zero-shot, greedy"),
        ("strong", "sample", "other", "zero-shot, greedy"),
    ]
    for benchmark, asset in (("synthetic", MEASURED[0]), ("sample", MEASURED[1])):
        [own] = rows.filter(pl.col("benchmark") == benchmark)["results"]
        [tuned] = project.rows(asset, "3")["results"]
        assert [each["problem_id"] for each in own] == [each["problem_id"] for each in tuned]
    problems = sum(len(results) for results in rows["results"])
    assert answers_of(project, "other") == problems
    assert len(project.journal("baseline_accuracy")) <= forecast.most
    # A second baseline asks nothing of the first: its own problems, and a probe.
    before = unjudged(project)
    project.values["baselines"]["weak"] = project.endpoint("third")
    assert errors(project) == []
    assert answers_of(project, "third") == problems <= unjudged(project) - before < 2 * problems
    assert project.stale() == []


def test_decoding_of_a_model_that_refuses_a_temperature_is_not_called_greedy(
    project: SampleProject,
) -> None:
    project.values["baselines"] = {"strong": project.endpoint("other")}
    endpoint = project.settings.endpoint("baselines__strong")
    refused = Adaptations(endpoint, project.storage.endpoints)
    refused.keep([Change("temperature")], "only the default temperature")
    assert [run.error for run in project.run("key:baseline_accuracy") if run.error] == []
    decoding = set(project.rows("baseline_accuracy")["decoding"])
    assert decoding == {"zero-shot, temperature of the endpoint"}


def test_a_vote_asks_several_times_at_a_temperature(project: SampleProject) -> None:
    project.values["evaluation_samples"] = 3
    with pytest.raises(SettingsError, match="at the temperature 0 all 3 replies of the role eval"):
        _ = project.defs
    project.values["evaluation"]["sampling"] = {"temperature": 0.7}
    assert errors(project) == []
    row = project.rows("math_accuracy", "3").row(0, named=True)
    assert row["decoding"] == "zero-shot, temperature 0.7, majority of 3"
    assert len(row["results"]) == 3
    records = project.journal("math_accuracy", "3")
    ours = [record for record in records if record.body and record.model.startswith("tuned-")]
    assert len(ours) >= 3 * 3


def test_few_shots_are_shown_and_never_a_problem_of_the_benchmark(project: SampleProject) -> None:
    project.values["prompting"]["evaluation"] = {"mode": "few-shot", "shots": 2}
    assert errors(project) == []
    row = project.rows("math_accuracy", "3").row(0, named=True)
    assert row["decoding"] == "2-shot, greedy"

    shown = project.prompts / "demonstrations" / "evaluation.jsonl"
    leaked = json.loads(SAMPLE.read_text().splitlines()[0])
    write_lines(shown, [{"problem": leaked["problem"], "solution": leaked["solution"]}] * 2)
    project.values["benchmark_limit"] = None
    project.values["benchmarks"] = [str(SAMPLE)]
    failed = errors(project)
    assert len(failed) == len(SIZES)
    assert all("the evaluation shows the problem" in error for error in failed)
