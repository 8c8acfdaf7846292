"""Similarity of problems by the similarity of their personas (section 4.1.2, figure 10)."""

from typing import Any

import polars as pl

from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import Complete, PromptRow, run_prompt
from persona_assets.steps.hub import Embed
from persona_assets.steps.persona_pairs import PAIRS
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "1"

REPORT = pl.Schema(
    {
        "panel": pl.String(),
        **PAIRS,
        "left_problem": pl.String(),
        "right_problem": pl.String(),
        "problem_similarity": pl.Float64(),
    }
)


def build_diversity_report(
    pairs: pl.DataFrame, panels: dict[str, Prompt], complete: Complete, embed: Embed
) -> StepResult:
    """Write a problem for each persona and panel, and compare the two problems of each pair.

    Args:
        pairs: Table of the schema PAIRS.
        panels: Prompt by panel: without a focus, and with a focus on finance and probability. A
            persona is asked once per panel, in however many pairs it is.
        complete: Chat model.
        embed: Embedding model.

    Returns:
        One row per panel and pair; a pair that lacks a problem is dropped with the reason.
    """
    personas = {
        **dict(pairs.select("left_id", "left").iter_rows()),
        **dict(pairs.select("right_id", "right").iter_rows()),
    }
    rows: list[dict[str, Any]] = []
    dropped: list[tuple[str, str]] = []
    for panel, prompt in panels.items():
        prompt_rows = [
            PromptRow(row_id, {}, {"persona": text}) for row_id, text in personas.items()
        ]
        results, failed = run_prompt(prompt, prompt_rows, complete)
        reasons = dict(failed)
        problems = {result.row.row_id: str(result.value["problem"]) for result in results}
        vectors = dict(zip(problems, embed(list(problems.values())), strict=True))
        for pair in pairs.iter_rows(named=True):
            left, right = pair["left_id"], pair["right_id"]
            missing = reasons.get(left) or reasons.get(right)
            if missing:
                dropped.append((pair["pair_id"], f"panel {panel[0]}, {missing}"))
                continue
            rows.append(
                {
                    "panel": panel,
                    **pair,
                    "left_problem": problems[left],
                    "right_problem": problems[right],
                    # Rounding can take the product of two unit vectors past 1.
                    "problem_similarity": min(1.0, float(vectors[left] @ vectors[right])),
                }
            )
    rows_in = len(pairs) * len(panels)
    return StepResult(typed_frame(rows, REPORT), quarantine("diversity_report", dropped), rows_in)


def quartiles_markdown(table: pl.DataFrame) -> str:
    """Format a table of figures as Markdown."""
    head = f"| {' | '.join(table.columns)} |\n|{'---|' * table.width}"
    cells = (
        " | ".join(f"{v:.2f}" if isinstance(v, float) else str(v) for v in row)
        for row in table.iter_rows()
    )
    return "\n".join([head, *(f"| {row} |" for row in cells)])


def quartiles(report: pl.DataFrame) -> pl.DataFrame:
    """Count pairs and compute quartiles of problem similarity by panel and bucket (figure 10)."""
    value = pl.col("problem_similarity")
    return (
        report.group_by("panel", "bucket")
        .agg(
            pairs=pl.len(),
            q1=value.quantile(0.25, "linear"),
            median=value.median(),
            q3=value.quantile(0.75, "linear"),
        )
        .sort("panel", "bucket")
    )
