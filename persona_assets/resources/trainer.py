"""Fine-tuning as a child process: torch never enters the process that asks for a model.

    trainer = Trainer("smollm2-135m-instruct", Path("data/models"), Hyperparameters(batch_size=4))
    model = trainer.train(rows, Path("data/models/8"), lambda step, steps, loss: None)

The child is `persona_assets.training.finetune`. It reads one `Job` and the examples from files,
writes reports as JSON lines to standard output and everything else to `training.log`, and ends when
its standard input closes, so it never outlives its parent.
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
"""Bump when the same job would give another model: earlier models are then trained anew."""

LOG = "training.log"
MANIFEST = "manifest.json"
LOG_TAIL = 3000
HUB_ID = re.compile(r"(?P<name>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w./-]+))?")

Report = Callable[[int, int, float], None]
"""Called after each optimizer step with (step, steps in all, loss)."""


@dataclass(frozen=True)
class TrainedModel:
    """A fine-tuned model that a server can load.

    `path` is a GGUF file or a transformers directory, `sha256` its `model_sha256`. `dropped` holds
    (index into the rows, reason) of the examples that were not trained on, `examples` counts the
    others. Losses are those of the first and the last optimizer step.
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
    """Fine-tunes one base model.

    `base_model` is a path (GGUF file or transformers directory), a name in `weights.MODELS`, or a
    model hub id `owner/name`, optionally `owner/name@revision`. `cache_dir` keeps downloads and
    dequantized weights. `launcher` is the command before the program's module name, for instance
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
        """Train on rows with the keys `problem` and `solution`; `out_dir` appears when complete.

        If `out_dir` already holds the model of the same rows, base model and hyper-parameters, that
        is returned and nothing is trained. Raises `TrainingError` if the process fails (its log
        stays beside `out_dir`, in `.<name>.partial`) and `ValueError` if there are no rows.
        """
        if not rows:
            raise ValueError("there are no rows to train on")
        base = local_base(self.base_model, self.cache_dir)
        base_sha256 = model_sha256(base)
        inputs = _inputs_hash(rows, base_sha256, self.hyper)
        if (earlier := _load(out_dir, inputs)) is not None:
            return earlier

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
        """The child's reports, one by one."""
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
    """A process in a group of its own that does not outlive the block, however the block ends."""
    package_root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        # Threads that wait spin by default, and beside one other busy process a step then takes
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


def local_base(base_model: str, cache_dir: Path) -> Path:
    """The base model on this disk: a GGUF file or a transformers directory, fetched if need be."""
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
    """sha256 of a file, or of the list of a directory's files, each with its sha256."""
    if path.is_file():
        return sha256_of(path)
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    listing = "".join(f"{sha256_of(path / name)}  {name}\n" for name in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def _examples(rows: Sequence[Mapping[str, str]]) -> Iterator[bytes]:
    """Rows as lines of TRL's conversational prompt-completion format."""
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
    """The complete and undamaged model in `out_dir` if it came from these inputs."""
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
    """Rename a directory over another; a crash leaves the old one, none, or the new one."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    source.rename(target)
    shutil.rmtree(old, ignore_errors=True)
