"""A withdrawal reaches what no run makes again: trainings without a setting, removed tasks."""

import shutil
from collections.abc import Callable

import polars as pl

from persona_assets.generation.journal.purge import PURGED
from persona_assets.resources.trained_models import MANIFEST
from persona_assets_tests.sample_project import SampleProject

Command = Callable[..., tuple[int, str, str]]


def test_models_without_a_setting_go_and_files_without_an_asset_are_named(
    command: Command, project: SampleProject
) -> None:
    """The command's settings name no training, and the project has two."""
    project.values["training_sizes"] = []
    models = project.data / "models" / "fine_tuned_model"
    folders = [path.parent for path in models.glob("*/model.gguf")]
    for folder in folders:
        (folder / MANIFEST).write_text("{}")
    for kind in ("tables", "completions"):
        shutil.copytree(project.data / kind / "tools", project.data / kind / "poems")
    project.catalog.rebuild()
    trained_on = project.catalog.trace(project.rows("math_train")["sample_id"][0])
    [text] = trained_on.filter(pl.col("asset") == "raw_corpus").iter_rows(named=True)
    poems = project.storage.path("poems", text["shard"]).relative_to(project.data)

    code, told, error = command(project, "withdraw", text["row_id"])
    assert (code, "add --yes" in error) == (1, True)
    assert "removed at once, as no setting names the training: " in told
    assert f"{project.data}/{poems}: of no asset of the project" in told
    assert f"{project.data}/completions/{poems.relative_to('tables')}: of no asset" in told
    assert folders
    assert all(folder.exists() for folder in folders)

    measured = [("synthetic_accuracy", size) for size in ("1", "3")]
    assert all(it.body for table in measured for it in project.journal(*table))
    assert command(project, "withdraw", text["row_id"], "--yes")[0] == 0
    assert not project.storage.shards("fine_tuned_model")
    assert not any(folder.exists() for folder in folders)
    assert (project.data / poems).exists()

    # Nor does any run purge the answers of these models.
    assert all(it.body for table in measured for it in project.journal(*table))
    assert command(project, "withdraw", text["row_id"], "--yes", "--purge")[0] == 0
    records = [it for table in measured for it in project.journal(*table)]
    assert {(it.error or {}).get("code") for it in records} == {PURGED}
    assert project.storage.withdrawals().unpurged.isdisjoint(measured)
