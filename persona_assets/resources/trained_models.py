"""Trained models on disk: a directory each, named by the hash of its inputs, with a manifest.

    models/fine_tuned_model/9f2c.../model.gguf
    models/fine_tuned_model/9f2c.../manifest.json
    models/fine_tuned_model/9f2c.../training.log
    models/fine_tuned_model/.16.9f2c....partial/     a training that is not finished

Several training sizes may share a model. Directories of earlier versions, named by their training
size, are found by their manifests.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from persona_assets.storage.files import sha256_listing, sha256_of

MANIFEST = "manifest.json"
"""File name of a model's description and the hash of its inputs."""

DIGITS = 16
"""Hexadecimal digits of the inputs' hash in the name of a directory."""

CurvePoint = Mapping[str, Any]
"""Point of a loss curve: `step`, `seconds`, and `loss`, `learning_rate`, `tokens`, or
`evaluation_loss`."""


@dataclass(frozen=True)
class TrainedModel:
    """Fine-tuned model that a server can load, and how it was made.

    A model of an earlier version has no value for fields that came later.

    Attributes:
        path: GGUF file or transformers directory.
        format: Format of `path`.
        sha256: `model_sha256` of `path`.
        examples: Number of examples that were trained on.
        dropped: (index of the row, reason) of each example that was not trained on.
        steps: Number of optimizer steps.
        first_loss: Loss of the first optimizer step.
        last_loss: Loss of the last optimizer step.
        seconds: Duration of the training, kills and pauses left aside.
        inputs: Hash of examples, base model and hyper-parameters.
        base_sha256: Hash of the base model.
        rows_sha256: Hash of the ids of the rows, in their order.
        hyper: Hyper-parameters.
        libraries: Version of each library that decides weights.
        device: Name of the device.
        processes: Number of processes.
        tokens: Number of tokens seen, padding left aside.
        flops_per_second: Operations per second over all devices, recomputation left aside.
        utilization: Share of the devices' peak (MFU); None for a device of unknown peak.
        evaluation_examples: Number of examples of the evaluation loss.
        evaluation_loss: Loss on them after the last step.
        curve: Loss curve.
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
    inputs: str | None = None
    base_sha256: str | None = None
    rows_sha256: str | None = None
    hyper: Mapping[str, Any] | None = None
    libraries: Mapping[str, str] | None = None
    device: str | None = None
    processes: int | None = None
    tokens: int | None = None
    flops_per_second: float | None = None
    utilization: float | None = None
    evaluation_examples: int | None = None
    evaluation_loss: float | None = None
    curve: tuple[CurvePoint, ...] = field(default=(), repr=False)

    def write_manifest(self, folder: Path, base_model: str) -> None:
        """Write the description of a model into its directory.

        Args:
            folder: Directory of the model.
            base_model: Name of the base model.
        """
        manifest = asdict(self) | {"path": self.path.name, "base_model": base_model}
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))

    @classmethod
    def read(cls, folder: Path, inputs: str) -> "TrainedModel | None":
        """Return the model in a directory if it is of these inputs and undamaged, else None."""
        try:
            manifest = json.loads((folder / MANIFEST).read_text())
        except (OSError, ValueError):
            return None
        if manifest.get("inputs") != inputs:
            return None
        path = folder / manifest["path"]
        if not path.exists() or model_sha256(path) != manifest["sha256"]:
            return None
        values = {each.name: manifest[each.name] for each in fields(cls) if each.name in manifest}
        dropped = tuple((index, reason) for index, reason in manifest["dropped"])
        curve = tuple(manifest.get("curve", ()))
        return cls(**values | {"path": path, "dropped": dropped, "curve": curve})


def find_model(folder: Path, inputs: str) -> TrainedModel | None:
    """Return the undamaged model of these inputs below a folder, else None.

    Args:
        folder: Folder of models.
        inputs: Hash of examples, base model and hyper-parameters.
    """
    named = folder / inputs[:DIGITS]
    others = sorted(path.parent for path in folder.glob(f"[!.]*/{MANIFEST}"))
    found = (TrainedModel.read(path, inputs) for path in dict.fromkeys([named, *others]))
    return next((model for model in found if model is not None), None)


def remove_model(model: Path, used: Iterable[Path]) -> bool:
    """Remove the directory of a model unless another training size uses it.

    Args:
        model: Path of a model, in a directory of its own.
        used: Paths of the models in use.

    Returns:
        True if there was something to remove.
    """
    folder = model.parent
    if folder in {path.parent for path in used} or not (folder / MANIFEST).is_file():
        return False
    shutil.rmtree(folder)
    return True


def model_sha256(path: Path) -> str:
    """Return the sha256 of a file, or of the list of a directory's files with their sha256."""
    if path.is_file():
        return sha256_of(path)
    return hashlib.sha256(sha256_listing(path).encode()).hexdigest()
