"""Adapters gathered from shards are merged as a whole model merges its own."""

from pathlib import Path
from typing import Any

import pytest

from persona_assets.training.gguf_import import dequantize_gguf
from persona_assets.training.trained_weights import merge_gathered_adapters
from persona_assets_tests.training.tiny_model import write_tiny_gguf


# PEFT asks a model for an attribute that transformers renames.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_gathered_adapters_are_merged_into_a_fresh_base_model(tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = dequantize_gguf(write_tiny_gguf(tmp_path / "tiny.gguf"), tmp_path / "base")
    lora = LoraConfig(r=2, lora_alpha=4, target_modules="all-linear")
    adapted: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora)
    torch.manual_seed(0)
    for name, values in adapted.named_parameters():
        if ".lora_" in name:
            torch.nn.init.normal_(values)
    gathered = {name: tensor.clone() for name, tensor in adapted.state_dict().items()}
    expected = adapted.merge_and_unload().state_dict()

    model, state = merge_gathered_adapters(gathered, base, lora)

    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    assert model.config.model_type == "llama"

    del gathered[next(name for name in gathered if ".lora_" in name)]
    with pytest.raises(ValueError, match="adapters do not match the base model"):
        merge_gathered_adapters(gathered, base, lora)
