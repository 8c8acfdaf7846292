from pathlib import Path
from typing import Any

import pytest

from persona_assets.training.finetune import batch_on_each_process, end_of_turn, find_faults
from persona_assets.training.gguf_import import dequantize_gguf
from persona_assets.training.job import Hyperparameters
from persona_assets_tests.training.tiny import END, write_tiny_gguf


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


def test_each_example_has_its_own_verdict(tokenizer: Any) -> None:
    assert faults(
        tokenizer,
        ("What is 1 + 1?", "2"),
        ("What is 1 + 1?", " \n"),
        ("What is 1 + 1?<|im_end|>", "2"),
        ("What is 1 + 1?", "2" * 200),
        ("A tag such as <b> is text", "yes"),
    ) == [None, "empty", f"control_token: {END}", "too_long: 235 tokens, more than 100", None]


def test_the_limit_of_tokens_is_inclusive(tokenizer: Any) -> None:
    (fault,) = faults(tokenizer, ("a", "b"), max_tokens=8)
    assert fault is not None
    length = int(fault.split()[1])
    assert faults(tokenizer, ("a", "b"), max_tokens=length) == [None]
    assert faults(tokenizer, ("a", "b"), max_tokens=length - 1) != [None]


def test_white_space_before_a_number_is_cut_as_the_server_cuts_it(tokenizer: Any) -> None:
    # The tiny tokenizer merges two line feeds and a space into one token.
    assert tokenizer.tokenize("a\n\n 2") == ["a", "ĊĊĠ", "2"]
    assert tokenizer.tokenize("a\n\n b") == ["a", "Ċ", "Ċ", "Ġ", "b"]


def test_the_end_of_an_answer_is_the_templates_token_not_the_end_of_text(tokenizer: Any) -> None:
    assert tokenizer.eos_token == "<|endoftext|>"
    assert end_of_turn(tokenizer) == END


@pytest.mark.parametrize(("processes", "each"), [(1, 16), (4, 4), (16, 1)])
def test_a_batch_is_the_same_on_any_number_of_processes(processes: int, each: int) -> None:
    hyper = Hyperparameters(batch_size=32, gradient_accumulation=2)
    assert batch_on_each_process(hyper, processes) == each


def test_processes_that_do_not_divide_the_batch_are_refused() -> None:
    hyper = Hyperparameters(batch_size=32, gradient_accumulation=2)
    with pytest.raises(ValueError, match=r"batch_size 32 is not a multiple .* \(2 x 3\)"):
        batch_on_each_process(hyper, 3)


def test_a_batch_that_its_accumulation_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size 10 is not a multiple"):
        Hyperparameters(batch_size=10, gradient_accumulation=4)


def test_a_tiny_model_survives_dequantization_unchanged(tmp_path: Path) -> None:
    from gguf import GGUFReader
    from transformers import AutoModelForCausalLM

    gguf = write_tiny_gguf(tmp_path / "tiny.gguf")
    directory = dequantize_gguf(gguf, tmp_path / "cache" / "hash")
    weights = AutoModelForCausalLM.from_pretrained(directory).state_dict()
    held = {tensor.name: tensor.data for tensor in GGUFReader(gguf).tensors}
    assert (weights["model.embed_tokens.weight"].numpy() == held["token_embd.weight"]).all()
    assert (weights["model.norm.weight"].numpy() == held["output_norm.weight"]).all()

    written = {file: file.stat().st_mtime_ns for file in directory.iterdir()}
    assert dequantize_gguf(gguf, directory) == directory
    assert {file: file.stat().st_mtime_ns for file in directory.iterdir()} == written
    assert [path.name for path in directory.parent.iterdir()] == ["hash"]
