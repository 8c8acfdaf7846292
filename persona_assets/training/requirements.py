"""Memory, disk and arithmetic of a fine-tuning, computed before it starts.

Bytes are counted from shapes, so that a training that cannot fit is refused at once. Weights,
gradients and moments are exact (mixed precision as in arXiv 1710.03740 and 1910.02054, section 3);
activations are those that autograd keeps of a layer, counted as in arXiv 2205.05198, section 4, for
a layer with a gate. The loss never has all logits at once: TRL computes it in tiles.
"""

import re
from dataclasses import dataclass, fields

from persona_assets.training.job import Hyperparameters
from persona_assets.training.model_shape import QWEN2_7B, ModelShape

RUNTIME = 1 << 30
"""Bytes of libraries, buffers and fragmentation, our estimate."""

TILE = 4096 * 8192 * 4
"""Bytes of a tile of logits in TRL's loss."""

PEAKS = {
    "A100": 312e12,
    "H100": 989e12,
    "H200": 989e12,
    "H800": 989e12,
    "B200": 2250e12,
    "L40S": 362e12,
    "A10G": 70e12,
    "L4": 121e12,
}
"""Dense bfloat16 operations per second by part of a GPU's name, from NVIDIA's data sheets."""


@dataclass(frozen=True)
class Memory:
    """Bytes on a device at the peak of an optimizer step.

    Attributes:
        weights: Weights, float32 if they are trained.
        gradients: Gradients, and DDP's buckets of them.
        optimizer: First and second moments of AdamW.
        copies: bfloat16 copies of weights for arithmetic, and weights gathered from shards.
        activations: Activations kept for the backward pass.
        loss: Tiles of logits, gradients of the head and of the last hidden states.
        runtime: Libraries, buffers, fragmentation.
    """

    weights: int
    gradients: int
    optimizer: int
    copies: int
    activations: int
    loss: int
    runtime: int = RUNTIME

    @property
    def total(self) -> int:
        """Sum of all parts."""
        return sum(getattr(self, part.name) for part in fields(self))


def trained_parameters(shape: ModelShape, hyper: Hyperparameters) -> int:
    """Return the number of parameters that are trained."""
    return shape.adapter_parameters(hyper.lora_rank) if hyper.lora_rank else shape.parameters


def device_memory(
    shape: ModelShape,
    hyper: Hyperparameters,
    processes: int = 1,
    is_sharded: bool = False,
    on_gpu: bool = True,
) -> Memory:
    """Estimate the memory of a device, for batches whose sequences are all full.

    Args:
        shape: Shape of the base model.
        hyper: Hyper-parameters.
        processes: Number of devices.
        is_sharded: True for FSDP2, which shards weights, gradients and moments; False for DDP.
        on_gpu: True if bfloat16 is possible.

    Example:
        Full fine-tuning of the paper's base model on eight GPUs of 80 GB:

        >>> round(device_memory(QWEN2_7B, Hyperparameters(), 8, is_sharded=True).total / 1e9)
        30
    """
    is_half, is_adapted = hyper.bf16 and on_gpu, hyper.lora_rank is not None
    width = 2 if is_half else 4
    shards = processes if is_sharded else 1
    trained = trained_parameters(shape, hyper)
    frozen = shape.parameters if is_adapted else 0
    head = shape.embedding_parameters
    copies = 2 * shape.parameters if is_half and not is_adapted else 0
    if is_sharded:
        # Two layers, the embedding and the head are whole at a time, with their gradients.
        units = 2 * shape.layer_parameters + 2 * head
        copies = width * units * (1 if is_adapted else 2)
    is_bucketed = processes > 1 and not is_sharded

    sequences = hyper.batch_size // (hyper.gradient_accumulation * processes)
    tokens = sequences * hyper.max_tokens
    residual = 4 * shape.hidden
    # Two residuals and their two norms in float32; queries twice (rotated), normed inputs, outputs
    # of attention; keys twice and values; gate, up, activation and product.
    layer = 4 * residual + width * (5 * shape.hidden + 3 * shape.kv_width + 4 * shape.feed_forward)
    kept = shape.layers * residual + layer if hyper.gradient_checkpointing else shape.layers * layer
    loss = TILE + 8 * tokens * shape.hidden + (0 if is_adapted else 4 * head)
    return Memory(
        weights=(width * frozen + 4 * trained) // shards,
        gradients=4 * trained * (2 if is_bucketed else 1) // shards,
        optimizer=8 * trained // shards,
        copies=copies,
        activations=tokens * kept,
        loss=loss,
    )


def disk_bytes(shape: ModelShape, hyper: Hyperparameters, checkpoints: bool, examples: int) -> int:
    """Return the bytes that a training writes: checkpoints, trained weights, examples.

    A checkpoint holds trained weights and both moments in float32. Two exist while the newer is
    written. Examples are stored as read and as tokens.

    Args:
        shape: Shape of the base model.
        hyper: Hyper-parameters.
        checkpoints: True if checkpoints are written.
        examples: Bytes of the examples as JSON lines.
    """
    kept = 2 * 12 * trained_parameters(shape, hyper) if checkpoints else 0
    return kept + 4 * shape.parameters + 6 * examples


def utilization(flops_per_second: float, device: str, processes: int) -> float | None:
    """Return the share of the devices' peak that a training reached (MFU, arXiv 2204.02311).

    Args:
        flops_per_second: Operations per second over all devices, without recomputation.
        device: Name of the device, as CUDA gives it.
        processes: Number of devices.

    Returns:
        None for a device of unknown peak, such as a CPU.

    Example:
        >>> round(utilization(3.2e15, "NVIDIA H100 80GB HBM3", 8), 3)
        0.404
        >>> round(utilization(1.56e14, "NVIDIA A100-SXM4-80GB", 1), 3)
        0.5
        >>> utilization(1e11, "cpu", 1) is None
        True
    """
    parts = re.split(r"[\s-]", device)
    peak = next((peak for name, peak in PEAKS.items() if name in parts), None)
    return None if peak is None else flops_per_second / (peak * processes)


def requirements_table(shape: ModelShape = QWEN2_7B, utilized: float = 0.4) -> str:
    """Return memory and arithmetic of four trainings on H100 GPUs, as a Markdown table.

    Args:
        shape: Shape of the base model.
        utilized: Assumed share of the peak.
    """
    ways = [
        ("1, all weights", Hyperparameters(gradient_accumulation=128), 1, False),
        ("1, LoRA of rank 16", Hyperparameters(lora_rank=16, gradient_accumulation=128), 1, False),
        ("8, all weights, FSDP2", Hyperparameters(), 8, True),
        ("8, LoRA of rank 16, DDP", Hyperparameters(lora_rank=16), 8, False),
    ]
    parts = [part.name for part in fields(Memory)]
    header = ["GPUs", *parts, "total", "GFLOP per token", "hours per billion tokens"]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for name, hyper, processes, is_sharded in ways:
        memory = device_memory(shape, hyper, processes, is_sharded)
        figures = [getattr(memory, part) for part in (*parts, "total")]
        flops = shape.flops_per_token(hyper.max_tokens, hyper.lora_rank is not None)
        hours = 1e9 * flops / (PEAKS["H100"] * processes * utilized) / 3600
        cells = [name, *(f"{figure / 1e9:.1f}" for figure in figures)]
        lines.append(f"| {' | '.join([*cells, f'{flops / 1e9:.1f}', f'{hours:.1f}'])} |")
    return "\n".join(lines) + "\n"
