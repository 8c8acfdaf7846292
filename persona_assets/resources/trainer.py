"""Fine-tuning in a child process, so that the calling process never imports torch.

    trainer = Trainer("smollm2-135m-instruct", Path("data/models"), Hyperparameters(batch_size=4))
    model = trainer.train(rows, Path("data/models/8"), lambda step, steps, loss: None)

The child is `persona_assets.training.finetune`. It reads a `Job` and the examples from files, and
writes reports as JSON lines to standard output and all other output to `training.log`. It ends when
its standard input closes, so that it never outlives its parent.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any, Literal

from persona_assets.local_models import weights
from persona_assets.local_models.weight_sources import sha256_of
from persona_assets.training.job import Hyperparameters as Hyperparameters
from persona_assets.training.job import Job

VERSION = "1"
"""Version of a job's results; after a change, earlier models are trained again."""

LOG = "training.log"
"""File name of the child's log, in the model's directory."""

MANIFEST = "manifest.json"
"""File name of a model's description and the hash of its inputs."""

LOG_TAIL = 3000
"""Characters of the log's end in an error message."""

HUB_ID = re.compile(r"(?P<name>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w./-]+))?")

Report = Callable[[int, int, float], None]
"""Callback after each optimizer step with (step, total number of steps, loss)."""


@dataclass(frozen=True)
class TrainedModel:
    """Fine-tuned model that a server can load.

    Attributes:
        path: GGUF file or transformers directory.
        format: Format of `path`.
        sha256: `model_sha256` of `path`.
        examples: Number of examples that were trained on.
        dropped: (index of the row, reason) of each example that was not trained on.
        steps: Number of optimizer steps.
        first_loss: Loss of the first optimizer step.
        last_loss: Loss of the last optimizer step.
        seconds: Duration of the training.
    """

    path: Path
    format: Literal["gguf", "transformers"]
    sha256: str
    examples: int
    dropped: tuple[tuple[int, str], ...]
    steps: int
    first_loss: float | None
    last_loss: float | None
    seconds: float


class TrainingError(RuntimeError):
    """The training process failed; the message ends with the last lines of its log."""


class Trainer:
    """Fine-tuning of a base model.

    Args:
        base_model: Path (GGUF file or transformers directory), name in `weights.MODELS`, or id on
            the model hub: `owner/name`, optionally `owner/name@revision`.
        cache_dir: Folder of downloads and dequantized weights.
        hyper: Hyper-parameters.
        launcher: Command before the program's module name, for instance
            `["accelerate", "launch", "--num_processes", "8", "-m"]`.
    """

    def __init__(
        self,
        base_model: str,
        cache_dir: Path,
        hyper: Hyperparameters,
        launcher: Sequence[str] = (sys.executable, "-m"),
    ) -> None:
        self.base_model = base_model
        self.cache_dir = cache_dir
        self.hyper = hyper
        self.launcher = tuple(launcher)

    def train(
        self, rows: Sequence[Mapping[str, str]], out_dir: Path, report: Report
    ) -> TrainedModel:
        """Train a model, or return the model in `out_dir` if it has the same inputs.

        The inputs are the rows, the base model and the hyper-parameters.

        Args:
            rows: Mappings with the keys `problem` and `solution`.
            out_dir: Directory of the model, which appears once it is complete.
            report: Called after each optimizer step.

        Raises:
            TrainingError: The process failed; its log remains beside `out_dir`, in
                `.<name>.partial`.
            ValueError: `rows` is empty.
        """
        if not rows:
            raise ValueError("there are no rows to train on")
        base = fetch_base_model(self.base_model, self.cache_dir)
        base_sha256 = model_sha256(base)
        inputs = _inputs_hash(rows, base_sha256, self.hyper)
        if (trained := _load(out_dir, inputs)) is not None:
            return trained

        started = time.monotonic()
        partial = out_dir.absolute().with_name(f".{out_dir.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        scratch = partial / "scratch"
        scratch.mkdir(parents=True)
        name = "model.gguf" if base.is_file() else "model"
        job = Job(
            base=base.absolute(),
            base_sha256=base_sha256,
            examples=scratch / "examples.jsonl",
            cache_dir=self.cache_dir.absolute(),
            output=partial / name,
            scratch=scratch,
            hyper=self.hyper,
        )
        with job.examples.open("wb") as file:
            file.writelines(_examples(rows))
        config = scratch / "job.json"
        config.write_text(job.model_dump_json(indent=1))

        losses: list[float] = []
        dropped: list[tuple[int, str]] = []
        with closing(self._run(config, job.output, partial / LOG)) as messages:
            for message in messages:
                if "loss" in message:
                    losses.append(message["loss"])
                    report(message["step"], message["steps"], message["loss"])
                else:
                    dropped = [(index, reason) for index, reason in message["dropped"]]
        shutil.rmtree(scratch)
        model = TrainedModel(
            path=out_dir / name,
            format="gguf" if base.is_file() else "transformers",
            sha256=model_sha256(job.output),
            examples=len(rows) - len(dropped),
            dropped=tuple(dropped),
            steps=len(losses),
            first_loss=losses[0] if losses else None,
            last_loss=losses[-1] if losses else None,
            seconds=time.monotonic() - started,
        )
        manifest = asdict(model) | {
            "path": name,
            "inputs": inputs,
            "base_model": self.base_model,
            "base_sha256": base_sha256,
            "hyper": self.hyper.model_dump(),
        }
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1))
        _replace(partial, out_dir.absolute())
        return model

    def _run(self, config: Path, output: Path, log: Path) -> Generator[dict[str, Any]]:
        """Run the child and yield its reports."""
        command = [*self.launcher, "persona_assets.training.finetune", str(config)]
        with log.open("wb") as errors, _child(command, errors) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if line.startswith(b'{"'):
                    yield json.loads(line)
            status = child.wait()
        if status != 0 or not output.exists():
            tail = log.read_text(errors="replace")[-LOG_TAIL:].strip()
            raise TrainingError(f"training ended with status {status}; end of {log}:\n{tail}")


@contextmanager
def _child(command: Sequence[str], errors: IO[bytes]) -> Generator[subprocess.Popen[bytes]]:
    """Start a process in a group of its own, and kill the group at the end of the block."""
    package_root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        # By default, waiting threads spin: beside another busy process a step would then take
        # several times as long.
        env={"OMP_WAIT_POLICY": "PASSIVE"}
        | os.environ
        | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": path},
        start_new_session=True,
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        child.wait()


def fetch_base_model(base_model: str, cache_dir: Path) -> Path:
    """Return the base model on this disk, fetched if it is absent.

    Args:
        base_model: As for `Trainer`.
        cache_dir: Folder of downloads.

    Returns:
        A GGUF file or a transformers directory.

    Raises:
        FileNotFoundError: `base_model` is neither a path, a hub id nor an embedded model.
    """
    if base_model in weights.MODELS:
        return weights.fetch(base_model, cache_dir)
    path = Path(base_model).expanduser()
    if path.exists():
        return path
    if hub_id := HUB_ID.fullmatch(base_model):
        from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType]

        return Path(
            snapshot_download(
                hub_id["name"],
                revision=hub_id["revision"],
                cache_dir=cache_dir / "hub",
                allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"],
            )
        )
    raise FileNotFoundError(
        f"base model {base_model!r} is no path, no hub id (owner/name), and none of the embedded "
        f"models {', '.join(weights.MODELS)}"
    )


def model_sha256(path: Path) -> str:
    """Return the sha256 of a file, or of the list of a directory's files with their sha256."""
    if path.is_file():
        return sha256_of(path)
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    listing = "".join(f"{sha256_of(path / name)}  {name}\n" for name in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def _examples(rows: Sequence[Mapping[str, str]]) -> Iterator[bytes]:
    """Yield rows as lines of TRL's conversational prompt-completion format."""
    for row in rows:
        example = {
            "prompt": [{"role": "user", "content": row["problem"]}],
            "completion": [{"role": "assistant", "content": row["solution"]}],
        }
        yield json.dumps(example).encode() + b"\n"


def _inputs_hash(
    rows: Sequence[Mapping[str, str]], base_sha256: str, hyper: Hyperparameters
) -> str:
    digest = hashlib.sha256(f"{VERSION} {base_sha256} {hyper.model_dump_json()}\n".encode())
    for line in _examples(rows):
        digest.update(line)
    return digest.hexdigest()


def _load(out_dir: Path, inputs: str) -> TrainedModel | None:
    """Return the complete and undamaged model of these inputs in `out_dir`, else None."""
    try:
        manifest = json.loads((out_dir / MANIFEST).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if manifest["inputs"] != inputs:
        return None
    path = out_dir / manifest["path"]
    if not path.exists() or model_sha256(path) != manifest["sha256"]:
        return None
    values = {field.name: manifest[field.name] for field in fields(TrainedModel)}
    values |= {"path": path, "dropped": tuple((i, reason) for i, reason in manifest["dropped"])}
    return TrainedModel(**values)


def _replace(source: Path, target: Path) -> None:
    """Replace a directory by another; a crash leaves the old directory, none, or the new one."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    source.rename(target)
    shutil.rmtree(old, ignore_errors=True)
