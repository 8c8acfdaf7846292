"""Conversion of a GGUF file to a transformers model."""

# transformers is only partly annotated.
# pyright: reportUnknownMemberType=false

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any


def dequantize_gguf(gguf: Path, directory: Path) -> Path:
    """Convert a GGUF model to a float32 transformers directory, unless the directory exists.

    Returns:
        `directory`, which appears once it is complete.
    """
    if directory.exists():
        return directory
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    correct_pre_tokenizer(gguf, tokenizer)
    model: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    # The weights are plain float32 now, but transformers refuses to save a model with a quantizer.
    model.__dict__.pop("hf_quantizer", None)
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config

    directory.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".", dir=directory.parent))
    model.save_pretrained(scratch)
    tokenizer.save_pretrained(scratch)
    try:
        scratch.rename(directory)
    except OSError:
        shutil.rmtree(scratch)
        if not directory.exists():
            raise
    return directory


def correct_pre_tokenizer(gguf: Path, tokenizer: Any) -> None:
    """Make a tokenizer split text into words as llama.cpp does for this file.

    transformers does not read the name of the rule, `tokenizer.ggml.pre`, and applies GPT-2's rule
    to SmolLM, whose own rule separates digits first. White space before a number would become
    other tokens.
    """
    from gguf import GGUFReader
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    field = GGUFReader(gguf).get_field("tokenizer.ggml.pre")
    rule = None if field is None else field.contents()
    if rule == "smollm":
        digits = Digits(individual_digits=True)
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
            [digits, ByteLevel(add_prefix_space=False)]
        )
    elif rule != "qwen2":
        warnings.warn(
            f"{gguf}: a server may tokenize other than this training does (rule {rule})",
            stacklevel=2,
        )
