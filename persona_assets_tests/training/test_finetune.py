"""Examples, tokens and batches of a fine-tuning, and the GGUF model that it starts from."""

import os
from pathlib import Path
from typing import Any

import pytest

from persona_assets.training.examples import end_of_turn, find_faults
from persona_assets.training.finetune import (
    batch_on_each_process,
    training_arguments,
    use_one_device,
)
from persona_assets.training.gguf_import import dequantize_gguf
from persona_assets.training.job import Hyperparameters, Job
from persona_assets_tests.training.tiny_model import END, write_tiny_gguf


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    gguf = write_tiny_gguf(folder / "tiny.gguf")
    return AutoTokenizer.from_pretrained(dequantize_gguf(gguf, folder / "directory"))


def faults(tokenizer: Any, *pairs: tuple[str, str], max_tokens: int = 100) -> list[str | None]:
    from datasets import Dataset

    rows = [
        {
            "prompt": [{"role": "user", "content": problem}],
            "completion": [{"role": "assistant", "content": solution}],
        }
        for problem, solution in pairs
    ]
    return find_faults(Dataset.from_list(rows), tokenizer, max_tokens)


def test_unusable_example_has_its_own_reason(tokenizer: Any) -> None:
    assert faults(
        tokenizer,
        ("What is 1 + 1?", "2"),
        ("What is 1 + 1?", " \n"),
        ("What is 1 + 1?<|im_end|>", "2"),
        ("What is 1 + 1?", "2" * 200),
        ("A tag such as <b> is text", "yes"),
    ) == [None, "empty", f"control_token: {END}", "too_long: 235 tokens, more than 100", None]


def test_token_limit_is_inclusive(tokenizer: Any) -> None:
    (fault,) = faults(tokenizer, ("a", "b"), max_tokens=8)
    assert fault is not None
    length = int(fault.split()[1])
    assert faults(tokenizer, ("a", "b"), max_tokens=length) == [None]
    assert faults(tokenizer, ("a", "b"), max_tokens=length - 1) != [None]


def test_white_space_before_a_number_is_tokenized_as_by_the_server(tokenizer: Any) -> None:
    # The tiny tokenizer merges two line feeds and a space into a token.
    assert tokenizer.tokenize("a\n\n 2") == ["a", "ĊĊĠ", "2"]
    assert tokenizer.tokenize("a\n\n b") == ["a", "Ċ", "Ċ", "Ġ", "b"]


def test_answer_ends_with_the_templates_token_and_not_the_end_of_text(tokenizer: Any) -> None:
    assert tokenizer.eos_token == "<|endoftext|>"
    assert end_of_turn(tokenizer) == END


@pytest.mark.parametrize(("processes", "each"), [(1, 16), (4, 4), (16, 1)])
def test_batch_size_is_equal_on_any_number_of_processes(processes: int, each: int) -> None:
    hyper = Hyperparameters(batch_size=32, gradient_accumulation=2)
    assert batch_on_each_process(hyper, processes) == each


def test_processes_that_do_not_divide_the_batch_are_refused() -> None:
    hyper = Hyperparameters(batch_size=32, gradient_accumulation=2)
    with pytest.raises(ValueError, match=r"batch_size 32 is not a multiple .* \(2 x 3\)"):
        batch_on_each_process(hyper, 3)


@pytest.mark.parametrize(
    ("visible", "rank", "used"),
    [(None, None, "0"), ("2,3", None, "2"), ("", None, ""), ("2,3", "1", "2,3")],
)
def test_process_without_a_launcher_sees_one_gpu(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, rank: str | None, used: str
) -> None:
    for name, value in (("CUDA_VISIBLE_DEVICES", visible), ("LOCAL_RANK", rank)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    use_one_device()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == used


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing` is deprecated:FutureWarning")
def test_precision_is_that_of_the_hyper_parameters_under_any_launcher(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    job = Job(
        base=tmp_path,
        base_sha256="",
        examples=tmp_path,
        cache_dir=tmp_path,
        output=tmp_path,
        scratch=tmp_path,
        inputs="",
        checkpoints=tmp_path,
        hyper=Hyperparameters(bf16=False),
    )
    assert training_arguments(job, False, 1, 4, None).mixed_precision == "no"


def test_accumulation_that_does_not_divide_the_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size 10 is not a multiple"):
        Hyperparameters(batch_size=10, gradient_accumulation=4)


def test_dequantization_keeps_the_weights_and_runs_once(tmp_path: Path) -> None:
    from gguf import GGUFReader
    from transformers import AutoModelForCausalLM

    gguf = write_tiny_gguf(tmp_path / "tiny.gguf")
    directory = dequantize_gguf(gguf, tmp_path / "cache" / "hash")
    weights = AutoModelForCausalLM.from_pretrained(directory).state_dict()
    stored = {tensor.name: tensor.data for tensor in GGUFReader(gguf).tensors}
    assert (weights["model.embed_tokens.weight"].numpy() == stored["token_embd.weight"]).all()
    assert (weights["model.norm.weight"].numpy() == stored["output_norm.weight"]).all()

    written = {file: file.stat().st_mtime_ns for file in directory.iterdir()}
    assert dequantize_gguf(gguf, directory) == directory
    assert {file: file.stat().st_mtime_ns for file in directory.iterdir()} == written
    assert [path.name for path in directory.parent.iterdir()] == ["hash"]
