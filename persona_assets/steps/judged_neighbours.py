"""Neighbours of forbidden problems on which neither words nor vectors decide, and a judge does.

A problem that is told anew, with numbers in words or in a frame with numbers of its own, is a
neighbour of the known one, and so are problems on the same matter: a judge reads both.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from persona_assets.ids import content_id
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import COMPLETION_COLUMNS, Complete, PromptRow, run_prompt
from persona_assets.steps import math_data
from persona_assets.steps.contamination import BY_JUDGE, UNJUDGED, Containment
from persona_assets.steps.neighbours import ProblemVectors, nearest
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "1"

PROMPT = "same_problem"
"""Name of the judge's prompt."""

MOST = 3
"""Most neighbours of a problem that are judged, the nearest ones: of problems told anew, nearly all
are nearest to the problem they retell."""

NEIGHBOURS = pl.Schema(
    {
        "pair_id": pl.String(),
        "sample_id": pl.String(),
        "benchmark": pl.String(),
        "problem_id": pl.String(),
        "problem": pl.String(),
        "known": pl.String(),
        "cosine": pl.Float64(),
        "share": pl.Float64(),
    }
)
"""Columns of a pair: the problem of a sample, a known problem that is forbidden, their cosine, and
the share of the known problem's tokens that occur in the other."""

VERDICTS = pl.Schema(
    {**NEIGHBOURS, "same": pl.Boolean(), "reason": pl.String(), **COMPLETION_COLUMNS}
)
"""Columns of a judged pair. In tables of earlier versions `same` is null where the judge gave no
usable answer."""


def build_problem_neighbours(
    solutions: pl.DataFrame,
    forbidden: pl.DataFrame,
    vectors: ProblemVectors,
    cosine: float,
    *,
    with_test: bool = True,
) -> StepResult:
    """Pair problems with their nearest forbidden problems, where nothing else decides.

    Args:
        solutions: Rows of `math_solutions` of all shards.
        forbidden: Benchmark problems, columns of `contamination.PROBLEMS`. For problems that are
            not held out, the held-out ones are forbidden, too.
        vectors: Vectors of all of them.
        cosine: Cosine above which a problem is a neighbour.
        with_test: False to pair training problems alone.
    """
    both = pl.concat([forbidden, math_data.held_out_problems(solutions)])
    found: list[Mapping[str, object]] = []
    for chosen, apart in (
        (solutions.filter(~pl.col("held_out"), solver="assistant"), both),
        (solutions.filter("held_out") if with_test else solutions.clear(), forbidden),
    ):
        problems = chosen.unique("sample_id", keep="first", maintain_order=True)
        contained = math_data.contained_problems(problems, apart, vectors)
        is_open = pl.Series([each is None for each in contained], dtype=pl.Boolean)
        found += _pairs(problems.filter(is_open), apart, vectors, cosine)
    return StepResult(typed_frame(found, NEIGHBOURS))


def build_judged_neighbours(
    neighbours: pl.DataFrame, prompt: Prompt, complete: Complete
) -> StepResult:
    """Ask a judge of each pair whether both are the same problem.

    Args:
        neighbours: Columns of NEIGHBOURS.
        prompt: Prompt `same_problem`.
        complete: Chat model of the judge.

    Returns:
        Pairs with a verdict; a pair without a usable answer is dropped with the reason.
    """
    rows = [
        PromptRow(row["pair_id"], row, {"known": row["known"], "new": row["problem"]})
        for row in neighbours.iter_rows(named=True)
    ]
    results, failed = run_prompt(prompt, rows, complete)
    judged = [
        {
            **result.row.source,
            "same": result.value["same"] == "yes",
            "reason": result.value["reason"],
            **result.completion,
        }
        for result in results
    ]
    return StepResult(
        typed_frame(judged, VERDICTS), quarantine("judged_neighbours", failed), len(neighbours)
    )


def judged_containments(neighbours: pl.DataFrame, verdicts: pl.DataFrame) -> dict[str, Containment]:
    """Return the forbidden problem in each problem by a judge's verdict, by sample id.

    A pair without a verdict counts where no other pair of the problem is the same: nothing passes
    for lack of an answer.

    Args:
        neighbours: Columns of NEIGHBOURS.
        verdicts: Columns of VERDICTS.
    """
    unjudged = neighbours.join(verdicts, on="pair_id", how="anti")
    verdicts = pl.concat([verdicts, unjudged], how="diagonal")
    # Same ones first, and the nearest of these.
    ranked = verdicts.filter(pl.col("same").is_null() | pl.col("same")).sort(
        "same", "cosine", descending=True, nulls_last=True
    )
    return {
        row["sample_id"]: Containment(
            row["benchmark"],
            row["problem_id"],
            row["share"],
            BY_JUDGE if row["same"] else UNJUDGED,
            row["cosine"],
        )
        for row in ranked.unique("sample_id", keep="first", maintain_order=True).iter_rows(
            named=True
        )
    }


def _pairs(
    problems: pl.DataFrame, apart: pl.DataFrame, vectors: ProblemVectors, cosine: float
) -> Sequence[Mapping[str, object]]:
    texts = dict(problems.select("sample_id", "problem").iter_rows())
    return [
        {
            "pair_id": content_id("neighbours", row_id, found.benchmark, found.problem_id),
            "sample_id": row_id,
            "benchmark": found.benchmark,
            "problem_id": found.problem_id,
            "problem": texts[row_id],
            "known": found.problem,
            "cosine": found.cosine,
            "share": found.share,
        }
        for row_id, near in nearest(problems, apart, vectors, cosine, MOST).items()
        for found in near
    ]
