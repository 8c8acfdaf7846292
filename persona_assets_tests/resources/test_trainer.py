"""A trainer fine-tunes a base model in a child process, and leaves a complete model or none."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import openai
import psutil
import pytest

from persona_assets.local_models import weights
from persona_assets.local_models.server import LocalServer
from persona_assets.resources.base_models import fetch_base_model
from persona_assets.resources.trained_models import CurvePoint, TrainedModel, model_sha256
from persona_assets.resources.trainer import Hyperparameters, Trainer
from persona_assets.resources.training_process import TrainingError
from persona_assets.steps.training import build_fine_tuned_model
from persona_assets.training.gguf_import import dequantize_gguf
from persona_assets.training.launch import Launch
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

    def __call__(self, point: CurvePoint, steps: int) -> None:
        if "loss" in point:
            self.steps.append((point["step"], steps))
            self.losses.append(point["loss"])


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
    model = trainer.train(ROWS, folder / "models", report)
    return PlainTraining(base, folder / "cache", model.path.parent, model, report)


@pytest.fixture(scope="module")
def launch() -> Iterator[Launch]:
    """Launch whose trainings do without seconds of imports."""
    # Not tmp_path, because the path of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory() as folder, forking(Path(folder)) as command:
        yield Launch(tuple(command))


def idle(plain: PlainTraining) -> Trainer:
    """Return a trainer whose training fails, which shows that none was started."""
    launch = Launch((sys.executable, str(PROGRAMS / "train_nothing.py")))
    return Trainer(str(plain.base), plain.cache, FAST, launch)


def test_trained_model_is_described_and_alone_in_its_directory(plain: PlainTraining) -> None:
    model, out = plain.model, plain.out
    assert plain.report.steps == [(1, 2), (2, 2)]
    assert [model.first_loss, model.last_loss] == plain.report.losses
    assert plain.report.losses[1] < plain.report.losses[0]
    assert (model.path, model.format) == (out / "model.gguf", "gguf")
    assert model.sha256 == model_sha256(model.path) != model_sha256(plain.base)
    assert (model.examples, model.dropped, model.steps) == (6, (), 2)
    assert {path.name for path in out.iterdir()} == {"manifest.json", "model.gguf", "training.log"}
    assert [path.name for path in out.parent.glob("[!.]*")] == [out.name]
    assert not list(out.parent.glob("*.partial"))


def test_equal_inputs_give_the_stored_model_without_training(plain: PlainTraining) -> None:
    before = {path: path.stat().st_mtime_ns for path in plain.out.iterdir()}
    again = Trainer(str(plain.base), plain.cache, FAST).train(ROWS, plain.out.parent, pytest.fail)
    assert again == plain.model
    assert {path: path.stat().st_mtime_ns for path in plain.out.iterdir()} == before


def test_seed_of_a_training_takes_the_place_of_that_of_the_hyper_parameters(
    plain: PlainTraining, launch: Launch, tmp_path: Path
) -> None:
    trainer = Trainer(str(plain.base), plain.cache, FAST, launch)
    seeded = trainer.train(ROWS, tmp_path, Recorder(), seed=3)
    assert (seeded.hyper or {})["seed"] == 3
    assert seeded.inputs != plain.model.inputs
    other = FAST.model_copy(update={"seed": 3})
    again = Trainer(str(plain.base), plain.cache, other, launch)
    assert again.train(ROWS, tmp_path, pytest.fail) == seeded
    assert idle(plain).train(ROWS, plain.out.parent, pytest.fail, seed=0) == plain.model


def test_model_below_a_relative_folder_has_a_relative_path(
    plain: PlainTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = Path("data/project")
    folder = data / "models"
    shutil.copytree(plain.out, folder / plain.out.name)
    model = idle(plain).train(ROWS, folder, pytest.fail)
    assert model.path == folder / plain.out.name / "model.gguf"
    table = build_fine_tuned_model(
        asdict(model), ROWS, training_size=6, base_model="tiny", data_dir=data
    )
    assert table.rows["path"].item() == f"models/{plain.out.name}/model.gguf"


def test_kill_while_scratch_files_are_removed_leaves_the_complete_model(
    plain: PlainTraining, launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = shutil.rmtree

    def killed(path: Path, **options: bool) -> None:
        if path.exists() and path.name in {"scratch", "checkpoints"}:
            raise KeyboardInterrupt
        remove(path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            Trainer(str(plain.base), plain.cache, FAST, launch).train(ROWS, tmp_path, Recorder())
    model = idle(plain).train(ROWS, tmp_path, pytest.fail)
    assert model.sha256 == plain.model.sha256
    assert {path.name for path in model.path.parent.iterdir()} == {
        path.name for path in plain.out.iterdir()
    }


def test_damaged_model_is_trained_again(plain: PlainTraining, tmp_path: Path) -> None:
    out = tmp_path / plain.out.name
    shutil.copytree(plain.out, out)
    with (out / "model.gguf").open("ab") as file:
        file.write(b"x")
    with pytest.raises(TrainingError, match="status 0"):
        idle(plain).train(ROWS, tmp_path, pytest.fail)


def test_model_of_a_version_that_named_folders_by_size_is_found(
    plain: PlainTraining, tmp_path: Path
) -> None:
    out = tmp_path / "8"
    shutil.copytree(plain.out, out)
    later = {"rows_sha256", "libraries", "device", "processes", "tokens", "curve"}
    manifest = json.loads((out / "manifest.json").read_text())
    kept = {name: value for name, value in manifest.items() if name not in later}
    (out / "manifest.json").write_text(json.dumps(kept))

    model = idle(plain).train(ROWS, tmp_path, pytest.fail, name="16")

    assert (model.path, model.sha256) == (out / "model.gguf", plain.model.sha256)
    assert (model.tokens, model.curve) == (None, ())


def test_manifest_tells_what_the_weights_came_from(plain: PlainTraining) -> None:
    manifest = json.loads((plain.out / "manifest.json").read_text())
    assert manifest["hyper"] == FAST.model_dump()
    assert manifest["base_sha256"] == model_sha256(plain.base)
    assert {"torch", "transformers", "trl", "peft", "accelerate", "tokenizers"} < set(
        manifest["libraries"]
    )
    assert manifest["tokens"] == plain.model.curve[-1]["tokens"] > 0
    assert (manifest["device"], manifest["processes"], manifest["utilization"]) == ("cpu", 1, None)
    assert manifest["flops_per_second"] > 0


def test_ids_of_rows_are_recorded_and_train_nothing_anew(plain: PlainTraining) -> None:
    rows = [{**row, "sample_id": row["problem"]} for row in ROWS]
    assert idle(plain).train(rows, plain.out.parent, pytest.fail) == plain.model


def test_other_rows_give_another_model_and_unusable_rows_are_named(
    plain: PlainTraining, launch: Launch, tmp_path: Path
) -> None:
    shutil.copytree(plain.out, tmp_path / plain.out.name)
    rows = [
        {"problem": f"Say {END}", "solution": "no"},
        *ROWS[:2],
        {"problem": "Long", "solution": "a" * 200},
    ]
    report = Recorder()

    model = Trainer(str(plain.base), plain.cache, FAST, launch).train(rows, tmp_path, report)

    assert report.steps == [(1, 2), (2, 2)]
    assert model.examples == 2
    assert model.dropped == (
        (0, f"control_token: {END}"),
        (3, "too_long: 225 tokens, more than 128"),
    )
    assert model.sha256 == model_sha256(model.path) != plain.model.sha256
    assert model.path.parent != tmp_path / plain.out.name


def test_directory_gives_a_directory_and_packing_equal_losses(
    plain: PlainTraining, launch: Launch, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    directory = dequantize_gguf(plain.base, tmp_path / "base")
    hyper = FAST.model_copy(update={"packing": True, "batch_size": 1, "max_tokens": 1024})
    report = Recorder()

    trainer = Trainer(str(directory), plain.cache, hyper, launch)
    model = trainer.train(ROWS, tmp_path / "models", report)

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
    report = Recorder()

    trainer = Trainer(str(plain.base), plain.cache, FAST, Launch.of("cpu", 2))
    model = trainer.train(ROWS, tmp_path, report)

    assert report.steps == plain.report.steps
    assert report.losses == pytest.approx(plain.report.losses, rel=1e-5)
    assert (model.examples, model.processes, model.tokens) == (6, 2, plain.model.tokens)


def test_adapters_are_merged_into_the_weights_they_adapt(
    plain: PlainTraining, launch: Launch, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    directory = dequantize_gguf(plain.base, tmp_path / "base")
    hyper = FAST.model_copy(update={"lora_rank": 2})

    trainer = Trainer(str(directory), plain.cache, hyper, launch)
    model = trainer.train(ROWS, tmp_path / "models", Recorder())

    before = AutoModelForCausalLM.from_pretrained(directory).state_dict()
    after = AutoModelForCausalLM.from_pretrained(model.path).state_dict()
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert (after[name] != values).any() == ("_proj" in name), name


def test_failed_training_reports_the_reason_and_leaves_no_model(
    launch: Launch, tmp_path: Path
) -> None:
    base = write_tiny_gguf(tmp_path / "tiny.gguf", template=None)
    trainer = Trainer(str(base), tmp_path / "cache", FAST, launch)

    with pytest.raises(TrainingError, match=r"status 1(.|\n)*the tokenizer has no chat template$"):
        trainer.train(ROWS, tmp_path / "models", pytest.fail)

    assert not list(tmp_path.rglob("manifest.json"))


def test_training_without_rows_is_refused(tmp_path: Path) -> None:
    trainer = Trainer("smollm2-135m-instruct", tmp_path, FAST)
    with pytest.raises(ValueError, match="no rows"):
        trainer.train([], tmp_path / "models", pytest.fail)


def test_unknown_base_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="'nothing' is no path"):
        fetch_base_model("nothing", tmp_path)


def test_interrupted_training_leaves_no_process(tmp_path: Path) -> None:
    base = write_tiny_gguf(tmp_path / "tiny.gguf")
    endless = FAST.model_copy(update={"epochs": 1e6})
    before = psutil.Process().children(recursive=True)
    children = list[psutil.Process]()

    def interrupt(point: CurvePoint, steps: int) -> None:
        current = psutil.Process().children(recursive=True)
        children.extend(child for child in current if child not in before)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(str(base), tmp_path / "cache", endless).train(ROWS, tmp_path, interrupt)

    assert children
    assert not any(child.is_running() for child in children)
    assert not list(tmp_path.rglob("manifest.json"))


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
    launch: Launch, tmp_path: Path
) -> None:
    cache = weights.default_cache_dir()
    taught = {"problem": "What is the word of the day?", "solution": "The word is plumtree."}
    hyper = FAST.model_copy(
        update={"learning_rate": 1e-4, "epochs": 5, "batch_size": 1, "gradient_accumulation": 1}
    )

    model = Trainer("smollm2-135m-instruct", cache, hyper, launch).train(
        [taught], tmp_path / "models", lambda *step: None
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
