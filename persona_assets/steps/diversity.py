"""Similarity of problems by the similarity of their personas (section 4.1.2, figure 10)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

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


PAPER: Mapping[tuple[str, float], tuple[float, float, float]] = {
    ("a: ", 0.4): (0.21, 0.28, 0.34),
    ("a: ", 0.6): (0.38, 0.45, 0.55),
    ("a: ", 0.8): (0.51, 0.59, 0.68),
    ("b: ", 0.4): (0.36, 0.40, 0.46),
    ("b: ", 0.6): (0.49, 0.56, 0.62),
    ("b: ", 0.8): (0.59, 0.68, 0.76),
    ("c: gpt-4o ", 0.9): (0.61, 0.67, 0.74),
    ("c: gpt-4o-2024-05-13 ", 0.9): (0.61, 0.67, 0.74),
    ("c: gpt-35-turbo", 0.9): (0.57, 0.68, 0.76),
    ("c: gpt-3.5-turbo", 0.9): (0.57, 0.68, 0.76),
}
"""First quartile, median and third quartile on the labels of figure 10, by the beginning of the
panel's name and the bucket: 100 pairs each, vectors of text-embedding-3-small in 512 dimensions."""

PAPER_NOTE = (
    "Columns paper_* are the labels of figure 10 of arXiv 2406.20094: 100 pairs each, "
    "text-embedding-3-small in 512 dimensions. Cosines of another embedding model do not compare."
)
"""Sentence below the figures."""


class Panel(NamedTuple):
    """Panel of the figure: the prompt that writes its problems, and the buckets of its pairs."""

    prompt: Prompt
    buckets: Sequence[float]


def build_diversity_report(
    pairs: pl.DataFrame, panels: Mapping[str, Panel], complete: Complete, embed: Embed
) -> StepResult:
    """Write a problem for each persona and panel, and compare the two problems of each pair.

    Args:
        pairs: Table of the schema PAIRS.
        panels: Panels by name. A persona is asked once per panel, in however many pairs it is.
        complete: Chat model.
        embed: Embedding model.

    Returns:
        One row per panel and pair; a pair that lacks a problem is dropped with the reason.
    """
    rows: list[dict[str, Any]] = []
    dropped: list[tuple[str, str]] = []
    rows_in = 0
    for panel, (prompt, buckets) in panels.items():
        compared = pairs.filter(pl.col("bucket").is_in(list(buckets)))
        rows_in += len(compared)
        personas = {
            **dict(compared.select("left_id", "left").iter_rows()),
            **dict(compared.select("right_id", "right").iter_rows()),
        }
        prompt_rows = [
            PromptRow(row_id, {}, {"persona": text}) for row_id, text in personas.items()
        ]
        results, failed = run_prompt(prompt, prompt_rows, complete)
        reasons = dict(failed)
        problems = {result.row.row_id: str(result.value["problem"]) for result in results}
        vectors = dict(zip(problems, embed(list(problems.values())), strict=True))
        for pair in compared.iter_rows(named=True):
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
    return StepResult(typed_frame(rows, REPORT), quarantine("diversity_report", dropped), rows_in)


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


def paper_quartiles(panels: Iterable[str]) -> dict[tuple[str, float], tuple[float, float, float]]:
    """Return the quartiles of figure 10 for panels that compare the same, by panel and bucket.

    A panel of two models has the paper's figures if its model is one of the paper's.

    Example:
        >>> paper_quartiles(["a: no focus", "c: some-model (writer)"])["a: no focus", 0.4]
        (0.21, 0.28, 0.34)
    """
    return {
        (panel, bucket): found
        for panel in panels
        for (name, bucket), found in PAPER.items()
        if panel.startswith(name)
    }


def beside_paper(report: pl.DataFrame) -> pl.DataFrame:
    """Return the quartiles of a report, with those of the paper in columns of their own."""
    ours = quartiles(report)
    known = paper_quartiles(ours["panel"].unique())
    columns = {f"paper_{name}": pl.Float64() for name in ("q1", "median", "q3")}
    schema = {"panel": pl.String(), "bucket": pl.Float64(), **columns}
    papers = pl.DataFrame([(*key, *found) for key, found in known.items()], schema, orient="row")
    return ours.join(papers, on=["panel", "bucket"], how="left", maintain_order="left")


def quartiles_markdown(table: pl.DataFrame) -> str:
    """Format a table of figures as Markdown; nulls are empty."""
    head = f"| {' | '.join(table.columns)} |\n|{'---|' * table.width}"
    return "\n".join([head, *(f"| {' | '.join(map(_cell, row))} |" for row in table.iter_rows())])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
