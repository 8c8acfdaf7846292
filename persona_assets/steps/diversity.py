"""How alike are problems made from personas that are more and less alike (section 4.1.2, figure
10).
"""

from collections.abc import Sequence
from typing import Any

import polars as pl

from persona_assets.ids import content_id, uniform
from persona_assets.prompting.prompts import Prompt
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
"""Personas compared with each other: 12.5 million pairs, far more than the figure samples."""


def build_persona_pairs(
    hub: pl.DataFrame,
    embeddings: pl.DataFrame,
    *,
    similarities: Sequence[float],
    tolerance: float,
    per_bucket: int,
) -> StepResult:
    """Pairs of personas at each similarity, give or take the tolerance, drawn by hash.

    A bucket may come out short or empty where the hub holds no such pairs.
    """
    import numpy as np

    from persona_assets.dedup.index.vector_index import to_matrix

    both = hub.join(embeddings, on="persona_id", how="inner", maintain_order="left")
    order = sorted(range(len(both)), key=lambda i: uniform("pairs", both["persona_id"][i]))
    chosen = both[order[:MAX_PERSONAS]]
    ids, personas = chosen["persona_id"].to_list(), chosen["persona"].to_list()
    vectors = to_matrix(chosen["vector"])
    cosines = vectors @ vectors.T if len(ids) else np.empty((0, 0))
    made: list[dict[str, Any]] = []
    for bucket in similarities:
        left, right = np.nonzero(np.triu(np.abs(cosines - bucket) <= tolerance, k=1))
        near = [(int(i), int(j)) for i, j in zip(left, right, strict=True)]
        near.sort(key=lambda pair: uniform("pair", ids[pair[0]], ids[pair[1]]))
        made += [
            {
                "pair_id": content_id("pair", ids[i], ids[j]),
                "bucket": bucket,
                "similarity": float(cosines[i, j]),
                "left_id": ids[i],
                "right_id": ids[j],
                "left": personas[i],
                "right": personas[j],
            }
            for i, j in near[:per_bucket]
        ]
    return StepResult(typed_frame(made, PAIRS))


def build_diversity_report(
    pairs: pl.DataFrame, panels: dict[str, Prompt], complete: Complete, embed: Embed
) -> StepResult:
    """For each panel and pair the two problems that its personas give, and how alike they are.

    `panels` names a prompt each (no focus; finance and probability). A persona is asked once a
    panel however many pairs it is in. A pair of which a problem is missing is dropped with the
    reason.
    """
    personas = {
        **dict(pairs.select("left_id", "left").iter_rows()),
        **dict(pairs.select("right_id", "right").iter_rows()),
    }
    made: list[dict[str, Any]] = []
    dropped: list[tuple[str, str]] = []
    for panel, prompt in panels.items():
        asks = [PromptRow(row_id, {}, {"persona": text}) for row_id, text in personas.items()]
        kept, failed = run_prompt(prompt, asks, complete)
        reasons = dict(failed)
        problems = {k.row.row_id: str(k.value["problem"]) for k in kept}
        vectors = dict(zip(problems, embed(list(problems.values())), strict=True))
        for pair in pairs.iter_rows(named=True):
            left, right = pair["left_id"], pair["right_id"]
            missing = reasons.get(left) or reasons.get(right)
            if missing:
                dropped.append((pair["pair_id"], f"panel {panel[0]}, {missing}"))
                continue
            made.append(
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
    return StepResult(typed_frame(made, REPORT), quarantine("diversity_report", dropped), rows_in)


def short_buckets(pairs: pl.DataFrame, similarities: Sequence[float], per_bucket: int) -> str:
    """Which similarities have fewer pairs than asked for, in words; empty if none has."""
    found = dict(pairs.group_by("bucket").len().iter_rows())
    counts = {bucket: found.get(bucket, 0) for bucket in similarities}
    return ", ".join(f"{b}: {n} of {per_bucket} pairs" for b, n in counts.items() if n < per_bucket)


def quartiles_markdown(table: pl.DataFrame) -> str:
    """A small table of figures in Markdown."""
    head = f"| {' | '.join(table.columns)} |\n|{'---|' * table.width}"
    cells = (
        " | ".join(f"{v:.2f}" if isinstance(v, float) else str(v) for v in row)
        for row in table.iter_rows()
    )
    return "\n".join([head, *(f"| {row} |" for row in cells)])


def quartiles(report: pl.DataFrame) -> pl.DataFrame:
    """Per panel and bucket: number of pairs, lower quartile, median, upper quartile (figure 10)."""
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
