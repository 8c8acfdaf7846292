"""A killed training goes on from its last checkpoint, with the losses of an undisturbed one."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from persona_assets.resources.trained_models import CurvePoint, TrainedModel
from persona_assets.resources.trainer import Hyperparameters, Trainer
from persona_assets.resources.training_process import TrainingError
from persona_assets.training.job import Checkpointing
from persona_assets.training.launch import Launch
from persona_assets_tests.training.fork_server import forking
from persona_assets_tests.training.tiny_model import write_tiny_gguf

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
ROWS = [{"problem": f"What is {n} + {n}?", "solution": f"It is {n + n}."} for n in range(10)]
EVALUATION = [{"problem": "What is 50 + 50?", "solution": "It is 100."}]
INTERVAL = 4
EVERY_FOUR = Checkpointing(seconds=None, steps=INTERVAL)
HYPER = Hyperparameters(
    learning_rate=1e-3,
    epochs=8,
    batch_size=4,
    gradient_accumulation=2,
    max_tokens=128,
    packing=False,
    gradient_checkpointing=False,
)
STEPS = 8 * 3
KILLED_AT = 10


@pytest.fixture(scope="module")
def launch() -> Iterator[Launch]:
    """Launch whose trainings do without seconds of imports."""
    with tempfile.TemporaryDirectory() as folder, forking(Path(folder)) as command:
        yield Launch(tuple(command))


def trainings() -> list[psutil.Process]:
    """Return the training processes that this process has started, below the fork server."""
    return [p for p in psutil.Process().children(recursive=True) if is_training(p)]


def is_training(process: psutil.Process) -> bool:
    """Tell whether a process is a fork of the fork server."""
    try:
        return all("serve" in p.cmdline() for p in (process, psutil.Process(process.ppid())))
    except psutil.NoSuchProcess:
        # It has ended, or is a zombie: a child of another test that nobody has waited for.
        return False


def lasting(model: TrainedModel) -> list[dict[str, object]]:
    """Return the loss curve without its times."""
    return [{k: v for k, v in point.items() if k != "seconds"} for point in model.curve]


def test_killed_child_costs_at_most_an_interval(launch: Launch, tmp_path: Path) -> None:
    base = str(write_tiny_gguf(tmp_path / "tiny.gguf"))
    trainer = Trainer(
        base, tmp_path / "cache", HYPER, launch, checkpointing=EVERY_FOUR, evaluations=3
    )
    undisturbed = trainer.train(
        ROWS, tmp_path / "undisturbed", lambda point, steps: None, evaluation=EVALUATION
    )
    assert [p["step"] for p in undisturbed.curve if "evaluation_loss" in p] == [8, 16, 24]
    assert (undisturbed.steps, undisturbed.evaluation_examples) == (STEPS, 1)
    folder, done = tmp_path / "killed", list[int]()

    def kill(point: CurvePoint, steps: int) -> None:
        done.append(point["step"])
        if point["step"] == KILLED_AT:
            [child] = trainings()
            child.kill()

    with pytest.raises(TrainingError):
        trainer.train(ROWS, folder, kill, name="10", evaluation=EVALUATION)
    [partial] = folder.glob(".10.*.partial")
    assert not list(folder.glob("[!.]*"))
    told: list[str] = []
    # The same rows under another name: a size with the same data.
    model = trainer.train(
        ROWS,
        folder,
        lambda point, steps: None,
        name="20",
        evaluation=EVALUATION,
        tell=told.append,
    )

    [resumed] = [int(line.rsplit(maxsplit=1)[1]) for line in told if "goes on" in line]
    assert resumed > 0
    assert resumed % INTERVAL == 0
    assert done[-1] - resumed <= INTERVAL
    assert lasting(model) == lasting(undisturbed)
    assert (model.sha256, model.tokens) == (undisturbed.sha256, undisturbed.tokens)
    assert not partial.exists()
    assert {path.name for path in model.path.parent.iterdir()} == {
        "manifest.json",
        "model.gguf",
        "training.log",
    }


def test_killed_parent_costs_at_most_an_interval(launch: Launch, tmp_path: Path) -> None:
    base = write_tiny_gguf(tmp_path / "tiny.gguf")
    adapted = HYPER.model_copy(update={"lora_rank": 2})
    trainer = Trainer(str(base), tmp_path / "cache", adapted, launch, checkpointing=EVERY_FOUR)
    undisturbed = trainer.train(ROWS, tmp_path / "undisturbed", lambda point, steps: None)
    arguments = {
        "base": str(base),
        "cache": str(tmp_path / "cache"),
        "hyper": adapted.model_dump(),
        "command": launch.command,
        "checkpointing": EVERY_FOUR.model_dump(),
        "rows": ROWS,
        "folder": str(tmp_path / "killed"),
    }
    (tmp_path / "arguments.json").write_text(json.dumps(arguments))
    command = [sys.executable, PROGRAMS / "train_to_be_killed.py", tmp_path / "arguments.json"]
    environment = {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        while int(parent.stdout.readline()) < KILLED_AT:
            pass
        orphans = trainings()
        parent.kill()
    assert psutil.wait_procs(orphans, timeout=60)[1] == []

    told: list[str] = []
    model = trainer.train(ROWS, tmp_path / "killed", lambda point, steps: None, tell=told.append)

    [resumed] = [int(line.rsplit(maxsplit=1)[1]) for line in told if "goes on" in line]
    assert resumed >= KILLED_AT - INTERVAL
    assert lasting(model) == lasting(undisturbed)
    assert model.sha256 == undisturbed.sha256


def test_unfinished_training_of_other_rows_is_removed(launch: Launch, tmp_path: Path) -> None:
    base = str(write_tiny_gguf(tmp_path / "tiny.gguf"))
    trainer = Trainer(base, tmp_path / "cache", HYPER, launch, checkpointing=EVERY_FOUR)
    folder = tmp_path / "models"

    def stop(point: CurvePoint, steps: int) -> None:
        if point["step"] == KILLED_AT:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.train(ROWS, folder, stop, name="10")
    assert list(folder.glob(".10.*.partial/checkpoints/checkpoint-*/complete.json"))
    told: list[str] = []
    trainer.train(ROWS[:4], folder, lambda point, steps: None, name="10", tell=told.append)
    assert not any("goes on" in line for line in told)
    assert not list(folder.glob("*.partial"))
