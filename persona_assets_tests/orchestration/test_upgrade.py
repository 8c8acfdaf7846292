"""Tables of the version whose solutions had no language gain the column without a call or training.

The tables of a finished project are rewritten as that version wrote them.
"""

import sys
from pathlib import Path

import polars as pl
import pytest

from persona_assets.orchestration.staleness import EARLIER
from persona_assets.planning.plan import make_plan
from persona_assets.project import Project
from persona_assets.resources.trainer import Hyperparameters, Trainer
from persona_assets.storage.footer import data_version
from persona_assets.storage.step_result import StepResult
from persona_assets.training.launch import Launch
from persona_assets_tests.sample_project import TEXTS, SampleProject
from persona_assets_tests.training.tiny_model import write_tiny_gguf

PROGRAMS = Path(__file__).parents[1] / "resources" / "programs"
FAST = Hyperparameters(
    epochs=1, batch_size=1, gradient_accumulation=1, max_tokens=1024, packing=False
)
SOLUTIONS = [("math_solutions", shard) for shard in TEXTS]
SETS = [("math_train", None), ("math_test", None)]


def write_without_language(sample: SampleProject, asset: str, shard: str | None) -> None:
    """Rewrite a table without the column, and let the tables made from it have read that."""
    earlier = next(
        spec.metadata[EARLIER][0]
        for spec in sample.defs.resolve_all_asset_specs()
        if spec.key.to_user_string() == asset
    )
    rows = sample.rows(asset, shard).drop("language")
    version = data_version(rows)
    for _, footer in list(sample.storage.footers()):
        table = (footer.asset, footer.shard)
        upstream = tuple(
            read.model_copy(update={"data_version": version})
            if (read.asset, read.shard) == (asset, shard)
            else read
            for read in footer.upstream
        )
        changes: dict[str, object] = {"upstream": upstream}
        if table == (asset, shard):
            changes |= {"data_version": version, "code_version": earlier}
        if upstream != footer.upstream or table == (asset, shard):
            content = rows if table == (asset, shard) else sample.rows(*table)
            result = StepResult(content, sample.storage.quarantine(*table))
            sample.storage.write(result, footer.model_copy(update=changes))


@pytest.fixture
def earlier(project: SampleProject) -> SampleProject:
    """Finished project of that version."""
    for table in (*SOLUTIONS, *SETS):
        write_without_language(project, *table)
    return project


def test_tables_gain_the_language_without_a_call(earlier: SampleProject) -> None:
    stale = {
        (asset, work.partition): reason
        for work in earlier.stale()
        for asset, reason in work.reasons.items()
    }
    made_by = "made by an earlier version of persona_assets"
    assert stale == dict.fromkeys([*SOLUTIONS, *SETS], made_by)
    with earlier.runner() as runner:
        forecasts = make_plan(Project(earlier.settings), runner).assets
    # Another rule on benchmark problems may change what is trained and tested.
    assert {each.asset for each in forecasts} == {"synthetic_accuracy", "math_accuracy"}
    before = earlier.versions()
    assert [run.error for run in earlier.run() if run.error] == []
    assert earlier.server.asked_of.total() == 0
    now = earlier.versions()
    assert {table for table in now if now[table] != before[table]} == {*SOLUTIONS, *SETS}
    assert earlier.stale() == []
    problems = pl.concat(earlier.rows("unique_math_problems", shard) for shard in TEXTS)
    of_problem = dict(problems.select("sample_id", "language").iter_rows())
    for table in (*SOLUTIONS, *SETS):
        rows = earlier.rows(*table)
        assert rows["language"].to_list() == [of_problem[row_id] for row_id in rows["sample_id"]]


def test_shards_of_both_versions_are_read_together(earlier: SampleProject) -> None:
    first, second = TEXTS
    earlier.run("key:math_solutions", [first])
    assert [run.error for run in earlier.run("key:math_train") if run.error] == []
    old = set(earlier.rows("math_solutions", second)["sample_id"])
    rows = earlier.rows("math_train").select("sample_id", "language").rows()
    assert {(row_id in old, language) for row_id, language in rows} == {
        (False, "en"),
        (True, "und"),
    }


def test_a_new_text_beside_it_is_forecast_as_ever(earlier: SampleProject) -> None:
    earlier.write("new.jsonl", ["On the tides at the mole."])
    with earlier.runner() as runner:
        forecasts = make_plan(Project(earlier.settings), runner).assets
    assert {"math_solutions", "synthetic_accuracy"} <= {each.asset for each in forecasts}


def test_a_model_of_the_same_examples_is_not_trained_again(
    project: SampleProject, folder: Path
) -> None:
    base = write_tiny_gguf(folder / "tiny.gguf")
    project.trainer = Trainer(str(base), folder / "cache", FAST)  # type: ignore[assignment]
    project.storage.path("fine_tuned_model", "1").unlink()
    assert [run.error for run in project.run("key:fine_tuned_model") if run.error] == []
    [made] = project.rows("fine_tuned_model", "1").rows(named=True)
    assert made["format"] == "gguf"
    write_without_language(project, "math_train", None)
    before = project.versions()

    # The launcher trains nothing: a training fails, as that of size 3, whose model is a double.
    launch = Launch((sys.executable, str(PROGRAMS / "train_nothing.py")))
    project.trainer = Trainer(str(base), folder / "cache", FAST, launch)  # type: ignore[assignment]
    runs = project.run("key:math_train or key:fine_tuned_model")
    failed = {run.work.partition: bool(run.error) for run in runs}
    assert failed == {None: False, "1": False, "3": True}
    now = project.versions()
    assert now["math_train", None] != before["math_train", None]
    assert now["fine_tuned_model", "1"] == before["fine_tuned_model", "1"]
