"""Fine-tuning program: `python -m persona_assets.training.finetune JOB.json`.

Supervised fine-tuning of a causal language model with TRL, with the loss on the solution only. Runs
on a CPU, on a GPU, and on many GPUs under `accelerate launch` (DDP, FSDP or DeepSpeed). `Trainer`
in `resources/trainer.py` starts the program and reads its reports.
"""

# The training libraries are only partly annotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportPrivateImportUsage=false

import json
import math
import os
import select
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona_assets.training.gguf_export import write_gguf
from persona_assets.training.gguf_import import dequantize_gguf
from persona_assets.training.job import Hyperparameters, Job

if TYPE_CHECKING:
    import torch
    from transformers import TrainerCallback
    from trl import SFTConfig

Emit = Callable[[dict[str, Any]], None]
"""Function that sends a report to the parent process."""


def main() -> None:
    exit_with_parent()
    emit = redirect_standard_output()
    finetune(Job.model_validate_json(Path(sys.argv[1]).read_text()), emit)


def exit_with_parent() -> None:
    """End this process at once when standard input closes or the parent process changes.

    Neither suffices alone: a process forked from the parent can hold the pipe open, and under a
    launcher the parent process is the launcher.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent and not select.select([0], [], [], 1.0)[0]:
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def redirect_standard_output() -> Emit:
    """Send later prints to the log, and return a function that writes to standard output."""
    reports = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return lambda message: print(json.dumps(message), file=reports)


def finetune(job: Job, emit: Emit) -> None:
    """Train, report every optimizer step and the dropped examples, and write `job.output`.

    Raises:
        ValueError: No example is usable, the tokenizer has no chat template, or the batch is not
            divisible by the number of processes.
        FloatingPointError: The loss is not finite.
    """
    import torch
    from accelerate import PartialState
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import is_flash_attn_2_available
    from trl import SFTTrainer

    hyper = job.hyper
    process = PartialState()
    half = hyper.bf16 and torch.cuda.is_available()
    with process.main_process_first():
        directory = job.base
        if job.base.is_file():
            directory = dequantize_gguf(job.base, job.cache_dir / "dequantized" / job.base_sha256)
        examples: Any = Dataset.from_json(str(job.examples), cache_dir=str(job.scratch))
    tokenizer: Any = AutoTokenizer.from_pretrained(directory)
    if tokenizer.chat_template is None:
        raise ValueError(f"{job.base}: the tokenizer has no chat template")
    faults = find_faults(examples, tokenizer, hyper.max_tokens)
    kept = examples.select([index for index, fault in enumerate(faults) if fault is None])
    if len(kept) == 0:
        raise ValueError(f"no example of {len(faults)} can be trained on; the first: {faults[0]}")

    lora = None
    if hyper.lora_rank is not None:
        lora = LoraConfig(
            r=hyper.lora_rank, lora_alpha=2 * hyper.lora_rank, target_modules="all-linear"
        )
    model = AutoModelForCausalLM.from_pretrained(
        directory,
        # At this learning rate most updates are below the resolution of a bfloat16 weight. Only
        # frozen weights may be bfloat16; trained weights are float32 under autocast.
        dtype=torch.bfloat16 if half and lora else torch.float32,
        attn_implementation="flash_attention_2" if is_flash_attn_2_available() else "sdpa",
    )
    trainer: Any = SFTTrainer(
        model=model,
        args=training_arguments(
            job, half, process.num_processes, len(kept), end_of_turn(tokenizer)
        ),
        train_dataset=kept,
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[progress_callback(emit)],
    )
    if lora and trainer.accelerator.distributed_type.value in ("FSDP", "DEEPSPEED"):
        raise ValueError(
            "adapters cannot be merged from shards: no lora_rank under FSDP, DeepSpeed"
        )
    trainer.train()
    config: Any = AutoConfig.from_pretrained(directory)
    save_model(trainer, job, config.dtype or torch.float32)
    if process.is_main_process:
        emit({"dropped": [(index, fault) for index, fault in enumerate(faults) if fault]})
    process.destroy_process_group()


def find_faults(examples: Any, tokenizer: Any, max_tokens: int) -> list[str | None]:
    """Find the examples that must not be trained on.

    A control token in a text would end a turn or open another: a text from outside could speak in
    any role.

    Args:
        examples: Dataset in TRL's conversational prompt-completion format.
        tokenizer: Tokenizer with a chat template.
        max_tokens: Length of the longest usable example, in tokens.

    Returns:
        The reason per example, None for a usable example.
    """
    control = control_tokens(tokenizer).values()
    faults: list[str | None] = []
    for batch in examples.iter(batch_size=1000):
        turns = [[*p, *c] for p, c in zip(batch["prompt"], batch["completion"], strict=True)]
        tokens = tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"]
        for conversation, ids in zip(turns, tokens, strict=True):
            texts = [turn["content"] for turn in conversation]
            if not all(text.strip() for text in texts):
                faults.append("empty")
            elif token := next((t for t in control if any(t in text for text in texts)), None):
                faults.append(f"control_token: {token}")
            elif len(ids) > max_tokens:
                faults.append(f"too_long: {len(ids)} tokens, more than {max_tokens}")
            else:
                faults.append(None)
    return faults


def end_of_turn(tokenizer: Any) -> str | None:
    """Return the token with which the chat template ends an answer, None if it has no such token.

    In base models this is often not the end-of-text token, and a server without this token would
    never stop.
    """
    question = [{"role": "user", "content": "a"}]
    answered = [*question, {"role": "assistant", "content": "b"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_dict=True)
    whole = tokenizer.apply_chat_template(answered, return_dict=True)
    control = control_tokens(tokenizer)
    answer = whole["input_ids"][len(prompt["input_ids"]) :]
    return next((control[token] for token in answer if token in control), None)


def control_tokens(tokenizer: Any) -> dict[int, str]:
    """Return the tokens that a text must not contain, by id, with or without a role (bos, eos)."""
    added = tokenizer.added_tokens_decoder
    return {number: token.content for number, token in added.items() if token.special}


def batch_on_each_process(hyper: Hyperparameters, processes: int) -> int:
    """Return the sequences per forward pass and process that add up to `batch_size`.

    Raises:
        ValueError: `batch_size` is not divisible.

    Example:
        >>> batch_on_each_process(Hyperparameters(batch_size=32, gradient_accumulation=2), 4)
        4
    """
    passes = hyper.gradient_accumulation * processes
    if hyper.batch_size % passes:
        raise ValueError(
            f"batch_size {hyper.batch_size} is not a multiple of gradient_accumulation x processes "
            f"({hyper.gradient_accumulation} x {processes})"
        )
    return hyper.batch_size // passes


def training_arguments(
    job: Job, half: bool, processes: int, examples: int, eos_token: str | None
) -> "SFTConfig":
    from trl import SFTConfig

    hyper = job.hyper
    return SFTConfig(
        output_dir=str(job.scratch),
        learning_rate=hyper.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=hyper.warmup_ratio,
        weight_decay=hyper.weight_decay,
        num_train_epochs=hyper.epochs,
        per_device_train_batch_size=batch_on_each_process(hyper, processes),
        gradient_accumulation_steps=hyper.gradient_accumulation,
        gradient_checkpointing=hyper.gradient_checkpointing,
        max_length=hyper.max_tokens,
        packing=hyper.packing,
        completion_only_loss=True,
        eos_token=eos_token,
        bf16=half,
        seed=hyper.seed,
        dataset_num_proc=min(examples // 10_000, os.cpu_count() or 1) or None,
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        save_strategy="no",
        report_to="none",
    )


def progress_callback(emit: Emit) -> "TrainerCallback":
    """Return a callback that reports each optimizer step, and stops if the loss is not finite."""
    from transformers import TrainerCallback

    class Progress(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" not in logs:
                return
            loss = float(logs["loss"])
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss} at step {state.global_step}: lower the learning rate"
                )
            if state.is_world_process_zero:
                emit({"step": state.global_step, "steps": state.max_steps, "loss": loss})

    return Progress()


def save_model(trainer: Any, job: Job, dtype: "torch.dtype") -> None:
    """Write the trained weights: a GGUF file for a GGUF base model, else a directory in `dtype`."""
    accelerator = trainer.accelerator
    model = accelerator.unwrap_model(trainer.model)
    if job.hyper.lora_rank is None:
        state = accelerator.get_state_dict(trainer.model_wrapped)
    else:
        model = model.merge_and_unload()
        state = model.state_dict()
    if not accelerator.is_main_process:
        return
    if job.base.is_file():
        write_gguf(state, job.base, job.output)
        return
    model.config.dtype = dtype
    state = {name: tensor.to(dtype) for name, tensor in state.items()}
    model.save_pretrained(job.output, state_dict=state)
    trainer.processing_class.save_pretrained(job.output)


if __name__ == "__main__":
    main()
