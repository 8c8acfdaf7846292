"""Each training size is evaluated at a server of its own weights, all sizes or those chosen."""

import sys
from collections.abc import Callable
from contextlib import closing

import pytest

from persona_assets.orchestration.staleness import Stale
from persona_assets.planning.plan import make_plan
from persona_assets.resources.models import Models
from persona_assets_tests.sample_project import ROOT, SampleProject

PROGRAM = ROOT / "persona_assets_tests" / "programs" / "tuned_server.py"
ACCURACIES = ("synthetic_accuracy", "math_accuracy")
SELECT = "key:synthetic_accuracy or key:math_accuracy or key:scaling_curve"


def name_of(project: SampleProject, size: str) -> str:
    sha256: str = project.rows("fine_tuned_model", size)["sha256"].item()
    return f"tuned-{sha256[:12]}"


def reasons(stale: list[Stale]) -> dict[str | None, list[str]]:
    return {work.partition: list(work.reasons) for work in stale}


def test_run_serves_each_size_for_all_benchmarks_and_ends_the_server(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # Other sampling asks anew. The key of the user's endpoints is nothing for this server.
    project.values["evaluation"] = {
        "model": "tuned",
        "serve": f"{sys.executable} {PROGRAM} {{path}} {{name}} {{port}}",
        "sampling": {"max_tokens": 99},
    }
    with closing(Models(project.settings, project.storage)) as models:
        project.resources["models"] = models
        lines: list[str] = []
        models.report = lines.append
        assert [run.error for run in project.run(SELECT) if run.error] == []
    for size in ("1", "3"):
        name = name_of(project, size)
        assert lines.count(f"{name} is served after 0 s") <= 1
        assert sum(line.startswith(f"starting the server of {name};") for line in lines) == 1
        for asset in ACCURACIES:
            asked = {row.model: row.body for row in project.journal(asset, size) if row.body}
            contents = {body["choices"][0]["message"]["content"] for body in [asked[name]]}
            assert contents == {rf"{name} says \boxed{{4}}"}
            assert {model for model in asked if model.startswith("tuned")} == {
                name,
                # Answers of the earlier sampling stay.
            }
    assert name_of(project, "1") != name_of(project, "3")
    assert project.server.calls["evaluation"] == 0


def test_false_server_stops_every_size_with_its_command(project: SampleProject) -> None:
    project.values["evaluation"]["sampling"] = {"max_tokens": 99}
    project.server.weights, project.server.models = None, [name_of(project, "1")]
    before = project.versions()
    runs = project.run(SELECT)
    assert [run.work.partition for run in runs if run.error] == ["3"]
    [error] = [run.error for run in runs if run.error]
    assert f"and not '{name_of(project, '3')}'" in error
    assert f"--alias {name_of(project, '3')} " in error
    after = project.versions()
    assert {table for table in after if after[table] != before[table]} <= {
        (asset, "1") for asset in ACCURACIES
    }
    assert after["scaling_curve", None] == before["scaling_curve", None]


def test_sizes_restrict_a_run_and_the_curve_waits_for_the_others(project: SampleProject) -> None:
    for size in ("1", "3"):
        project.storage.path("math_accuracy", size).unlink()
    with project.runner(SELECT, sizes=["3"]) as runner:
        assert runner.waiting() == {"scaling_curve": ["1"]}
        assert [run.work.partition for run in runner.run() if hasattr(run, "run_id")] == ["3"]
        assert not runner.anything_stale()
    assert reasons(project.stale()) == {"1": ["math_accuracy"], None: ["scaling_curve"]} or reasons(
        project.stale()
    ) == {"1": ["math_accuracy"]}
    assert [run.error for run in project.run(SELECT) if run.error] == []
    assert project.stale() == []


def test_plan_of_a_size_leaves_the_others_out(project: SampleProject) -> None:
    project.values["evaluation"]["sampling"] = {"max_tokens": 99}
    with project.runner(sizes=["3"]) as runner:
        chosen = make_plan(project.project, runner)
    with project.runner() as runner:
        every = make_plan(project.project, runner)
    assert {forecast.asset: forecast.tables for forecast in chosen.assets} == dict.fromkeys(
        ACCURACIES, 1
    )
    assert {forecast.asset: forecast.tables for forecast in every.assets} == dict.fromkeys(
        ACCURACIES, 2
    )


@pytest.mark.parametrize("command_name", ["run", "plan"])
def test_unknown_size_is_named_with_the_configured_ones(
    project: SampleProject, command: Callable[..., tuple[int, str, str]], command_name: str
) -> None:
    code, _, err = command(project, command_name, "--sizes", "3,16")
    assert code == 1
    assert err == (
        "persona-assets: no training size '16': there are 1, 3; add it to PERSONA_TRAINING_SIZES\n"
    )


def test_figure_of_a_server_that_was_not_verified_is_stale(project: SampleProject) -> None:
    """The code versions are those of a version that asked whatever the server held."""
    for asset in ACCURACIES:
        declared = project.assets[asset].reads
        plain = {"embedded": True, **project.values["evaluation"]}
        unverified = SampleProject(project.root, project.server)
        unverified.values = {**project.values, "evaluation": {**plain, "base_url": None}}
        version = unverified.project.code_version(
            declared.version, declared.prompts, declared.settings
        )
        for size in ("1", "3"):
            footer = project.storage.existing_footer(asset, size)
            rows = project.storage.scan(asset, size).collect()
            from persona_assets.storage.step_result import StepResult

            project.storage.write(
                StepResult(rows, project.storage.quarantine(asset, size)),
                footer.model_copy(update={"code_version": version}),
            )
    stale = reasons(project.stale())
    assert {size: stale[size] for size in ("1", "3")} == {
        "1": list(ACCURACIES[::-1]),
        "3": list(ACCURACIES[::-1]),
    } or {size: set(stale[size]) for size in ("1", "3")} == dict.fromkeys(
        ("1", "3"), set(ACCURACIES)
    )
