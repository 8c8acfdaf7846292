"""An asset check passes on sound tables and fails on rows that break its guarantee."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from persona_assets.project import Project
from persona_assets.resources.trained_models import TrainedModel
from persona_assets.resources.training_outcome import Report
from persona_assets.storage.step_result import StepResult, quarantine
from persona_assets_tests.sample_project import TEXTS, SampleProject, StubTrainer

BIRDS, LETTERS = TEXTS
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def run_check(
    project: SampleProject, asset: str, name: str, shard: str | None
) -> dg.AssetCheckEvaluation:
    """Run a single check of a table, and no asset."""
    job = project.defs.resolve_implicit_global_asset_job_def()
    key = dg.AssetCheckKey(dg.AssetKey(asset), name)
    with project.instance() as instance:
        selection = job.get_subset(asset_selection=set(), asset_check_selection={key})
        result = selection.execute_in_process(
            instance=instance,
            tags={} if shard is None else {"dagster/partition": shard},
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        [evaluation] = result.get_asset_check_evaluations()
        return evaluation


def replace(
    project: SampleProject, asset: str, shard: str | None, rows: pl.DataFrame, dropped: int = 0
) -> None:
    """Replace the rows of a table, and its drops by a number of lost rows, without a run."""
    footer = project.storage.existing_footer(asset, shard)
    drops = quarantine(asset, ((str(number), "lost") for number in range(dropped)))
    counts = {"rows": len(rows), "dropped": {"lost": dropped} if dropped else {}}
    project.storage.write(StepResult(rows, drops), footer.model_copy(update=counts))


@pytest.mark.parametrize("asset", ["raw_corpus", "tools", "persona_embeddings"])
def test_contract_check_passes_on_a_sound_table(project: SampleProject, asset: str) -> None:
    assert run_check(project, asset, "contract", BIRDS).passed


def test_contract_check_fails_on_a_repeated_row_id(project: SampleProject) -> None:
    rows = project.rows("tools", BIRDS)
    replace(project, "tools", BIRDS, pl.concat([rows, rows.head(1)]))
    evaluation = run_check(project, "tools", "contract", BIRDS)
    assert not evaluation.passed
    assert evaluation.severity == ERROR
    assert evaluation.metadata["faulty_ids"].value == 1
    assert run_check(project, "tools", "contract", LETTERS).passed


def test_contract_check_fails_on_a_row_without_an_id(project: SampleProject) -> None:
    rows = project.rows("math_train").with_columns(
        pl.when(pl.int_range(pl.len()) > 0).then("sample_id").alias("sample_id")
    )
    replace(project, "math_train", None, rows)
    evaluation = run_check(project, "math_train", "contract", None)
    assert (evaluation.passed, evaluation.metadata["faulty_ids"].value) == (False, 1)


def test_a_benchmark_problem_fails_the_check_of_the_math_sets_and_is_not_trained_on(
    project: SampleProject,
) -> None:
    problem = forbidden_problem(project)
    for asset in ("math_train", "math_test"):
        assert run_check(project, asset, "decontaminated", None).passed
        rows = project.rows(asset).with_columns(problem=pl.lit(f"Late at night: {problem}"))
        replace(project, asset, None, rows)
        evaluation = run_check(project, asset, "decontaminated", None)
        assert (evaluation.passed, evaluation.severity) == (False, ERROR)
        assert evaluation.metadata["contaminated"].value == len(rows) > 0
    project.storage.path("fine_tuned_model", "1").unlink()
    errors = [run.error for run in project.run("key:fine_tuned_model")]
    assert any("contaminated: sample " in error for error in errors)
    assert project.storage.footer("fine_tuned_model", "1") is None


def test_a_held_out_problem_fails_the_check_of_the_training_set(project: SampleProject) -> None:
    [problem, *_] = project.rows("math_test")["problem"]
    rows = project.rows("math_train").with_columns(problem=pl.lit(problem))
    replace(project, "math_train", None, rows)
    evaluation = run_check(project, "math_train", "decontaminated", None)
    assert not evaluation.passed
    assert "contaminated: held_out " in str(evaluation.metadata["first"].value)


def forbidden_problem(project: SampleProject) -> str:
    """Return a problem of the project's benchmark."""
    problem: str = Project(project.settings).forbidden_problems()["problem"][0]
    return problem


def test_contract_check_fails_on_another_schema(project: SampleProject) -> None:
    rows = project.rows("raw_corpus", LETTERS).drop("licence")
    replace(project, "raw_corpus", LETTERS, rows)
    evaluation = run_check(project, "raw_corpus", "contract", LETTERS)
    assert not evaluation.passed
    assert "licence" in str(evaluation.metadata["expected"].value)
    assert "licence" not in str(evaluation.metadata["found"].value)


@pytest.mark.parametrize(("dropped", "passed"), [(2, True), (3, False)])
def test_quarantine_share_check_warns_above_the_largest_share(
    project: SampleProject, dropped: int, passed: bool
) -> None:
    replace(project, "tools", BIRDS, project.rows("tools", BIRDS), dropped)
    evaluation = run_check(project, "tools", "quarantine_share", BIRDS)
    assert evaluation.passed == passed
    assert evaluation.severity == WARN
    assert evaluation.metadata["share"].value == pytest.approx(dropped / (dropped + 2))


@pytest.mark.parametrize("name", ["quarantine_share", "contract"])
def test_check_passes_on_an_empty_table(project: SampleProject, name: str) -> None:
    replace(project, "tools", BIRDS, project.rows("tools", BIRDS).clear())
    assert run_check(project, "tools", name, BIRDS).passed


DUPLICATES = [
    ("lexical_duplicates", "persona_candidates", "persona", ERROR),
    ("semantic_duplicates", "persona_embeddings", "vector", WARN),
]
"""Asset, shard asset that its survivors are in, column compared, and severity of the check.

Semantic duplicates are searched approximately, so a missed pair is no error.
"""


@pytest.mark.parametrize("asset", [asset for asset, *_ in DUPLICATES])
def test_survivors_check_passes_on_survivors_that_differ(
    project: SampleProject, asset: str
) -> None:
    assert run_check(project, asset, "survivors_stand", None).passed


@pytest.mark.parametrize(("asset", "shard_asset", "column", "severity"), DUPLICATES)
def test_survivors_check_fails_on_two_similar_survivors(
    project: SampleProject,
    asset: str,
    shard_asset: str,
    column: str,
    severity: dg.AssetCheckSeverity,
) -> None:
    candidates = project.rows(shard_asset, BIRDS)
    if "kept" in candidates.columns:
        candidates = candidates.filter("kept")
    survivors = candidates.join(
        project.rows(asset), on="persona_id", how="anti", maintain_order="left"
    )
    rows = project.rows(shard_asset, LETTERS)
    copied = pl.lit(survivors[column].to_list()[0], dtype=rows.schema[column])
    replace(project, shard_asset, LETTERS, rows.with_columns(copied.alias(column)))
    evaluation = run_check(project, asset, "survivors_stand", None)
    assert not evaluation.passed
    assert evaluation.metadata["similar_survivors"].value > 0
    assert evaluation.severity == severity


class TrainerWithoutHash(StubTrainer):
    """Double of the trainer that omits the hash of the weights, which is the row id."""

    def train(
        self,
        rows: Sequence[Mapping[str, str]],
        folder: Path,
        report: Report,
        **options: Any,
    ) -> TrainedModel:
        return dataclasses.replace(super().train(rows, folder, report, **options), sha256=None)  # type: ignore[arg-type]


def test_asset_that_breaks_its_contract_writes_no_table_and_stops_its_run(
    project: SampleProject,
) -> None:
    project.trainer = TrainerWithoutHash()
    before = project.versions()
    project.storage.path("fine_tuned_model", "3").unlink()
    [run] = project.run("key:fine_tuned_model or key:synthetic_accuracy or key:math_accuracy")
    assert run.error == "fine_tuned_model: ValueError: 1 of 1 rows have no sha256 of their own"
    assert before.keys() - project.versions().keys() == {("fine_tuned_model", "3")}
    assert project.stale()[0].reasons == run.work.reasons
    assert project.server.calls == {}
