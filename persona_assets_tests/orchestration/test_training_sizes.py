"""Each training size is evaluated at a server of its own weights, all sizes or those chosen."""

import sys
from collections.abc import Callable
from contextlib import closing

import pytest

from persona_assets.orchestration.runner import Finished
from persona_assets.planning.plan import make_plan
from persona_assets.resources.models import Models
from persona_assets.storage.step_result import StepResult
from persona_assets_tests.generation.sample_calls import content
from persona_assets_tests.sample_project import ROOT, SampleProject

PROGRAM = ROOT / "persona_assets_tests" / "programs" / "tuned_server.py"
ACCURACIES = ("synthetic_accuracy", "math_accuracy")
SELECT = "key:synthetic_accuracy or key:math_accuracy or key:scaling_curve"


def name_of(project: SampleProject, size: str) -> str:
    sha256: str = project.rows("fine_tuned_model", size)["sha256"].item()
    return f"tuned-{sha256[:12]}"


def stale_tables(project: SampleProject) -> set[tuple[str, str | None]]:
    return {(asset, work.partition) for work in project.stale() for asset in work.reasons}


def test_run_serves_each_size_for_all_benchmarks_and_ends_the_server(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # Other sampling asks anew.
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
        assert sum(line.startswith(f"starting the server of {name};") for line in lines) == 1
        for asset in ACCURACIES:
            results = project.rows(asset, size)["results"].explode().struct.unnest()
            records = {record.key: record for record in project.journal(asset, size)}
            answers = [records[key] for key in results["completion_id"]]
            assert {content(record) for record in answers} == {rf"{name} says \boxed{{4}}"}
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
    with project.runner(SELECT, sizes=["3", "3"]) as runner:
        assert runner.waiting() == {"scaling_curve": ["1"]}
        runs = [event for event in runner.run() if isinstance(event, Finished)]
        assert [(run.work.partition, run.error) for run in runs] == [("3", "")]
        assert not runner.anything_stale()
    assert ("math_accuracy", "1") in stale_tables(project)
    assert [run.error for run in project.run(SELECT) if run.error] == []
    assert stale_tables(project) == set()


def test_plan_of_a_size_leaves_the_others_out(project: SampleProject) -> None:
    project.edit("evaluation", "# User\n", "Be brief.\n\n# User\n")

    def tables(*sizes: str) -> dict[str, int]:
        with project.runner(sizes=sizes) as runner:
            return {it.asset: it.tables for it in make_plan(project.project, runner).assets}

    assert tables("3") == dict.fromkeys(ACCURACIES, 1)
    assert tables() == dict.fromkeys(ACCURACIES, 2)


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
    # Code versions without a verified name are those of embedded models, which load their weights.
    embedded = SampleProject(project.root, project.server)
    endpoint = {**project.values["evaluation"], "embedded": True, "base_url": None}
    embedded.values = {**project.values, "evaluation": endpoint}
    for asset in ACCURACIES:
        reads = embedded.assets[asset].reads
        step, *_ = reads.versions(embedded.project)
        version = embedded.project.code_version(step, reads.prompts, reads.settings)
        for size in ("1", "3"):
            footer = project.storage.existing_footer(asset, size)
            assert footer.code_version != version
            rows = StepResult(project.rows(asset, size), project.storage.quarantine(asset, size))
            project.storage.write(rows, footer.model_copy(update={"code_version": version}))
    figures = {(asset, size) for asset in ACCURACIES for size in ("1", "3")}
    assert stale_tables(project) >= figures
    assert stale_tables(embedded) == set()
