"""Results that the paper reports, as reference rows above one's own (arXiv 2406.20094, v1).

Others measured them, with other models, graders and code: they are no part of any comparison.
"""

import polars as pl

from persona_assets.steps.control_problems import NONE
from persona_assets.storage.step_result import StepResult, typed_frame

VERSION = "1"

SOURCE = "arXiv 2406.20094, {}"
"""Source of a row, with its table or figure."""

OURS = "this project"
"""Source of the models trained here."""

TUNED = "Qwen2-7B, fine-tuned on synthetic problems"
"""The paper's own model."""

PAPER_RESULTS = pl.Schema(
    {
        "source": pl.String(),
        "benchmark": pl.String(),
        "model": pl.String(),
        "examples": pl.Int64(),
        "n": pl.Int64(),
        "accuracy": pl.Float64(),
        "same_grader": pl.Boolean(),
    }
)
"""`examples` is the number of training problems, null for models of others; `n` is approximate for
the synthetic test (11.6 thousand); `same_grader` is false for a figure that the paper took from
another source, whose answers another checker graded, and null for the models trained here."""

FIGURE_9 = {2**16: 0.575, 2**17: 0.610, 2**18: 0.626, 2**19: 0.638, 2**20: 0.649}
"""Accuracy on MATH by number of training problems."""

MATH_PROBLEMS = 5_000
SYNTHETIC_PROBLEMS = 11_600
TRAINED_ON = 1_070_000

_TABLE_1 = {
    "DeepSeek-67B-Chat": 53.2,
    "Phi-3-Mini-4K": 68.3,
    "Yi-1.5-34B-Chat": 70.4,
    "Qwen1.5-72B-Chat": 60.7,
    "Qwen1.5-110B-Chat": 73.0,
    "Qwen2-7B-Instruct": 72.1,
    "Qwen2-72B-Instruct": 77.2,
    "Llama-3-8B-Instruct": 39.8,
    "Llama-3-70B-Instruct": 63.5,
    "gpt-4-turbo-2024-04-09": 88.1,
    "gpt-4o-2024-05-13": 91.2,
    TUNED: 79.4,
}

_TABLE_2 = {
    "gpt-4o-2024-05-13": 76.6,
    "gpt-4-turbo-2024-04-09": 73.4,
    "gpt-4-turbo-0125": 64.5,
    "gpt-4-turbo-1106": 64.3,
    "gpt-4": 52.6,
    "Claude 3.5 Sonnet": 71.1,
    "Claude 3 Opus": 63.8,
    "Gemini Pro 1.5 (May 2024)": 67.7,
    "Gemini Ultra": 53.2,
    "DeepSeek-Coder-V2-Instruct": 75.7,
    "Llama-3-70B-Instruct": 52.8,
    "Qwen2-72B-Instruct": 59.7,
    "Qwen2-7B-Instruct": 49.6,
    TUNED: 64.9,
}

_ANOTHER_GRADER = {
    "gpt-4",
    "Claude 3.5 Sonnet",
    "Gemini Pro 1.5 (May 2024)",
    "Gemini Ultra",
    "DeepSeek-Coder-V2-Instruct",
    "Qwen2-72B-Instruct",
    "Qwen2-7B-Instruct",
}
"""Models of table 2 that the paper marks with an asterisk."""


def build_paper_results(curve: pl.DataFrame) -> StepResult:
    """Put the models trained here below tables 1 and 2 and figure 9 of the paper.

    Args:
        curve: Rows of `scaling_curve`.

    Returns:
        Rows of the schema PAPER_RESULTS; those of this project have the source OURS.
    """
    tables = [("table 1", "synthetic", SYNTHETIC_PROBLEMS, _TABLE_1)]
    tables += [("table 2", "MATH", MATH_PROBLEMS, _TABLE_2)]
    rows = [
        {
            "source": SOURCE.format(table),
            "benchmark": benchmark,
            "model": model,
            "examples": TRAINED_ON if model == TUNED else None,
            "n": n,
            "accuracy": round(percent / 100, 3),
            "same_grader": table == "table 1" or model not in _ANOTHER_GRADER,
        }
        for table, benchmark, n, results in tables
        for model, percent in results.items()
    ]
    rows += [
        {
            "source": SOURCE.format("figure 9"),
            "benchmark": "MATH",
            "model": TUNED,
            "examples": examples,
            "n": MATH_PROBLEMS,
            "accuracy": share,
            "same_grader": True,
        }
        for examples, share in FIGURE_9.items()
    ]
    arm = pl.when(arm=NONE).then(pl.lit(" without personas")).otherwise(pl.lit(""))
    several = curve["seed"].n_unique() > 1
    seed = pl.format(", seed {}", "seed") if several else pl.lit("")
    weights = pl.col("model").str.slice(0, 12)
    ours = curve.drop_nulls("accuracy").select(
        pl.lit(OURS).alias("source"),
        "benchmark",
        pl.format(
            "fine-tuned on {} problems{}{}, weights {}", "examples", arm, seed, weights
        ).alias("model"),
        *("examples", "n", "accuracy"),
        pl.lit(None, pl.Boolean()).alias("same_grader"),
    )
    return StepResult(pl.concat([typed_frame(rows, PAPER_RESULTS), ours]))
