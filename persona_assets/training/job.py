"""What a training process is told. Light to import: both sides of the process boundary do."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Hyperparameters(BaseModel):
    """What decides the trained weights, besides the rows and the base model.

    Section 4.1.2 names the base model (Qwen2-7B) and nothing else: the paper is silent on every
    value here. The defaults are common practice for a base model of that size, on eight GPUs of
    80 GB; a small model on a CPU wants a smaller batch and no checkpointing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    learning_rate: float = Field(1e-5, gt=0)
    """Peak of the cosine schedule (AdamW)."""

    epochs: float = Field(3, gt=0)
    """Number of passes over the examples."""

    batch_size: int = Field(128, ge=1)
    """Sequences per optimizer step, over all processes and accumulation."""

    gradient_accumulation: int = Field(4, ge=1)
    """Forward passes per optimizer step and process."""

    max_tokens: int = Field(2048, ge=8)
    """Maximum length of a sequence. A longer example is left out, never cut short."""

    warmup_ratio: float = Field(0.03, ge=0, lt=1)
    """Share of the steps with a rising learning rate."""

    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of AdamW."""

    seed: int = Field(0, ge=0)
    """Seed of the order of examples and of new weights."""

    lora_rank: int | None = Field(None, ge=1)
    """Rank of the adapters (merged at the end); null trains all weights."""

    packing: bool = True
    """Fill each sequence of `max_tokens` with whole examples."""

    bf16: bool = True
    """bfloat16 mixed precision on a GPU; a CPU uses float32."""

    gradient_checkpointing: bool = True
    """Recompute activations in the backward pass: less memory, more time."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.batch_size % self.gradient_accumulation:
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of gradient_accumulation "
                f"{self.gradient_accumulation}"
            )
        return self


class Job(BaseModel):
    """What the child process is told: all paths are local."""

    base: Path
    base_sha256: str
    examples: Path
    cache_dir: Path
    output: Path
    scratch: Path
    hyper: Hyperparameters
