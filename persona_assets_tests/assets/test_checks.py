"""Each asset check, made to fail by rows that break what it guards, in real runs."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from persona_assets.resources.trainer import Report, TrainedModel
from persona_assets.storage.step_result import StepResult, quarantine
from persona_assets_tests.sample_project import TEXTS, SampleProject, StubTrainer

BIRDS, LETTERS = TEXTS


def check(
    project: SampleProject, asset: str, name: str, shard: str | None
) -> dg.AssetCheckEvaluation:
    """Runs one check of one table, and nothing else."""
    job = project.defs.resolve_implicit_global_asset_job_def()
    key = dg.AssetCheckKey(dg.AssetKey(asset), name)
    with project.instance() as instance:
        result = job.get_subset(asset_selection=set(), asset_check_selection={key})
        done = result.execute_in_process(
            instance=instance,
            tags={} if shard is None else {"dagster/partition": shard},
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        [found] = done.get_asset_check_evaluations()
        return found


def replace(
    project: SampleProject, asset: str, shard: str | None, rows: pl.DataFrame, dropped: int = 0
) -> None:
    """Puts other rows in the place of a table's, as nobody should."""
    footer = project.storage.existing_footer(asset, shard)
    gone = quarantine(asset, ((str(number), "lost") for number in range(dropped)))
    counts = {"rows": len(rows), "dropped": {"lost": dropped} if dropped else {}}
    project.storage.write(StepResult(rows, gone), footer.model_copy(update=counts))


@pytest.mark.parametrize("asset", ["raw_corpus", "tools", "persona_embeddings"])
def test_a_sound_table_keeps_its_contract(project: SampleProject, asset: str) -> None:
    assert check(project, asset, "contract", BIRDS).passed


def test_a_row_id_that_is_repeated_breaks_the_contract(project: SampleProject) -> None:
    rows = project.rows("tools", BIRDS)
    replace(project, "tools", BIRDS, pl.concat([rows, rows.head(1)]))
    found = check(project, "tools", "contract", BIRDS)
    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert found.metadata["faulty_ids"].value == 1
    assert check(project, "tools", "contract", LETTERS).passed


def test_a_row_without_an_id_breaks_the_contract(project: SampleProject) -> None:
    rows = project.rows("math_train").with_columns(
        pl.when(pl.int_range(pl.len()) > 0).then("sample_id").alias("sample_id")
    )
    replace(project, "math_train", None, rows)
    found = check(project, "math_train", "contract", None)
    assert (found.passed, found.metadata["faulty_ids"].value) == (False, 1)


def test_another_schema_breaks_the_contract(project: SampleProject) -> None:
    rows = project.rows("raw_corpus", LETTERS).drop("licence")
    replace(project, "raw_corpus", LETTERS, rows)
    found = check(project, "raw_corpus", "contract", LETTERS)
    assert not found.passed
    assert "licence" in str(found.metadata["expected"].value)
    assert "licence" not in str(found.metadata["found"].value)


@pytest.mark.parametrize(("dropped", "passed"), [(2, True), (3, False)])
def test_too_large_a_share_of_losses_is_warned_of(
    project: SampleProject, dropped: int, passed: bool
) -> None:
    replace(project, "tools", BIRDS, project.rows("tools", BIRDS), dropped)
    found = check(project, "tools", "quarantine_share", BIRDS)
    assert found.passed == passed
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert found.metadata["share"].value == pytest.approx(dropped / (dropped + 2))


def test_an_empty_table_has_lost_nothing(project: SampleProject) -> None:
    replace(project, "tools", BIRDS, project.rows("tools", BIRDS).clear())
    assert check(project, "tools", "quarantine_share", BIRDS).passed
    assert check(project, "tools", "contract", BIRDS).passed


@pytest.mark.parametrize(
    ("asset", "shard_asset"),
    [
        ("lexical_duplicates", "persona_candidates"),
        ("semantic_duplicates", "persona_embeddings"),
    ],
)
def test_two_survivors_that_are_alike_are_found(
    project: SampleProject, asset: str, shard_asset: str
) -> None:
    assert check(project, asset, "survivors_stand", None).passed
    older, rows = project.rows(shard_asset, BIRDS), project.rows(shard_asset, LETTERS)
    column, kind = rows.columns[1], rows.schema
    if shard_asset == "persona_candidates":
        column, older = "persona", older.filter("kept")
    older = older.join(project.rows(asset), on="persona_id", how="anti", maintain_order="left")
    repeated = pl.lit(older[column].to_list()[0], dtype=kind[column])
    replace(project, shard_asset, LETTERS, rows.with_columns(repeated.alias(column)))
    found = check(project, asset, "survivors_stand", None)
    assert not found.passed
    assert found.metadata["similar_survivors"].value > 0
    promised = asset == "lexical_duplicates"
    severity = dg.AssetCheckSeverity
    assert found.severity == (severity.ERROR if promised else severity.WARN)


class NamelessTrainer(StubTrainer):
    """Forgets to say which weights it made."""

    def train(
        self, rows: Sequence[Mapping[str, str]], out_dir: Path, report: Report
    ) -> TrainedModel:
        return dataclasses.replace(super().train(rows, out_dir, report), sha256=None)  # type: ignore[arg-type]


def test_an_asset_that_breaks_its_contract_makes_no_table_and_stops_its_run(
    project: SampleProject,
) -> None:
    project.trainer = NamelessTrainer()
    before = project.versions()
    project.storage.path("fine_tuned_model", "3").unlink()
    [run] = project.run("group:model and not key:scaling_curve")
    assert run.error == "fine_tuned_model: ValueError: 1 of 1 rows have no sha256 of their own"
    assert before.keys() - project.versions().keys() == {("fine_tuned_model", "3")}
    assert project.stale()[0].reasons == run.work.reasons
    assert project.server.calls == {}
