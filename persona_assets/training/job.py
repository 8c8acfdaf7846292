"""Job description of a training process; light, because parent and child import it."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Hyperparameters(BaseModel):
    """Hyper-parameters: with the rows and the base model, they determine the trained weights.

    Section 4.1.2 names only the base model (Qwen2-7B); the paper has none of these values. The
    defaults are common practice for a base model of that size, on eight GPUs of 80 GB. A small
    model on a CPU needs a smaller batch and no checkpointing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    learning_rate: float = Field(default=1e-5, gt=0)
    """Peak of the cosine schedule (AdamW)."""

    epochs: float = Field(default=3, gt=0)
    """Number of passes over the examples."""

    batch_size: int = Field(default=128, ge=1)
    """Sequences per optimizer step, over all processes and accumulation."""

    gradient_accumulation: int = Field(default=4, ge=1)
    """Forward passes per optimizer step and process."""

    max_tokens: int = Field(default=2048, ge=8)
    """Maximum length of a sequence. A longer example is left out, never cut short."""

    warmup_ratio: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps with a rising learning rate."""

    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay of AdamW."""

    seed: int = Field(default=0, ge=0)
    """Seed of the order of examples and of new weights."""

    lora_rank: int | None = Field(default=None, ge=1)
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


class Checkpointing(BaseModel):
    """Interval of the checkpoints from which a killed training goes on.

    Example:
        >>> Checkpointing(steps=100).seconds
        600.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    seconds: float | None = Field(default=600.0, gt=0)
    """Seconds between two checkpoints; null for no such interval. A training that ends sooner
    writes none."""

    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps between two checkpoints; null for no such interval."""

    @property
    def enabled(self) -> bool:
        """True if the training writes checkpoints."""
        return self.seconds is not None or self.steps is not None


class Job(BaseModel):
    """Job of the child process; all paths are local.

    Attributes:
        base: GGUF file or transformers directory of the base model.
        base_sha256: Hash of `base`, which names its dequantized weights in the cache.
        examples: JSON lines in TRL's conversational prompt-completion format.
        evaluation: The same for the evaluation loss; None for no such loss.
        evaluations: Number of evaluations, evenly spaced, the last after the last step.
        cache_dir: Folder of dequantized weights.
        output: File or directory of the trained model.
        scratch: Folder for temporary files; the parent deletes it.
        inputs: Hash of base model, examples and hyper-parameters; a checkpoint of other inputs is
            never used.
        checkpoints: Folder of checkpoints.
        checkpointing: Interval of the checkpoints.
        hyper: Hyper-parameters.
    """

    base: Path
    base_sha256: str
    examples: Path
    evaluation: Path | None = None
    evaluations: int = 10
    cache_dir: Path
    output: Path
    scratch: Path
    inputs: str
    checkpoints: Path
    checkpointing: Checkpointing = Checkpointing()
    hyper: Hyperparameters
