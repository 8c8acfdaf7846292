"""Conversion of trained weights to a GGUF file like that of the base model.

Metadata and tokenizer are copied from the base model's file and only tensors change, so that
llama.cpp serves the tuned model exactly as it serves the base model.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from gguf import GGUFReader, GGUFWriter

ARCHITECTURES = ("llama", "qwen2", "qwen3")
"""Architectures whose tensors equal those of transformers but for names and `rotary_order`."""

BLOCK = 32
"""Weights that share a scale in Q8_0; rows must consist of whole blocks."""


def write_gguf(state: Mapping[str, "torch.Tensor"], source: Path, target: Path) -> None:
    """Write a copy of a GGUF file with other tensors, in 8 bits per weight (Q8_0).

    Vectors, and matrices whose rows are not whole blocks, remain float32. Rotary frequencies, which
    no state dict contains, are copied.

    Args:
        state: State dict of transformers.
        source: GGUF file of the base model.
        target: File to write.

    Raises:
        ValueError: The architecture is not in `ARCHITECTURES`, or names or shapes do not match.
    """
    from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, LlamaFileType, quantize

    reader = GGUFReader(source)
    architecture = _value(reader, "general.architecture")
    weights = _by_gguf_name(state, reader, architecture)
    writer = GGUFWriter(target, architecture)
    _copy_metadata(reader, writer)
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
    for tensor in reader.tensors:
        if tensor.name not in weights:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
            continue
        array = weights[tensor.name].detach().float().cpu().numpy()
        shape = tuple(int(size) for size in reversed(tensor.shape))
        if array.shape != shape:
            raise ValueError(f"{tensor.name}: shape {array.shape}, but {shape} in {source}")
        if architecture == "llama" and ".attn_q." in tensor.name:
            array = rotary_order(array, _value(reader, "llama.attention.head_count"))
        elif architecture == "llama" and ".attn_k." in tensor.name:
            array = rotary_order(array, _value(reader, "llama.attention.head_count_kv"))
        blocks = array.ndim > 1 and array.shape[-1] % BLOCK == 0
        kind = GGMLQuantizationType.Q8_0 if blocks else GGMLQuantizationType.F32
        writer.add_tensor(tensor.name, quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def rotary_order(array: "np.ndarray", heads: int) -> "np.ndarray":
    """Order the rows of a query or key projection, or of its bias, as llama.cpp does.

    transformers rotates row i of a head together with row i + half, llama.cpp row 2i with 2i + 1.

    Args:
        array: Weights or bias, shape (rows, ...).
        heads: Number of attention heads.
    """
    half = array.shape[0] // heads // 2
    halves = array.reshape(heads, 2, half, *array.shape[1:])
    return halves.swapaxes(1, 2).reshape(array.shape)


def _by_gguf_name(
    state: Mapping[str, "torch.Tensor"], reader: "GGUFReader", architecture: str
) -> dict[str, "torch.Tensor"]:
    """Rename the state's tensors to the tensor names of the file, which must match exactly."""
    import torch
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"cannot write a GGUF file of architecture {architecture}, only "
            f"{', '.join(ARCHITECTURES)}: give the base model as a transformers directory"
        )
    arch = next(arch for arch, name in MODEL_ARCH_NAMES.items() if name == architecture)
    names = get_tensor_name_map(arch, _value(reader, f"{architecture}.block_count"))
    renamed = {name: names.get_name(name, (".weight", ".bias")) for name in state}
    weights = {new or old: state[old] for old, new in renamed.items()}
    expected = {tensor.name for tensor in reader.tensors}
    tied = "output.weight" in weights and "output.weight" not in expected
    if tied and torch.equal(weights["output.weight"], weights["token_embd.weight"]):
        del weights["output.weight"]
    extra = sorted(weights.keys() - expected)
    missing = sorted(expected - weights.keys() - {"rope_freqs.weight"})
    if extra or missing:
        raise ValueError(f"weights do not match the GGUF file: {extra=}, {missing=}")
    return weights


def _copy_metadata(reader: "GGUFReader", writer: "GGUFWriter") -> None:
    from gguf import GGUFValueType

    written_by_writer = ("general.architecture", "general.file_type", "general.alignment")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in written_by_writer:
            continue
        kind = field.types[0]
        items = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, items)


def _value(reader: "GGUFReader", key: str) -> Any:
    field = reader.get_field(key)
    if field is None:
        raise ValueError(f"the GGUF file has no {key}")
    return field.contents()
