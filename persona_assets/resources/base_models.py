"""Base models on this disk: a path, an embedded model, or a repository of the model hub."""

import json
import re
from pathlib import Path

from persona_assets.local_models import weights
from persona_assets.training.model_shape import ModelShape

HUB_ID = re.compile(r"(?P<name>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w./-]+))?")


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


def base_model_shape(base_model: str, cache_dir: Path) -> ModelShape | None:
    """Return the shape of a base model; of one on the hub, its configuration alone is fetched.

    Args:
        base_model: As for `Trainer`.
        cache_dir: Folder of downloads.

    Returns:
        None for a family of models whose layers have another shape.
    """
    hub_id = HUB_ID.fullmatch(base_model)
    is_local = base_model in weights.MODELS or Path(base_model).expanduser().exists()
    if is_local or hub_id is None:
        return ModelShape.from_path(fetch_base_model(base_model, cache_dir))
    from huggingface_hub import hf_hub_download  # pyright: ignore[reportUnknownVariableType]

    config = hf_hub_download(
        hub_id["name"],
        "config.json",
        revision=hub_id["revision"],
        cache_dir=cache_dir / "hub",
    )
    return ModelShape.from_config(json.loads(Path(config).read_text()))
