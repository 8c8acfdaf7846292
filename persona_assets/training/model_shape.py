"""Sizes of a decoder with gated feed-forward layers, read from its configuration."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
"""Families of models whose layers have these shapes, by transformers' `model_type`."""


@dataclass(frozen=True)
class ModelShape:
    """Sizes from which parameters, memory and arithmetic follow.

    Attributes:
        layers: Number of layers.
        hidden: Width of the residual stream.
        feed_forward: Width of the gated feed-forward layer.
        heads: Number of query heads.
        kv_heads: Number of key and value heads.
        head_size: Width of a head.
        vocabulary: Number of tokens.
        is_tied: True if embedding and head share their weights.
        has_biases: True if queries, keys and values have biases.
        has_head_norms: True if queries and keys are normalised per head.

    Example:
        >>> QWEN2_7B.parameters
        7615616512
    """

    layers: int
    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    is_tied: bool = False
    has_biases: bool = False
    has_head_norms: bool = False

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ModelShape | None":
        """Read a `config.json` of transformers; None for another family of models."""
        if config.get("model_type") not in FAMILIES:
            return None
        heads = config["num_attention_heads"]
        return cls(
            layers=config["num_hidden_layers"],
            hidden=config["hidden_size"],
            feed_forward=config["intermediate_size"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_size=config.get("head_dim") or config["hidden_size"] // heads,
            vocabulary=config["vocab_size"],
            is_tied=bool(config.get("tie_word_embeddings", False)),
            has_biases=config["model_type"] == "qwen2",
            has_head_norms=config["model_type"] == "qwen3",
        )

    @classmethod
    def from_path(cls, path: Path) -> "ModelShape | None":
        """Read the shape of a GGUF file or of a transformers directory; None if it is another."""
        if path.is_file():
            return cls._from_gguf(path)
        try:
            return cls.from_config(json.loads((path / "config.json").read_text()))
        except FileNotFoundError:
            return None

    @classmethod
    def _from_gguf(cls, path: Path) -> "ModelShape | None":
        from gguf import GGUFReader

        reader = GGUFReader(path)

        def value(key: str) -> Any:
            field = reader.get_field(key)
            return None if field is None else field.contents()

        family = value("general.architecture")
        if family not in FAMILIES:
            return None
        sizes = {tensor.name: [int(size) for size in tensor.shape] for tensor in reader.tensors}
        hidden, heads = value(f"{family}.embedding_length"), value(f"{family}.attention.head_count")
        return cls(
            layers=value(f"{family}.block_count"),
            hidden=hidden,
            feed_forward=value(f"{family}.feed_forward_length"),
            heads=heads,
            kv_heads=value(f"{family}.attention.head_count_kv") or heads,
            head_size=value(f"{family}.attention.key_length") or hidden // heads,
            vocabulary=sizes["token_embd.weight"][1],
            is_tied="output.weight" not in sizes,
            has_biases="blk.0.attn_q.bias" in sizes,
            has_head_norms="blk.0.attn_q_norm.weight" in sizes,
        )

    @property
    def kv_width(self) -> int:
        """Width of the keys of all heads, and of the values."""
        return self.kv_heads * self.head_size

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of a layer's matrices: query, key, value, output, gate, up, down."""
        query = self.heads * self.head_size
        up = (self.hidden, self.feed_forward)
        key = (self.hidden, self.kv_width)
        return ((self.hidden, query), key, key, (query, self.hidden), up, up, up[::-1])

    @property
    def layer_parameters(self) -> int:
        """Parameters of a layer."""
        biases = (self.heads * self.head_size + 2 * self.kv_width) * self.has_biases
        norms = 2 * self.hidden + 2 * self.head_size * self.has_head_norms
        return sum(rows * columns for rows, columns in self.matrices) + biases + norms

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embedding, and as many of the head."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """Parameters of the model; shared weights count once."""
        tables = self.embedding_parameters * (1 if self.is_tied else 2)
        return self.layers * self.layer_parameters + tables + self.hidden

    def adapter_parameters(self, rank: int) -> int:
        """Return the parameters of adapters on all matrices of all layers (LoRA, arXiv 2106.09685).

        Args:
            rank: Rank of the adapters.
        """
        return self.layers * sum(rank * (rows + columns) for rows, columns in self.matrices)

    def flops_per_token(self, sequence: int, is_adapted: bool = False) -> float:
        """Return the floating-point operations of training on a token, without recomputation.

        Two operations per weight and token forward, four backward (arXiv 2001.08361, section 2.1);
        12 x layers x width x sequence for attention (arXiv 2204.02311, appendix B). The embedding
        is a look-up. Frozen weights need no gradient: two operations fewer.

        Args:
            sequence: Tokens of a sequence.
            is_adapted: True if only adapters are trained.

        Example:
            >>> round(QWEN2_7B.flops_per_token(2048) / 1e9, 1)
            44.9
        """
        weights = self.layers * self.layer_parameters + self.embedding_parameters
        attention = 12 * self.layers * self.heads * self.head_size * sequence
        return (4 if is_adapted else 6) * weights + attention


QWEN2_7B = ModelShape(28, 3584, 18944, 28, 4, 128, 152_064, has_biases=True)
"""Shape of Qwen2-7B, the base model of section 4.1.2."""
