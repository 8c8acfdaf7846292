"""A trainer fine-tunes a base model in a child process, and leaves a complete model or none."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openai
import psutil
import pytest

from persona_assets.local_models import weights
from persona_assets.local_models.server import LocalServer
from persona_assets.resources.trainer import (
    Hyperparameters,
    TrainedModel,
    Trainer,
    TrainingError,
    fetch_base_model,
    model_sha256,
)
from persona_assets.training.gguf_import import dequantize_gguf
from persona_assets_tests.training.fork_server import forking
from persona_assets_tests.training.tiny_model import END, write_tiny_gguf

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
ROWS = [{"problem": f"What is {n} + {n}?", "solution": f"It is {n + n}."} for n in range(6)]
FAST = Hyperparameters(
    learning_rate=1e-3,
    epochs=2,
    batch_size=6,
    gradient_accumulation=1,
    max_tokens=128,
    warmup_ratio=0,
    packing=False,
    gradient_checkpointing=False,
)


class Recorder:
    """Report function that records steps and losses."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self.losses: list[float] = []

    def __call__(self, step: int, steps: int, loss: float) -> None:
        self.steps.append((step, steps))
        self.losses.append(loss)


@dataclass(frozen=True)
class PlainTraining:
    """Training without options, with which other trainings are compared."""

    base: Path
    cache: Path
    out: Path
    model: TrainedModel
    report: Recorder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> PlainTraining:
    """Training of a tiny GGUF model."""
    folder = tmp_path_factory.mktemp("plain")
    base = write_tiny_gguf(folder / "tiny.gguf")
    report = Recorder()
    trainer = Trainer(str(base), folder / "cache", FAST)
    model = trainer.train(ROWS, folder / "models" / "6", report)
    return PlainTraining(base, folder / "cache", folder / "models" / "6", model, report)


@pytest.fixture(scope="module")
def launcher() -> Iterator[list[str]]:
    """Launcher whose trainings do without seconds of imports."""
    # Not tmp_path, because the path of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory() as folder, forking(Path(folder)) as command:
        yield command


def test_trained_model_is_described_and_alone_in_its_directory(plain: PlainTraining) -> None:
    model, out = plain.model, plain.out
    assert plain.report.steps == [(1, 2), (2, 2)]
    assert [model.first_loss, model.last_loss] == plain.report.losses
    assert plain.report.losses[1] < plain.report.losses[0]
    assert (model.path, model.format) == (out / "model.gguf", "gguf")
    assert model.sha256 == model_sha256(model.path) != model_sha256(plain.base)
    assert (model.examples, model.dropped, model.steps) == (6, (), 2)
    assert {path.name for path in out.iterdir()} == {"manifest.json", "model.gguf", "training.log"}
    assert [path.name for path in out.parent.iterdir()] == ["6"]


def test_equal_inputs_give_the_stored_model_without_training(plain: PlainTraining) -> None:
    before = {path: path.stat().st_mtime_ns for path in plain.out.iterdir()}
    again = Trainer(str(plain.base), plain.cache, FAST).train(ROWS, plain.out, pytest.fail)
    assert again == plain.model
    assert {path: path.stat().st_mtime_ns for path in plain.out.iterdir()} == before


def test_damaged_model_is_trained_again(plain: PlainTraining, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(plain.out, out)
    with (out / "model.gguf").open("ab") as file:
        file.write(b"x")
    # The launcher trains nothing: its failure shows that a training was started.
    launcher = [sys.executable, str(PROGRAMS / "train_nothing.py")]
    idle = Trainer(str(plain.base), plain.cache, FAST, launcher)
    with pytest.raises(TrainingError, match="status 0"):
        idle.train(ROWS, out, pytest.fail)


def test_other_rows_replace_the_model_and_unusable_rows_are_named(
    plain: PlainTraining, launcher: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(plain.out, out)
    rows = [
        {"problem": f"Say {END}", "solution": "no"},
        *ROWS[:2],
        {"problem": "Long", "solution": "a" * 200},
    ]
    report = Recorder()

    model = Trainer(str(plain.base), plain.cache, FAST, launcher).train(rows, out, report)

    assert report.steps == [(1, 2), (2, 2)]
    assert model.examples == 2
    assert model.dropped == (
        (0, f"control_token: {END}"),
        (3, "too_long: 225 tokens, more than 128"),
    )
    assert model.sha256 == model_sha256(out / "model.gguf") != plain.model.sha256


def test_directory_gives_a_directory_and_packing_equal_losses(
    plain: PlainTraining, launcher: list[str], tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    directory = dequantize_gguf(plain.base, tmp_path / "base")
    hyper = FAST.model_copy(update={"packing": True, "batch_size": 1, "max_tokens": 1024})
    report = Recorder()

    trainer = Trainer(str(directory), plain.cache, hyper, launcher)
    model = trainer.train(ROWS, tmp_path / "out", report)

    assert report.losses == pytest.approx(plain.report.losses, rel=1e-5)
    assert model.format == "transformers"
    before = AutoModelForCausalLM.from_pretrained(directory)
    after = AutoModelForCausalLM.from_pretrained(model.path)
    assert after.dtype == before.dtype
    assert before.state_dict().keys() == after.state_dict().keys()
    assert all((a != b).any() for a, b in zip(before.parameters(), after.parameters(), strict=True))
    # This tokenizer ends a text and an answer with different tokens, and a server must know both.
    tokenizer = AutoTokenizer.from_pretrained(model.path)
    assert tokenizer.eos_token == END
    ends = tokenizer.convert_ids_to_tokens(after.generation_config.eos_token_id)
    assert set(ends) == {END, "<|endoftext|>"}


def test_two_launched_processes_share_a_batch(plain: PlainTraining, tmp_path: Path) -> None:
    accelerate = Path(sys.executable).with_name("accelerate")
    launcher = [str(accelerate), "launch", "--cpu", "--num_processes", "2", "--num_machines", "1"]
    options = ["--mixed_precision", "no", "--dynamo_backend", "no", "-m"]
    report = Recorder()

    trainer = Trainer(str(plain.base), plain.cache, FAST, [*launcher, *options])
    model = trainer.train(ROWS, tmp_path / "out", report)

    assert report.steps == plain.report.steps
    assert report.losses == pytest.approx(plain.report.losses, rel=1e-5)
    assert model.examples == 6


def test_adapters_are_merged_into_the_weights_they_adapt(
    plain: PlainTraining, launcher: list[str], tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    directory = dequantize_gguf(plain.base, tmp_path / "base")
    hyper = FAST.model_copy(update={"lora_rank": 2})

    trainer = Trainer(str(directory), plain.cache, hyper, launcher)
    model = trainer.train(ROWS, tmp_path / "out", Recorder())

    before = AutoModelForCausalLM.from_pretrained(directory).state_dict()
    after = AutoModelForCausalLM.from_pretrained(model.path).state_dict()
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert (after[name] != values).any() == ("_proj" in name), name


def test_failed_training_reports_the_reason_and_leaves_no_model(
    launcher: list[str], tmp_path: Path
) -> None:
    base = write_tiny_gguf(tmp_path / "tiny.gguf", template=None)
    trainer = Trainer(str(base), tmp_path / "cache", FAST, launcher)

    with pytest.raises(TrainingError, match=r"status 1(.|\n)*the tokenizer has no chat template$"):
        trainer.train(ROWS, tmp_path / "out", pytest.fail)

    assert not (tmp_path / "out").exists()


def test_training_without_rows_is_refused(tmp_path: Path) -> None:
    trainer = Trainer("smollm2-135m-instruct", tmp_path, FAST)
    with pytest.raises(ValueError, match="no rows"):
        trainer.train([], tmp_path / "out", pytest.fail)


def test_unknown_base_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="'nothing' is no path"):
        fetch_base_model("nothing", tmp_path)


def test_interrupted_training_leaves_no_process(tmp_path: Path) -> None:
    base = write_tiny_gguf(tmp_path / "tiny.gguf")
    endless = FAST.model_copy(update={"epochs": 1e6})
    before = psutil.Process().children(recursive=True)
    children = list[psutil.Process]()

    def interrupt(step: int, steps: int, loss: float) -> None:
        current = psutil.Process().children(recursive=True)
        children.extend(child for child in current if child not in before)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(str(base), tmp_path / "cache", endless).train(ROWS, tmp_path / "out", interrupt)

    assert children
    assert not any(child.is_running() for child in children)
    assert not (tmp_path / "out").exists()


def test_training_process_ends_with_a_killed_parent(tmp_path: Path) -> None:
    base = write_tiny_gguf(tmp_path / "tiny.gguf")
    command = [sys.executable, PROGRAMS / "train_until_killed.py", base, tmp_path]
    environment = {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline()
        children = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()

    assert children
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []


def test_tuned_embedded_model_gives_the_taught_answer_when_served(
    launcher: list[str], tmp_path: Path
) -> None:
    cache = weights.default_cache_dir()
    taught = {"problem": "What is the word of the day?", "solution": "The word is plumtree."}
    hyper = FAST.model_copy(
        update={"learning_rate": 1e-4, "epochs": 5, "batch_size": 1, "gradient_accumulation": 1}
    )

    model = Trainer("smollm2-135m-instruct", cache, hyper, launcher).train(
        [taught], tmp_path / "out", lambda *step: None
    )

    assert model.first_loss is not None
    assert model.last_loss is not None
    assert model.last_loss < model.first_loss
    with LocalServer(model.path, "tuned", context_tokens=256) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key=server.api_key)
        answer = client.chat.completions.create(
            model="tuned",
            messages=[{"role": "user", "content": taught["problem"]}],
            temperature=0,
            max_tokens=20,
        )
    assert answer.choices[0].message.content == taught["solution"]
    assert answer.choices[0].finish_reason == "stop"
