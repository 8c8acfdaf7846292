"""Saving of trained weights, gathered from all processes and written once."""

# The training libraries are only partly annotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportPrivateImportUsage=false

from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona_assets.training.gguf_export import write_gguf
from persona_assets.training.job import Job

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig

State = dict[str, "torch.Tensor"]
"""Tensors by name, as in a state dict of transformers."""


def save_model(trainer: Any, job: Job, base: Path, lora: "LoraConfig | None") -> None:
    """Write the trained weights: a GGUF file for a GGUF base model, else a directory.

    Every process takes part in gathering, and the first one writes. A directory has the dtype of
    the base model.

    Args:
        trainer: Trainer after its training.
        job: Job of the training.
        base: Directory of the base model, dequantized if it is a GGUF file.
        lora: Adapters; None if all weights were trained.
    """
    import torch
    from transformers import AutoConfig

    accelerator = trainer.accelerator
    is_sharded = accelerator.distributed_type.value == "FSDP"
    model: Any = accelerator.unwrap_model(trainer.model)
    if lora is None or is_sharded:
        state: State = accelerator.get_state_dict(trainer.model_wrapped)
    else:
        model = model.merge_and_unload()
        state = model.state_dict()
    if not accelerator.is_main_process:
        return
    if lora is not None and is_sharded:
        model, state = merge_gathered_adapters(state, base, lora)
    if job.base.is_file():
        write_gguf(state, job.base, job.output)
        return
    config: Any = AutoConfig.from_pretrained(base)
    dtype = config.dtype or torch.float32
    model.config.dtype = dtype
    state = {name: tensor.to(dtype) for name, tensor in state.items()}
    model.save_pretrained(job.output, state_dict=state)
    trainer.processing_class.save_pretrained(job.output)


def merge_gathered_adapters(state: State, base: Path, lora: "LoraConfig") -> tuple[Any, State]:
    """Merge adapters that were gathered from shards into the weights of the base model.

    A sharded model cannot merge its adapters, as no process holds a whole matrix. So the base model
    is loaded anew, whole, in this process.

    Args:
        state: State dict of the adapted model, gathered.
        base: Directory of the base model.
        lora: Adapters.

    Returns:
        The merged model and its state dict.
    """
    import torch
    from peft import get_peft_model, set_peft_model_state_dict
    from transformers import AutoModelForCausalLM

    fresh: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    adapted: Any = get_peft_model(fresh, lora)
    adapters = {
        # PEFT inserts the name of the adapter by itself.
        name.replace(".default.", "."): tensor.float()
        for name, tensor in state.items()
        if ".lora_" in name
    }
    result: Any = set_peft_model_state_dict(adapted, adapters)
    missing = [name for name in result.missing_keys if ".lora_" in name]
    if missing or result.unexpected_keys:
        raise ValueError(f"adapters do not match the base model: {missing or result}")
    merged: Any = adapted.merge_and_unload()
    return merged, merged.state_dict()
