"""Similarity of problems by the similarity of their personas (section 4.1.2, figure 10)."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from persona_assets.ids import content_id, uniform
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import Complete, PromptRow, run_prompt
from persona_assets.steps.hub import Embed
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "1"

PAIRS = pl.Schema(
    {
        "pair_id": pl.String(),
        "bucket": pl.Float64(),
        "similarity": pl.Float64(),
        "left_id": pl.String(),
        "right_id": pl.String(),
        "left": pl.String(),
        "right": pl.String(),
    }
)
REPORT = pl.Schema(
    {
        "panel": pl.String(),
        **PAIRS,
        "left_problem": pl.String(),
        "right_problem": pl.String(),
        "problem_similarity": pl.Float64(),
    }
)
MAX_PERSONAS = 5_000
"""Personas compared with each other: 12.5 million pairs, far more than the figure needs."""


def build_persona_pairs(
    hub: pl.DataFrame,
    embeddings: pl.DataFrame,
    *,
    similarities: Sequence[float],
    tolerance: float,
    per_bucket: int,
) -> StepResult:
    """Draw pairs of personas at each similarity, by hash.

    Args:
        hub: Personas.
        embeddings: Their unit vectors.
        similarities: Cosines of the buckets.
        tolerance: Largest distance of a pair's cosine from its bucket.
        per_bucket: Pairs per bucket; a bucket is short if the sampled personas form fewer.
    """
    import numpy as np

    from persona_assets.dedup.index.vector_index import to_matrix

    embedded = hub.join(embeddings, on="persona_id", how="inner", maintain_order="left")
    order = sorted(range(len(embedded)), key=lambda i: uniform("pairs", embedded["persona_id"][i]))
    chosen = embedded[order[:MAX_PERSONAS]]
    ids, personas = chosen["persona_id"].to_list(), chosen["persona"].to_list()
    vectors = to_matrix(chosen["vector"])
    cosines = vectors @ vectors.T if len(ids) else np.empty((0, 0))
    rows: list[dict[str, Any]] = []
    for bucket in similarities:
        left, right = np.nonzero(np.triu(np.abs(cosines - bucket) <= tolerance, k=1))
        close = [(int(i), int(j)) for i, j in zip(left, right, strict=True)]
        close.sort(key=lambda pair: uniform("pair", ids[pair[0]], ids[pair[1]]))
        rows += [
            {
                "pair_id": content_id("pair", ids[i], ids[j]),
                "bucket": bucket,
                "similarity": float(cosines[i, j]),
                "left_id": ids[i],
                "right_id": ids[j],
                "left": personas[i],
                "right": personas[j],
            }
            for i, j in close[:per_bucket]
        ]
    return StepResult(typed_frame(rows, PAIRS))


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


def short_buckets(pairs: pl.DataFrame, similarities: Sequence[float], per_bucket: int) -> str:
    """List the similarities with fewer pairs than asked for; empty if there are none."""
    counts_by_bucket = dict(pairs.group_by("bucket").len().iter_rows())
    counts = {bucket: counts_by_bucket.get(bucket, 0) for bucket in similarities}
    return ", ".join(f"{b}: {n} of {per_bucket} pairs" for b, n in counts.items() if n < per_bucket)


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
