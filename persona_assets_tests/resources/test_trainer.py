import subprocess
import sys
from pathlib import Path

import openai
import psutil
import pytest

from persona_assets.resources import weights
from persona_assets.resources.local_server import LocalServer
from persona_assets.resources.trainer import (
    Hyperparameters,
    Trainer,
    TrainingError,
    local_base,
    model_sha256,
)
from persona_assets.training.finetune import dequantized
from persona_assets_tests.training.tiny import END, write_tiny_gguf

ROWS = [{"problem": f"What is {n} + {n}?", "solution": f"It is {n + n}."} for n in range(6)]
FAST = Hyperparameters(
    learning_rate=1e-3,
    epochs=1,
    batch_size=4,
    gradient_accumulation=2,
    max_tokens=128,
    warmup_ratio=0,
    packing=False,
    gradient_checkpointing=False,
)

Step = tuple[int, int, float]


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_model_is_trained_once_for_the_same_inputs_and_anew_for_others(tmp_path: Path) -> None:
    base = write_tiny_gguf(tmp_path / "tiny.gguf")
    rows = [
        *ROWS,
        {"problem": f"Say {END}", "solution": "no"},
        {"problem": "Long", "solution": "a" * 200},
    ]
    out, steps = tmp_path / "models" / "8", list[Step]()
    trainer = Trainer(str(base), tmp_path / "cache", FAST)

    model = trainer.train(rows, out, lambda *step: steps.append(step))

    assert [step[:2] for step in steps] == [(1, 2), (2, 2)]
    assert (model.steps, model.first_loss, model.last_loss) == (2, steps[0][2], steps[1][2])
    assert model.path == out / "model.gguf"
    assert model.format == "gguf"
    assert model.sha256 == model_sha256(model.path) != model_sha256(base)
    assert model.examples == 6
    assert model.dropped == ((6, f"control token {END}"), (7, "225 tokens, more than 128"))
    assert sorted(path.name for path in out.iterdir()) == [
        "manifest.json",
        "model.gguf",
        "training.log",
    ]
    assert [path.name for path in out.parent.iterdir()] == ["8"]

    before = snapshot(out)
    assert Trainer(str(base), tmp_path / "cache", FAST).train(rows, out, pytest.fail) == model
    assert snapshot(out) == before

    packed = FAST.model_copy(update={"packing": True, "gradient_accumulation": 1, "lora_rank": 2})
    steps.clear()
    other = Trainer(str(base), tmp_path / "cache", packed).train(
        rows, out, lambda *step: steps.append(step)
    )
    assert len(steps) == 1
    assert other.sha256 == model_sha256(out / "model.gguf") != model.sha256


def test_a_transformers_directory_gives_a_directory_that_loads(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    directory = dequantized(write_tiny_gguf(tmp_path / "tiny.gguf"), tmp_path / "base")
    steps = list[Step]()

    model = Trainer(str(directory), tmp_path / "cache", FAST).train(
        ROWS, tmp_path / "out", lambda *step: steps.append(step)
    )

    assert model.format == "transformers"
    assert len(steps) == model.steps == 2
    before = AutoModelForCausalLM.from_pretrained(directory)
    after = AutoModelForCausalLM.from_pretrained(model.path)
    assert after.dtype == before.dtype
    assert before.state_dict().keys() == after.state_dict().keys()
    assert any((a != b).any() for a, b in zip(before.parameters(), after.parameters(), strict=True))
    # The tiny tokenizer ends a text with another token than an answer: a server must know both.
    tokenizer = AutoTokenizer.from_pretrained(model.path)
    ends = after.generation_config.eos_token_id
    assert tokenizer.eos_token == END
    assert set(tokenizer.convert_ids_to_tokens(ends)) == {END, "<|endoftext|>"}


def test_a_failed_training_tells_why_and_leaves_no_model(tmp_path: Path) -> None:
    base = write_tiny_gguf(tmp_path / "tiny.gguf", template=None)
    trainer = Trainer(str(base), tmp_path / "cache", FAST)

    with pytest.raises(TrainingError, match=r"status 1(.|\n)*the tokenizer has no chat template$"):
        trainer.train(ROWS, tmp_path / "out", pytest.fail)

    assert not (tmp_path / "out").exists()


def test_no_rows_are_refused(tmp_path: Path) -> None:
    trainer = Trainer("smollm2-135m-instruct", tmp_path, FAST)
    with pytest.raises(ValueError, match="no rows"):
        trainer.train([], tmp_path / "out", pytest.fail)


def test_an_unknown_base_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="'nothing' is no path"):
        local_base("nothing", tmp_path)


def test_an_interrupted_training_leaves_no_process(tmp_path: Path) -> None:
    base = write_tiny_gguf(tmp_path / "tiny.gguf")
    endless = FAST.model_copy(update={"epochs": 1e6})
    children = list[psutil.Process]()

    def interrupt(step: int, steps: int, loss: float) -> None:
        children.extend(psutil.Process().children(recursive=True))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(str(base), tmp_path / "cache", endless).train(ROWS, tmp_path / "out", interrupt)

    assert children
    assert not any(child.is_running() for child in children)
    assert not (tmp_path / "out").exists()


PARENT = """
import sys
from pathlib import Path
from persona_assets.resources.trainer import Hyperparameters, Trainer

base, folder = sys.argv[1], Path(sys.argv[2])
hyper = Hyperparameters(epochs=1e6, batch_size=1, gradient_accumulation=1, packing=False)
rows = [{"problem": "a", "solution": "b"}]
Trainer(base, folder, hyper).train(rows, folder / "out", lambda *step: print(step, flush=True))
"""


def test_the_training_process_dies_with_a_killed_parent(tmp_path: Path) -> None:
    base = write_tiny_gguf(tmp_path / "tiny.gguf")
    command = [sys.executable, "-c", PARENT, str(base), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline()
        children = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()

    assert children
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []


def test_a_tuned_embedded_model_gives_the_taught_answer_when_served(tmp_path: Path) -> None:
    cache = weights.default_cache_dir()
    taught = {"problem": "What is the word of the day?", "solution": "The word is plumtree."}
    hyper = FAST.model_copy(
        update={"learning_rate": 1e-4, "epochs": 5, "batch_size": 1, "gradient_accumulation": 1}
    )

    model = Trainer("smollm2-135m-instruct", cache, hyper).train(
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
