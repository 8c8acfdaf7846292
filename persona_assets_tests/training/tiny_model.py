"""A random GGUF model of a few thousand weights, for tests of training."""

from pathlib import Path

import numpy as np

LAYERS, HEADS, KV_HEADS, HEAD_SIZE, FEED_FORWARD = 2, 4, 2, 16, 96
HIDDEN = HEADS * HEAD_SIZE
END = "<|im_end|>"
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def write_tiny_gguf(
    path: Path, architecture: str = "llama", template: str | None = TEMPLATE
) -> Path:
    """Write a float32 model with a byte-level tokenizer."""
    from gguf import GGUFWriter, TokenType
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    words = ["ĊĠ", "ĊĊĠ"]
    tokens = [*letters, *words, "<|endoftext|>", "<|im_start|>", END]
    kinds = [TokenType.NORMAL] * (len(tokens) - 3) + [TokenType.CONTROL] * 3
    writer = GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_block_count(LAYERS)
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(HEAD_SIZE)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["Ċ Ġ", "Ċ ĊĠ"])
    writer.add_bos_token_id(tokens.index("<|im_start|>"))
    writer.add_eos_token_id(tokens.index("<|endoftext|>"))
    writer.add_pad_token_id(tokens.index("<|endoftext|>"))
    if template is not None:
        writer.add_chat_template(template)

    random = np.random.default_rng(0)
    keys = KV_HEADS * HEAD_SIZE
    shapes = {
        "attn_norm": (HIDDEN,),
        "attn_q": (HIDDEN, HIDDEN),
        "attn_k": (keys, HIDDEN),
        "attn_v": (keys, HIDDEN),
        "attn_output": (HIDDEN, HIDDEN),
        "ffn_norm": (HIDDEN,),
        "ffn_gate": (FEED_FORWARD, HIDDEN),
        "ffn_up": (FEED_FORWARD, HIDDEN),
        "ffn_down": (HIDDEN, FEED_FORWARD),
    }
    named: dict[str, tuple[int, ...]] = {"token_embd.weight": (len(tokens), HIDDEN)}
    for layer in range(LAYERS):
        named |= {f"blk.{layer}.{name}.weight": shape for name, shape in shapes.items()}
        if architecture == "qwen2":
            named |= {
                f"blk.{layer}.{n}.bias": shapes[n][:1] for n in ("attn_q", "attn_k", "attn_v")
            }
    named["output_norm.weight"] = (HIDDEN,)
    for name, shape in named.items():
        values = random.normal(0.0, 0.1, shape) + (1.0 if "norm" in name else 0.0)
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
