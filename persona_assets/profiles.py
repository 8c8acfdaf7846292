"""Profiles: named sets of defaults for settings.py.

`paper` holds the constants of arXiv 2406.20094, each with its section. Where the paper is silent,
the value is ours and its comment starts with "Silent". Its models are going out of service:
`retired_models.py` has the dates. `current` replaces them by models of today and keeps the rest.
`demo` is for a small embedded model on two cores: few-shot prompts (zero-shot, the paper's mode, is
unusable below about a billion parameters) and limits under which the sample corpus takes at most
`DEMO_CALLS` model calls.
"""

from typing import Any

DEMO_CALLS = 220
"""Maximum number of model calls of the profile `demo` on the sample corpus."""

PAPER: dict[str, Any] = {
    "data_dir": "data/project",
    "texts_per_shard": None,
    # Silent: the length at which a long text is cut.
    "text_chars": 8_000,
    # Section 2.1 names these four. Silent: the number of perspectives per text.
    "perspectives": ("reads", "writes", "likes", "dislikes"),
    "perspectives_per_text": 1,
    # Silent: relations per persona and personas per round of section 2.2.
    "relations_per_persona": 3,
    "personas_per_hop": None,
    # Section 2.3: MinHash over 1-grams at 0.9. `auto` uses the exact join, which finds every pair
    # above the threshold instead of most.
    "lexical_method": "auto",
    "lexical_threshold": "9/10",
    # Section 2.3: cosine above 0.9 with text-embedding-3-small; section 4.1.2: 512 dimensions.
    "semantic_threshold": 0.9,
    "embedder": {"model": "text-embedding-3-small"},
    "embedding_dimensions": 512,
    # Section 4.1.2: GPT-4 writes; gpt-4o solves, by prose and by program; gpt-4-turbo solves again.
    "writer": {"model": "gpt-4", "structured_output": "none"},
    "solver": {"model": "gpt-4o"},
    "second_solver": {"model": "gpt-4-turbo"},
    "judge": {"model": "gpt-4-turbo-preview"},
    # Section 4.1.2: greedy decoding at test time. Silent: the server of the tuned model.
    "evaluation": {"model": "tuned", "sampling": {"temperature": 0.0}},
    # Silent: the share of unusable answers above which a table fails.
    "max_quarantine_share": 0.1,
    # Section 4.1.2: 20,000 of 1.09 million problems are held out.
    "held_out_share": 20_000 / 1_090_000,
    # Section 4.1.2: a model judges whether two answers are equal, after simple-evals.
    "equality": "judge",
    # Figure 9: 2^16 to 2^20 training problems.
    "training_sizes": (65_536, 131_072, 262_144, 524_288, 1_048_576),
    # Section 4.1.2 names the base model. Silent: hyper-parameters; see Hyperparameters.
    "training": {"base_model": "Qwen/Qwen2-7B", "hyper": {}},
    "benchmark_limit": None,
    # Figure 10: 100 pairs at each similarity, within 0.01.
    "pair_similarities": (0.4, 0.6, 0.8),
    "pair_tolerance": 0.01,
    "pairs_per_bucket": 100,
}

# OpenAI's models of November 2026, which its deprecations page recommends in place of the paper's.
# They reason before they answer, with the effort that the request sets. Without reasoning a model
# takes a temperature, which the writer needs for variety. With reasoning it takes none, and its
# tokens of reasoning count against the limit of the answer, which is therefore larger.
# Release, and US dollars per million input and output tokens (genai-prices 0.2.3): gpt-6.1-sol
# 2026-09, 2 and 10; gpt-6.1-terra 2026-10-26, 1 and 5; gpt-6-luna 2026-09-22, 0.1 and 0.5;
# text-embedding-3-small 2024-01-25, 0.02.
_REASONING = {
    "temperature": None,
    "max_tokens": None,
    "max_completion_tokens": 16_384,
    "reasoning_effort": "medium",
}
_PLAIN = {"reasoning_effort": "none"}

CURRENT: dict[str, Any] = {
    **PAPER,
    "writer": {"model": "gpt-6.1-sol", "sampling": _PLAIN},
    "solver": {"model": "gpt-6.1-sol", "sampling": _REASONING},
    "second_solver": {"model": "gpt-6.1-terra", "sampling": _REASONING},
    "judge": {"model": "gpt-6-luna", "sampling": _PLAIN},
    # A problem without an answer costs more to solve than to judge.
    "tasks": {"math_problems": {"judge": 1.0}},
}

# A small model that has not ended its answer by then does not end it: the answer is dropped.
_MAX_TOKENS = 256

_SMALL_MODEL: dict[str, Any] = {
    "model": "qwen2.5-coder-0.5b-instruct",
    "embedded": True,
    "strength": "small",
    "concurrency": 2,
    "timeout": 300.0,
    # The model would repeat its mistake, and the number of the demo's calls is limited.
    "reasks": 0,
    "larger_retry": 1,
}
_WRITER = {
    **_SMALL_MODEL,
    "sampling": {"top_p": 0.95, "min_p": 0.05, "repeat_penalty": 1.1, "max_tokens": _MAX_TOKENS},
}
_SOLVER = {**_SMALL_MODEL, "sampling": {"max_tokens": _MAX_TOKENS}}
_SECOND_SOLVER = {
    **_SMALL_MODEL,
    "sampling": {"temperature": 0.5, "top_p": 0.9, "seed": 2, "max_tokens": _MAX_TOKENS},
}

# Without help, a model of this size writes no sound problem. These forms supply structure and
# numbers; the persona supplies the things.
_MATH_FORMS = " | ".join(
    [
        "24 ___ cost 15 each. What do they cost in all?",
        "360 ___ are shared equally among 15 ___. How many does each get?",
        "Of 240 ___ 15 percent are lost. How many are left?",
        "35 ___ are made every day. How many are made in 12 days?",
        "There are 500 ___, and 130 are taken away. How many are left?",
        "16 ___ are sold at 35 each. How much money is that in all?",
        "Of 320 ___ 40 percent are new. How many are new?",
        "Three ___ have 85 ___ each. How many do they have in all?",
        "12 ___ weigh 18 kg each. How much do they weigh in all?",
        "40 ___ take 12 minutes each. How many minutes do they take in all?",
        "Each of 8 ___ needs 25 ___. How many are needed in all?",
    ]
)
_LOGIC_FORMS = " | ".join(
    [
        "The first ___ is heavier than the second, and the third is lighter than the second. "
        "Which is the heaviest?",
        "___ goes 5 km north, 2 km east and 5 km south. How far away is the start?",
        "Three ___ stand in a row. The first is at the left end, and the second is not in the "
        "middle. Which is in the middle?",
        "The first ___ leaves before the second, and the third leaves after the second. "
        "Which leaves last?",
    ]
)


def _few(per_shard: int, shots: int, **variables: str) -> dict[str, Any]:
    mode = {"mode": "persona-few-shot", "shots": shots, "variables": variables}
    return {**mode, "per_shard": per_shard}


DEMO: dict[str, Any] = {
    **PAPER,
    "data_dir": "data/demo",
    "texts_per_shard": 8,
    # The small model writes no other language well.
    "language": "en",
    "text_chars": 1_200,
    # Asked who dislikes a text, a model of this size repeats its demonstrations.
    "perspectives": ("reads", "writes", "likes"),
    "relations_per_persona": 2,
    "personas_per_hop": 1,
    "embedder": {"model": "all-MiniLM-L6-v2", "embedded": True},
    "embedding_dimensions": None,
    "writer": _WRITER,
    "solver": _SOLVER,
    "second_solver": _SECOND_SOLVER,
    "judge": _SOLVER,
    "evaluation": {**_SMALL_MODEL, "model": "tuned", "sampling": {"max_tokens": _MAX_TOKENS}},
    "max_quarantine_share": 0.8,
    "max_rejected_share": 0.8,
    "prompting": {
        "text_to_persona": {"mode": "few-shot", "shots": 3},
        "persona_to_persona": {"mode": "persona-few-shot", "shots": 3},
        "math_solution": {"mode": "few-shot", "shots": 2},
        "math_program": {"mode": "few-shot", "shots": 2},
    },
    "tasks": {
        "math_problems": _few(8, shots=4, focus=_MATH_FORMS),
        "logic_problems": _few(2, shots=3, focus=_LOGIC_FORMS),
        "instructions": _few(2, shots=3),
        "knowledge_texts": _few(2, shots=1, length="60 to 80 words"),
        "game_npcs": _few(2, shots=2, world="harbour", length="one sentence"),
        "tools": _few(2, shots=2),
        "tool_implementations": _few(1, shots=2),
        "replies": _few(1, shots=2, length="one or two sentences"),
        "conversations": _few(1, shots=2, length="one or two sentences"),
        "reading_materials": _few(1, shots=1, length="60 to 80 words"),
        "persona_profiles": _few(1, shots=1, length="one short sentence"),
        "reactions": _few(4, shots=5),
        # Six lines that answer each other, and a proof, are beyond a model of this size.
        "dialogues": {"share": 0.0},
        "logic_solutions": {"share": 0.0},
    },
    # A quarter, not the paper's 2 %, which would hold out none of 24 problems.
    "held_out_share": 0.25,
    "equality": "math_verify",
    "training_sizes": (8, 16),
    "training": {
        "base_model": "smollm2-135m-instruct",
        "hyper": {
            "learning_rate": 5e-5,
            "epochs": 2,
            "batch_size": 4,
            "gradient_accumulation": 1,
            "max_tokens": 384,
            "bf16": False,
            "gradient_checkpointing": False,
            "packing": False,
        },
    },
    "benchmark_limit": 6,
    "pair_tolerance": 0.03,
    "pairs_per_bucket": 2,
}

PROFILES: dict[str, dict[str, Any]] = {"paper": PAPER, "current": CURRENT, "demo": DEMO}
