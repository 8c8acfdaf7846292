"""Fine-tuning in a child process, so that the calling process never imports torch.

    trainer = Trainer("smollm2-135m-instruct", Path("data/models"), Hyperparameters(batch_size=4))
    model = trainer.train(rows, Path("data/models/fine_tuned_model"), lambda point, steps: None)

The child is `persona_assets.training.finetune`. It reads a `Job` and the examples from files, and
writes reports as JSON lines to standard output and all other output to `training.log`. It ends when
its standard input closes, so that it never outlives its parent. A training that was killed goes on
from its last checkpoint.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from persona_assets.resources.base_models import base_model_shape, fetch_base_model
from persona_assets.resources.trained_models import (
    DIGITS,
    MANIFEST,
    TrainedModel,
    find_model,
    model_sha256,
)
from persona_assets.resources.training_inputs import Row, example_lines, inputs_hash
from persona_assets.resources.training_outcome import Report, TrainingOutcome
from persona_assets.resources.training_process import run_training
from persona_assets.resources.training_room import (
    Devices,
    check_devices,
    check_disk,
    folder_bytes,
)
from persona_assets.settings import SettingsError, Training
from persona_assets.storage.files import replace_folder
from persona_assets.training.job import Checkpointing, Hyperparameters, Job
from persona_assets.training.launch import Launch, LaunchError
from persona_assets.training.model_shape import ModelShape

LOG = "training.log"
"""File name of the child's log, in the model's directory."""

SCRATCH, CHECKPOINTS = "scratch", "checkpoints"
"""Folders of an unfinished training."""


class Trainer:
    """Fine-tuning of a base model.

    Args:
        base_model: Path (GGUF file or transformers directory), name in `weights.MODELS`, or id on
            the model hub: `owner/name`, optionally `owner/name@revision`.
        cache_dir: Folder of downloads and dequantized weights.
        hyper: Hyper-parameters.
        launch: Processes.
        checkpointing: Interval of the checkpoints.
        evaluations: Number of evaluations, where there are rows to evaluate.
        device_memory: Bytes of each device; None to ask the machine.
    """

    def __init__(
        self,
        base_model: str,
        cache_dir: Path,
        hyper: Hyperparameters,
        launch: Launch = Launch(),  # noqa: B008 - a frozen value
        *,
        checkpointing: Checkpointing = Checkpointing(),  # noqa: B008
        evaluations: int = 10,
        device_memory: int | None = None,
    ) -> None:
        self.base_model = base_model
        self.cache_dir = cache_dir
        self.hyper = hyper
        self.launch = launch
        self.checkpointing = checkpointing
        self.evaluations = evaluations
        self.device_memory = device_memory

    @classmethod
    def of(cls, training: Training, cache_dir: Path) -> "Trainer":
        """Return the trainer that the settings describe.

        Raises:
            SettingsError: The configuration of accelerate cannot be used.
        """
        memory = training.device_gib
        try:
            launch = Launch.of(training.accelerate_config, training.processes)
        except LaunchError as error:
            raise SettingsError(str(error)) from None
        return cls(
            training.base_model,
            cache_dir,
            training.hyper,
            launch,
            checkpointing=Checkpointing(
                seconds=training.checkpoint_seconds, steps=training.checkpoint_steps
            ),
            evaluations=training.evaluations,
            device_memory=None if memory is None else int(memory * (1 << 30)),
        )

    def train(
        self,
        rows: Sequence[Row],
        folder: Path,
        report: Report,
        *,
        name: str = "model",
        seed: int | None = None,
        evaluation: Sequence[Row] = (),
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> TrainedModel:
        """Train a model, or return the model in `folder` that has the same inputs.

        The inputs are the rows, the base model and the hyper-parameters. A training with the same
        inputs in another process is waited for.

        Args:
            rows: Rows to train on.
            folder: Folder of models; each appears there once it is complete.
            report: Called after each optimizer step and each evaluation.
            name: Name of the training, such as its size: an unfinished training of this name with
                other inputs is removed.
            seed: Seed; None for that of the hyper-parameters.
            evaluation: Rows of the evaluation loss.
            tell: Called with sentences on memory, disk and a checkpoint.

        Raises:
            RoomError: Memory or disk do not suffice; no work was started.
            TrainingError: The process failed; its log and its checkpoints remain in
                `.<name>.<inputs>.partial`.
            ValueError: `rows` is empty, or a row is also in `evaluation`.
        """
        if not rows:
            raise ValueError("there are no rows to train on")
        if shared := {row["problem"] for row in rows} & {row["problem"] for row in evaluation}:
            raise ValueError(f"{len(shared)} problems are trained on and evaluated")
        hyper = self.hyper if seed is None else self.hyper.model_copy(update={"seed": seed})
        given, folder = folder, folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        shape = base_model_shape(self.base_model, self.cache_dir)
        if not any(folder.glob(f"*/{MANIFEST}")):
            # No model can be of these inputs: before gigabytes are fetched in vain.
            self._require_memory(shape)
        base = fetch_base_model(self.base_model, self.cache_dir)
        base_sha256 = model_sha256(base)
        inputs = inputs_hash(rows, base_sha256, hyper, evaluation)
        # The file of the lock remains: another process may be about to open it.
        with FileLock(folder / f".{inputs[:DIGITS]}.lock"):
            if (trained := find_model(folder, inputs)) is not None:
                _remove_scratch(trained.path.parent)
                return replace(trained, path=given / trained.path.relative_to(folder))
            tell(self._require_memory(shape))
            partial = _partial_folder(folder, name, inputs)
            job = self._write_job(
                rows, evaluation, partial, base.absolute(), base_sha256, inputs, hyper
            )
            if shape is not None:
                need = check_disk(
                    shape,
                    self.hyper,
                    folder,
                    checkpoints=self.checkpointing.enabled,
                    examples=job.examples.stat().st_size,
                    held=folder_bytes(partial),
                )
                tell(f"at most {need / 1e9:.1f} GB of disk for checkpoints and weights")
            outcome = TrainingOutcome(report, tell)
            config = job.scratch / "job.json"
            with closing(
                run_training(self.launch.command, config, job.output, partial / LOG)
            ) as messages:
                for message in messages:
                    outcome.add(message)
            model = outcome.model(job, rows, shape)
            model.write_manifest(partial, self.base_model)
            replace_folder(partial, folder / inputs[:DIGITS])
            # Last: a kill during the removal leaves a complete model, not a damaged checkpoint.
            _remove_scratch(folder / inputs[:DIGITS])
        return replace(model, path=given / inputs[:DIGITS] / model.path.name)

    def _require_memory(self, shape: ModelShape | None) -> str:
        """Return the memory that a training needs as a sentence; refuse one that cannot fit."""
        if shape is None:
            return f"the memory of {self.base_model} is not estimated: its layers have another form"
        devices = Devices.here(self.device_memory)
        need = check_devices(shape, self.hyper, self.launch, devices)
        parts = ", ".join(
            f"{part} {getattr(need, part) / 1e9:.1f}"
            for part in ("weights", "gradients", "optimizer", "copies", "activations", "loss")
        )
        kind = "GPU" if devices.on_gpu else "processor"
        return (
            f"{shape.parameters:,} parameters need about {need.total / 1e9:.1f} GB in each of "
            f"{self.launch.processes} processes on a {kind} ({parts})"
        )

    def _write_job(
        self,
        rows: Sequence[Row],
        evaluation: Sequence[Row],
        partial: Path,
        base: Path,
        base_sha256: str,
        inputs: str,
        hyper: Hyperparameters,
    ) -> Job:
        scratch, checkpoints = (partial / name for name in (SCRATCH, CHECKPOINTS))
        shutil.rmtree(scratch, ignore_errors=True)
        for path in (scratch, checkpoints):
            path.mkdir(parents=True, exist_ok=True)
        job = Job(
            base=base,
            base_sha256=base_sha256,
            examples=scratch / "examples.jsonl",
            evaluation=scratch / "evaluation.jsonl" if evaluation else None,
            evaluations=self.evaluations,
            cache_dir=self.cache_dir.absolute(),
            output=partial / ("model.gguf" if base.is_file() else "model"),
            scratch=scratch,
            inputs=inputs,
            checkpoints=checkpoints,
            checkpointing=self.checkpointing,
            hyper=hyper,
        )
        job.examples.write_bytes(b"".join(example_lines(rows)))
        if job.evaluation is not None:
            job.evaluation.write_bytes(b"".join(example_lines(evaluation)))
        (scratch / "job.json").write_text(job.model_dump_json(indent=1))
        return job


def _remove_scratch(folder: Path) -> None:
    for name in (SCRATCH, CHECKPOINTS):
        shutil.rmtree(folder / name, ignore_errors=True)


def _partial_folder(folder: Path, name: str, inputs: str) -> Path:
    """Return the folder of an unfinished training, and remove those of the name's other inputs."""
    ending = f".{inputs[:DIGITS]}.partial"
    for other in folder.glob(f".{name}.*.partial"):
        if not other.name.endswith(ending):
            shutil.rmtree(other)
    # That of another size with the same inputs serves as well.
    return next(folder.glob(f".*{ending}"), folder / f".{name}{ending}")
