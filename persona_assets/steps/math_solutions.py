"""Solutions of math problems (section 4.1.2)."""

from typing import Any

import polars as pl

from persona_assets.ids import solution_id, uniform
from persona_assets.languages import UNKNOWN
from persona_assets.postprocess import RunProgram
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import COMPLETION_COLUMNS, Complete, PromptRow, run_prompt
from persona_assets.rules.protection import DROP, Protection
from persona_assets.steps.answers import extract_final_answer, extract_program
from persona_assets.steps.verdicts import REPAIRS, Verdicts, count_repairs
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "3"
"""VERSION of the solutions."""

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
            verdict = verdicts.of(result.value, [result.row.source["problem"]])
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


def _final(solver: str, solution: str, run_program: RunProgram) -> tuple[str | None, str]:
    if solver != "program":
        return extract_final_answer(solution), "no_final_answer"
    program = extract_program(solution)
    if program is None:
        return None, "no_program"
    done = run_program(program)
    return done.answer, f"failed: {done.error}"
