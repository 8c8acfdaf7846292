"""Trained weights are written to a copy of the base model's GGUF file, in 8 bits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from persona_assets.training.gguf_export import write_gguf
from persona_assets.training.gguf_import import dequantize_gguf
from persona_assets_tests.training.tiny_model import write_tiny_gguf


def load_state(gguf: Path, directory: Path) -> dict[str, Any]:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(dequantize_gguf(gguf, directory)).state_dict()


def tensors(path: Path) -> dict[str, np.ndarray]:
    from gguf import GGUFReader, dequantize

    return {t.name: dequantize(t.data, t.tensor_type) for t in GGUFReader(path).tensors}


def metadata(path: Path) -> dict[str, object]:
    from gguf import GGUFReader

    fields = GGUFReader(path).fields.values()
    return {f.name: f.contents() for f in fields if not f.name.startswith("GGUF.")}


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_untouched_weights_change_within_the_error_of_eight_bits(
    tmp_path: Path, architecture: str
) -> None:
    source = write_tiny_gguf(tmp_path / "source.gguf", architecture)
    target = tmp_path / "target.gguf"

    write_gguf(load_state(source, tmp_path / "directory"), source, target)

    before, after = tensors(source), tensors(target)
    assert after.keys() == before.keys()
    for name, values in before.items():
        if values.ndim == 1:
            np.testing.assert_array_equal(after[name], values)
            continue
        blocks = values.reshape(-1, 32)
        step = np.abs(blocks).max(axis=1, keepdims=True) / 127
        error = np.abs(after[name].reshape(-1, 32) - blocks)
        # Half a step of rounding, and the error of the step itself, stored in 16 bits.
        assert (error <= step * (0.5 + 127 / 1024)).all(), name


def test_metadata_and_tokenizer_are_those_of_the_source(tmp_path: Path) -> None:
    source = write_tiny_gguf(tmp_path / "source.gguf")
    target = tmp_path / "target.gguf"

    write_gguf(load_state(source, tmp_path / "directory"), source, target)

    eight_bits = {"general.file_type": 7}
    assert metadata(target) == metadata(source) | eight_bits


def test_changed_weights_are_written(tmp_path: Path) -> None:
    source = write_tiny_gguf(tmp_path / "source.gguf")
    state = load_state(source, tmp_path / "directory")
    name = "model.layers.1.self_attn.q_proj.weight"
    state[name] = -state[name]

    write_gguf(state, source, tmp_path / "target.gguf")

    before, after = tensors(source), tensors(tmp_path / "target.gguf")
    for key, values in before.items():
        sign = -1 if key == "blk.1.attn_q.weight" else 1
        np.testing.assert_allclose(after[key], sign * values, atol=0.01)


def test_unknown_architecture_is_refused(tmp_path: Path) -> None:
    source = write_tiny_gguf(tmp_path / "source.gguf", "gemma")
    with pytest.raises(ValueError, match="architecture gemma, only llama, qwen2"):
        write_gguf({}, source, tmp_path / "target.gguf")


def test_weights_that_do_not_match_the_file_are_refused(tmp_path: Path) -> None:
    source = write_tiny_gguf(tmp_path / "source.gguf")
    state = load_state(source, tmp_path / "directory")
    norm = state.pop("model.norm.weight")
    with pytest.raises(ValueError, match=r"missing=\['output_norm.weight'\]"):
        write_gguf(state, source, tmp_path / "target.gguf")
    with pytest.raises(ValueError, match=r"output_norm.weight: shape \(63,\), but \(64,\)"):
        write_gguf(state | {"model.norm.weight": norm[1:]}, source, tmp_path / "target.gguf")
    untied = {"model.norm.weight": norm, "lm_head.weight": state["lm_head.weight"] + 1}
    with pytest.raises(ValueError, match=r"extra=\['output.weight'\]"):
        write_gguf(state | untied, source, tmp_path / "target.gguf")
