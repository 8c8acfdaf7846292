"""A model is trained once per set of rows, tells how many they were, and shows its loss curve."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from persona_assets.resources.trainer import Hyperparameters, Trainer
from persona_assets.training.launch import Launch
from persona_assets_tests.assets.test_checks import WARN, replace, run_check
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import SampleProject
from persona_assets_tests.training.fork_server import forking
from persona_assets_tests.training.tiny_model import write_tiny_gguf

FAST = Hyperparameters(
    epochs=2, batch_size=1, gradient_accumulation=1, max_tokens=1024, packing=False
)
LARGE = ("1000", "2000")
SIZES = ("1", "3", *LARGE)


@pytest.fixture(scope="module")
def launch() -> Iterator[Launch]:
    """Launch whose trainings do without seconds of imports."""
    with tempfile.TemporaryDirectory() as folder, forking(Path(folder)) as command:
        yield Launch(tuple(command))


@pytest.fixture(scope="module")
def trained(finished: SampleProject, launch: Launch) -> Iterator[SampleProject]:
    """Project with models of 1, of 3 and of all rows; a third of the rows is kept apart."""
    with ModelServer() as server, tempfile.TemporaryDirectory() as folder:
        project = finished.copy(Path(folder) / "project", server)
        write_tiny_gguf(project.root / "tiny.gguf")
        row = project.rows("math_train").head(1)
        problems = [
            row.with_columns(
                sample_id=pl.lit(f"id {n}"),
                problem=pl.lit(f"{n} + {n}?"),
                solution=pl.lit(f"{2 * n}"),
            )
            for n in range(9)
        ]
        replace(project, "math_train", None, pl.concat(problems))
        project.values["training_sizes"] = [int(size) for size in SIZES]
        train(project, FAST, launch)
        yield project


def train(project: SampleProject, hyper: Hyperparameters, launch: Launch) -> None:
    """Make the models of all sizes, and their curves."""
    base, cache = str(project.root / "tiny.gguf"), project.root / "cache"
    project.trainer = Trainer(base, cache, hyper, launch, evaluations=2)  # type: ignore[assignment]
    members = {"hyper": hyper.model_dump(), "evaluation_share": 0.35}
    project.values["training"] = {"base_model": base, **members}
    runs = project.run("key:fine_tuned_model or key:training_curve")
    assert [run.error for run in runs if run.error] == []


def folders(project: SampleProject) -> set[str]:
    """Return the names of the folders of models."""
    models = project.data / "models" / "fine_tuned_model"
    return {path.parent.name for path in models.glob("[!.]*/manifest.json")}


def test_sizes_with_the_same_rows_share_a_model_and_tell_their_number(
    trained: SampleProject,
) -> None:
    everything = len(trained.rows("math_train"))
    first, second = (trained.rows("fine_tuned_model", size).row(0, named=True) for size in LARGE)
    assert first | {"training_size": 2000} == second
    assert first["examples"] + first["evaluation_examples"] == everything
    assert 0 < first["evaluation_examples"] < everything
    one = trained.rows("fine_tuned_model", "1").row(0, named=True)
    assert (one["examples"], one["evaluation_examples"]) == (1, first["evaluation_examples"])
    assert Path(one["path"]).parent != Path(first["path"]).parent
    assert len(folders(trained)) == len(SIZES) - 1


def test_check_warns_of_a_size_that_was_not_reached_and_names_its_twin(
    trained: SampleProject,
) -> None:
    assert run_check(trained, "fine_tuned_model", "size_reached", "1").passed
    evaluation = run_check(trained, "fine_tuned_model", "size_reached", "1000")
    assert (evaluation.passed, evaluation.severity) == (False, WARN)
    assert evaluation.metadata["same_model"].value == ["2000"]
    assert "the size is 1,000 and" in (evaluation.description or "")
    with trained.instance() as instance:
        [event] = instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey("fine_tuned_model"), asset_partitions=["2000"]), 1
        ).records
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert str(metadata["warning"].value).startswith("the size is 2,000 and")
    assert metadata["libraries"].value.keys() >= {"torch", "trl"}


def test_loss_curve_is_shown_while_it_grows_and_is_a_table_afterwards(
    trained: SampleProject,
) -> None:
    with trained.instance() as instance:
        events = instance.fetch_observations(
            dg.AssetRecordsFilter(dg.AssetKey("fine_tuned_model"), asset_partitions=["1000"]), 50
        ).records
    pictures = [
        str(event.asset_observation.metadata["loss"].value)
        for event in events
        if event.asset_observation is not None
    ]
    curve = trained.rows("training_curve")
    steps = curve.filter(training_size=1000)
    assert len(pictures) == len(steps) == steps["step"].max()
    assert all(
        picture.startswith("![loss](data:image/svg+xml;base64,") and len(picture) < 1000
        for picture in pictures
    )
    assert steps["tokens"].is_sorted()
    assert steps["loss"].null_count() == 0
    assert steps["evaluation_loss"].count() == 2
    assert steps.drop("training_size").equals(
        curve.filter(training_size=2000).drop("training_size")
    )
    row = trained.rows("fine_tuned_model", "1000").row(0, named=True)
    assert row["evaluation_loss"] == steps["evaluation_loss"].drop_nulls()[-1]


def test_former_models_are_removed_once_no_size_has_them(
    trained: SampleProject, launch: Launch
) -> None:
    before = folders(trained)
    train(trained, FAST.model_copy(update={"epochs": 1}), launch)
    paths = [Path(trained.rows("fine_tuned_model", size)["path"].item()) for size in SIZES]
    assert folders(trained) == {path.parent.name for path in paths}
    assert before.isdisjoint(folders(trained))
