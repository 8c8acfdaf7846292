"""Memory and arithmetic of a training follow from the shapes of its base model."""

from pathlib import Path

import pytest

from persona_assets.training.job import Hyperparameters
from persona_assets.training.model_shape import QWEN2_7B, ModelShape
from persona_assets.training.requirements import (
    device_memory,
    disk_bytes,
    requirements_table,
    trained_parameters,
)
from persona_assets_tests.training.tiny_model import write_tiny_gguf

ROOT = Path(__file__).parents[2]
LORA = Hyperparameters(lora_rank=16)


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_parameters_are_those_of_the_loaded_model(tmp_path: Path, architecture: str) -> None:
    from peft import LoraConfig, inject_adapter_in_model
    from transformers import AutoModelForCausalLM

    gguf = write_tiny_gguf(tmp_path / "tiny.gguf", architecture)
    shape = ModelShape.from_path(gguf)
    assert shape is not None
    model = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=gguf.name)
    assert ModelShape.from_config(model.config.to_dict()) == shape
    assert shape.parameters == model.num_parameters()
    inject_adapter_in_model(LoraConfig(r=16, target_modules=r".*_proj"), model)
    adapters = [values for name, values in model.named_parameters() if ".lora_" in name]
    assert trained_parameters(shape, LORA) == sum(values.numel() for values in adapters)


def test_shape_of_another_family_is_unknown(tmp_path: Path) -> None:
    assert ModelShape.from_path(write_tiny_gguf(tmp_path / "tiny.gguf", "gemma")) is None
    assert ModelShape.from_config({"model_type": "mixtral"}) is None
    assert ModelShape.from_path(tmp_path) is None


def test_shards_divide_weights_gradients_and_moments_and_nothing_else() -> None:
    hyper = Hyperparameters(gradient_accumulation=1)
    whole, shared = device_memory(QWEN2_7B, hyper), device_memory(QWEN2_7B, hyper, 8, True)
    for part in ("weights", "gradients", "optimizer"):
        assert getattr(shared, part) == getattr(whole, part) // 8
    # Each device has an eighth of the batch.
    assert shared.activations == whole.activations // 8
    assert whole.weights + whole.gradients + whole.optimizer == 16 * QWEN2_7B.parameters


def test_adapters_need_moments_of_adapters_alone() -> None:
    memory = device_memory(QWEN2_7B, LORA)
    adapters = QWEN2_7B.adapter_parameters(16)
    assert memory.weights == 2 * QWEN2_7B.parameters + 4 * adapters
    assert memory.optimizer == 8 * adapters
    assert disk_bytes(QWEN2_7B, LORA, True, 0) < disk_bytes(QWEN2_7B, Hyperparameters(), True, 0)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"gradient_accumulation": 8}, {"gradient_accumulation": 4}),
        ({"gradient_checkpointing": True}, {"gradient_checkpointing": False}),
        ({"max_tokens": 1024}, {"max_tokens": 2048}),
        ({"lora_rank": 16}, {}),
    ],
)
def test_memory_falls_with_each_remedy(less: dict[str, int], more: dict[str, int]) -> None:
    small, large = (
        device_memory(QWEN2_7B, Hyperparameters.model_validate(values)).total
        for values in (less, more)
    )
    assert small < large


def test_page_shows_the_table_as_computed() -> None:
    assert requirements_table() in (ROOT / "docs" / "training.md").read_text()
