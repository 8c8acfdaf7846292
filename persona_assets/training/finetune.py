"""Fine-tuning program: `python -m persona_assets.training.finetune JOB.json`.

Supervised fine-tuning of a causal language model with TRL, with the loss on the solution only. Runs
on a CPU, on a GPU, and on many GPUs under `accelerate launch` (DDP or FSDP2). `Trainer` in
`resources/trainer.py` starts the program and reads its reports. A killed program goes on from its
last checkpoint, with the losses of an undisturbed one.
"""

# The training libraries are only partly annotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportPrivateImportUsage=false

import json
import os
import select
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from persona_assets.training.checkpoints import (
    checkpoint_callback,
    latest_checkpoint,
    remove_other_checkpoints,
    training_identity,
)
from persona_assets.training.examples import end_of_turn, read_examples
from persona_assets.training.gguf_import import dequantize_gguf
from persona_assets.training.job import Hyperparameters, Job
from persona_assets.training.progress import Emit, progress_callback
from persona_assets.training.trained_weights import save_model

if TYPE_CHECKING:
    from trl import SFTConfig

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "tokenizers", "datasets")
"""Libraries whose versions are reported: they decide weights, and no model is trained anew for
them."""


def main() -> None:
    exit_with_parent()
    use_one_device()
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


def use_one_device() -> None:
    """Hide all GPUs but the first from a process that no launcher started.

    transformers would spread its batches over them (DataParallel), and a batch would be as many
    times larger than `batch_size`.
    """
    if "LOCAL_RANK" not in os.environ:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.partition(",")[0]


def redirect_standard_output() -> Emit:
    """Send later prints to the log, and return a function that writes to standard output."""
    reports = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return lambda message: print(json.dumps(message), file=reports)


def finetune(job: Job, emit: Emit) -> None:
    """Train, report every optimizer step and the dropped examples, and write `job.output`.

    Raises:
        ValueError: No example is usable, the tokenizer has no chat template, the batch is not
            divisible by the number of processes, or the launcher started DeepSpeed or FSDP1.
        FloatingPointError: The loss is not finite.
    """
    import torch
    from accelerate import PartialState
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import is_flash_attn_2_available
    from trl import SFTTrainer

    hyper = job.hyper
    process = PartialState(cpu=not torch.accelerator.is_available())
    half = hyper.bf16 and torch.cuda.is_available()
    with process.main_process_first():
        directory = job.base
        if job.base.is_file():
            directory = dequantize_gguf(job.base, job.cache_dir / "dequantized" / job.base_sha256)
        tokenizer: Any = AutoTokenizer.from_pretrained(directory)
        if tokenizer.chat_template is None:
            raise ValueError(f"{job.base}: the tokenizer has no chat template")
        examples = read_examples(job.examples, job.scratch, tokenizer, hyper.max_tokens)
        evaluation = job.evaluation and read_examples(
            job.evaluation, job.scratch, tokenizer, hyper.max_tokens
        )
    if len(examples.usable) == 0:
        faults = examples.faults
        raise ValueError(f"no example of {len(faults)} can be trained on; the first: {faults[0]}")
    if evaluation and len(evaluation.usable) == 0:
        evaluation = None

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
            job, half, process.num_processes, len(examples.usable), end_of_turn(tokenizer)
        ),
        train_dataset=examples.usable,
        eval_dataset=evaluation and evaluation.usable,
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[progress_callback(emit, job.evaluations if evaluation else None)],
    )
    is_sharded = check_launch(trainer.accelerator)
    identity = training_identity(job, process.num_processes, is_sharded)
    trainer.add_callback(checkpoint_callback(job, identity))
    checkpoint = latest_checkpoint(job.checkpoints, identity)
    process.wait_for_everyone()
    if process.is_main_process:
        remove_other_checkpoints(job.checkpoints, checkpoint)
    trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    save_model(trainer, job, directory, lora)
    if process.is_main_process:
        emit(
            {
                "dropped": examples.dropped,
                "evaluation_examples": len(evaluation.usable) if evaluation else 0,
                "libraries": {name: version(name) for name in LIBRARIES},
                "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
                "processes": process.num_processes,
            }
        )
    process.wait_for_everyone()
    process.destroy_process_group()
    if process.num_processes > 1:
        leave()


def leave() -> NoReturn:
    """End this process at once, after its files and reports are written.

    As Python frees the model, a thread of its process group can wait for the interpreter while the
    interpreter waits for the thread: with gloo a finished training did not end.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def check_launch(accelerator: Any) -> bool:
    """Return True if the weights are sharded over the processes.

    Raises:
        ValueError: The launcher started an engine whose weights would not be gathered right.
    """
    kind = accelerator.distributed_type.value
    if kind == "DEEPSPEED" or (kind == "FSDP" and not accelerator.is_fsdp2):
        raise ValueError(f"{kind} of this version cannot be trained with: use FSDP2 or DDP")
    return bool(kind == "FSDP")


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
    """Return the arguments of TRL's trainer.

    Args:
        job: Job of the training.
        half: True for bfloat16.
        processes: Number of processes.
        examples: Number of examples.
        eos_token: Token that ends an answer.
    """
    import torch
    from trl import SFTConfig

    hyper = job.hyper
    # Of the hyper-parameters, and not of the launcher's configuration.
    os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16" if half else "no"
    return SFTConfig(
        output_dir=str(job.checkpoints),
        learning_rate=hyper.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=hyper.warmup_ratio,
        weight_decay=hyper.weight_decay,
        num_train_epochs=hyper.epochs,
        per_device_train_batch_size=batch_on_each_process(hyper, processes),
        per_device_eval_batch_size=batch_on_each_process(hyper, processes),
        gradient_accumulation_steps=hyper.gradient_accumulation,
        gradient_checkpointing=hyper.gradient_checkpointing,
        max_length=hyper.max_tokens,
        packing=hyper.packing,
        completion_only_loss=True,
        eos_token=eos_token,
        bf16=half,
        use_cpu=not torch.accelerator.is_available(),
        seed=hyper.seed,
        dataset_num_proc=min(examples // 10_000, os.cpu_count() or 1) or None,
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        # Callbacks of this program decide when to evaluate and when to save.
        eval_strategy="no",
        save_strategy="no",
        include_num_input_tokens_seen="non_padding",
        report_to="none",
    )


if __name__ == "__main__":
    main()
