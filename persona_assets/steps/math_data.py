"""Training and test sets from math problems (section 4.1.2)."""

import re
from typing import Any

import polars as pl

from persona_assets.ids import solution_id, uniform
from persona_assets.languages import UNKNOWN
from persona_assets.postprocess import RunProgram
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import COMPLETION_COLUMNS, Complete, PromptRow, run_prompt
from persona_assets.rules.protection import DROP, Protection
from persona_assets.steps import contamination
from persona_assets.steps.answers import extract_final_answer, extract_program
from persona_assets.steps.grading import Equal, agreement
from persona_assets.steps.verdicts import REPAIRS, Verdicts, count_repairs
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = f"3.{contamination.VERSION}"
"""Version of the training and test sets."""

SOLUTIONS_VERSION = "3"
"""Version of the solutions."""

_TOKEN = re.compile(r"\w+|[^\w\s]")

SOLVERS = ("assistant", "program", "second")
"""Solvers (section 4.1.2): one model as assistant and by program of thought, and a second model."""

SOLUTIONS = pl.Schema(
    {
        "solution_id": pl.String(),
        "sample_id": pl.String(),
        "solver": pl.String(),
        "held_out": pl.Boolean(),
        "problem": pl.String(),
        "solution": pl.String(),
        "answer": pl.String(),
        **REPAIRS,
        "licence": pl.String(),
        "language": pl.String(),
        **COMPLETION_COLUMNS,
    }
)
TRAIN = pl.Schema(
    {
        "sample_id": pl.String(),
        "problem": pl.String(),
        "solution": pl.String(),
        "answer": pl.String(),
        "licence": pl.String(),
        "language": pl.String(),
    }
)
TEST = pl.Schema(
    {
        "sample_id": pl.String(),
        "problem": pl.String(),
        "answer": pl.String(),
        "agreeing": pl.Int64(),
        "licence": pl.String(),
        "language": pl.String(),
    }
)

HELD_OUT = "held_out"
"""Name of the held-out problems among those that no training problem may contain."""

PAIRS = pl.Schema(
    {
        "problem": pl.String(),
        "benchmark": pl.String(),
        "contained": pl.String(),
        "share": pl.Float64(),
        "how": pl.String(),
    }
)
"""Columns of the pairs of a dropped problem and the problem that it contains."""


def build_math_solutions(
    problems: pl.DataFrame,
    prompts: dict[str, Prompt],
    complete: Complete,
    run_program: RunProgram,
    *,
    held_out_share: float,
    draw_by: str = "problem",
    protection: Protection = DROP,
) -> StepResult:
    """Ask for one solution per problem, and three per held-out problem.

    Args:
        problems: Rows of `unique_math_problems`.
        prompts: Prompt by solver.
        complete: Chat model.
        run_program: Sandbox for the program solver.
        held_out_share: Share of the shard's problems held out for testing: those with the smallest
            hash, rounded.
        draw_by: Column whose hash counts.
        protection: What is done about personal data.

    Returns:
        Solutions with a final answer. A solution without one and a failed program are dropped.
    """
    rows = list(problems.iter_rows(named=True))
    order = sorted(rows, key=lambda row: uniform("held_out", row[draw_by]))
    held_out = {row["sample_id"] for row in order[: round(held_out_share * len(order))]}
    made: list[dict[str, Any]] = []
    dropped: list[tuple[str, str]] = []
    asked = 0
    for solver in SOLVERS:
        prompt_rows = [
            PromptRow(solution_id(row["sample_id"], solver), row, {"problem": row["problem"]})
            for row in rows
            if solver == "assistant" or row["sample_id"] in held_out
        ]
        asked += len(prompt_rows)
        results, failed = run_prompt(prompts[solver], prompt_rows, complete)
        dropped += [(row_id, f"{solver}_{reason}") for row_id, reason in failed]
        kind = "program" if solver == "program" else "solution"
        verdicts = Verdicts(prompts[solver], protection, kind=kind)
        for result in results:
            solution = str(next(iter(result.value.values())))
            verdict = verdicts.of(result.value, result.row.source["problem"])
            if verdict.reason is not None:
                dropped.append((result.row.row_id, f"{solver}_{verdict.reason}"))
                continue
            # As the model wrote it: a repair changes no answer.
            answer, reason = _final(solver, solution, run_program)
            if answer is None:
                dropped.append((result.row.row_id, f"{solver}_{reason}"))
                continue
            made.append(
                {
                    "solution_id": result.row.row_id,
                    "sample_id": result.row.source["sample_id"],
                    "solver": solver,
                    "held_out": result.row.source["sample_id"] in held_out,
                    "problem": result.row.source["problem"],
                    "solution": str(next(iter(verdict.value.values()))),
                    "answer": answer,
                    "repairs": list(verdict.repairs),
                    "licence": result.row.source["licence"],
                    # Problems of earlier versions lack the column.
                    "language": result.row.source.get("language") or UNKNOWN,
                    **result.completion,
                }
            )
    return StepResult(
        typed_frame(made, SOLUTIONS),
        quarantine("math_solutions", dropped),
        asked,
        repairs=count_repairs(row["repairs"] for row in made),
    )


def build_math_train(solutions: pl.DataFrame, forbidden: pl.DataFrame) -> StepResult:
    """Select the assistant's solutions of problems not held out, without forbidden problems.

    Args:
        solutions: Rows of `math_solutions` of all shards.
        forbidden: Benchmark problems, columns of `contamination.PROBLEMS`. Held-out problems are
            forbidden, too.
    """
    chosen = solutions.filter(~pl.col("held_out"), solver="assistant")
    apart = pl.concat([forbidden, held_out_problems(solutions)])
    return _clean(chosen, TRAIN, "math_train", apart)


def build_math_test(solutions: pl.DataFrame, forbidden: pl.DataFrame, equal: Equal) -> StepResult:
    """Select held-out problems with an answer of two solvers or more, without forbidden problems.

    Args:
        solutions: Rows of `math_solutions` of all shards.
        forbidden: Benchmark problems, columns of `contamination.PROBLEMS`.
        equal: Comparison of answers.
    """
    held_out = solutions.filter("held_out")
    problems = held_out.unique("sample_id", keep="first", maintain_order=True)
    given = {(r["sample_id"], r["solver"]): r["answer"] for r in held_out.iter_rows(named=True)}
    sets = [[given.get((row_id, s)) for s in SOLVERS] for row_id in problems["sample_id"]]
    agreed = agreement(sets, equal)
    tested = problems.with_columns(
        pl.Series("answer", [a.answer if a else None for a in agreed], pl.String()),
        pl.Series("agreeing", [a.votes if a else 0 for a in agreed], pl.Int64()),
    )
    lonely = tested.filter(pl.col("answer").is_null())["sample_id"]
    outcome = _clean(tested.filter(pl.col("answer").is_not_null()), TEST, "math_test", forbidden)
    disagreed = quarantine("math_test", ((row_id, "no_agreement") for row_id in lonely))
    return StepResult(outcome.rows, pl.concat([disagreed, outcome.dropped]), len(problems))


def held_out_problems(solutions: pl.DataFrame) -> pl.DataFrame:
    """Return the held-out problems, in the columns of `contamination.PROBLEMS`."""
    rows = solutions.filter("held_out").unique("sample_id", keep="first", maintain_order=True)
    return rows.select(
        pl.lit(HELD_OUT).alias("benchmark"), pl.col("sample_id").alias("problem_id"), "problem"
    )


def contaminated_pairs(
    dropped: pl.DataFrame, problems: pl.DataFrame, forbidden: pl.DataFrame
) -> pl.DataFrame:
    """Return the dropped problems beside those that they contain, those but for numbers last.

    Args:
        dropped: Quarantine of a math set.
        problems: Columns `sample_id` and `problem`; a problem may be repeated.
        forbidden: Columns of `contamination.PROBLEMS`.

    Returns:
        Columns of PAIRS.
    """
    found = dropped.select("id", pl.col("reason").str.extract_groups(contamination.REASON))
    contained = forbidden.rename({"problem": "contained"}).unique(["benchmark", "problem_id"])
    return (
        found.unnest("reason")
        .filter(pl.col("share").is_not_null())
        .join(problems.unique("sample_id"), left_on="id", right_on="sample_id")
        .join(contained, on=["benchmark", "problem_id"])
        .with_columns(pl.col("share").cast(pl.Float64))
        .sort(pl.col("how") == contamination.BUT_FOR_NUMBERS, "how", "benchmark", "id")
        .select(PAIRS.names())
    )


def _clean(
    rows: pl.DataFrame, schema: pl.Schema, stage: str, forbidden: pl.DataFrame
) -> StepResult:
    found = contamination.ProblemIndex(forbidden).search(rows["problem"])
    reasons: list[str | None] = []
    seen = set[str]()
    for problem, containment in zip(rows["problem"], found, strict=True):
        key = " ".join(_tokens(problem))
        repeat = "repeat" if key in seen else None
        reasons.append(containment.reason if containment else repeat)
        seen.add(key)
    named = rows.with_columns(pl.Series("reason", reasons, pl.String()))
    gone = named.filter(pl.col("reason").is_not_null()).select("sample_id", "reason")
    kept = named.filter(pl.col("reason").is_null())
    # Solutions of earlier versions lack the column.
    known = pl.col("language") if "language" in kept.columns else pl.lit(None, pl.String)
    kept = kept.with_columns(language=known.fill_null(UNKNOWN)).select(schema.names())
    return StepResult(kept, quarantine(stage, gone.iter_rows()), len(rows))


def _final(solver: str, solution: str, run_program: RunProgram) -> tuple[str | None, str]:
    if solver != "program":
        return extract_final_answer(solution), "no_final_answer"
    program = extract_program(solution)
    if program is None:
        return None, "no_program"
    done = run_program(program)
    return done.answer, f"failed: {done.error}"


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.casefold())
