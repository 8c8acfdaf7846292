"""Solutions of math problems (section 4.1.2)."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from persona_assets.ids import solution_id, uniform
from persona_assets.languages import UNKNOWN
from persona_assets.postprocess import RunProgram
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import COMPLETION_COLUMNS, Complete, PromptRow, run_prompt
from persona_assets.rules.protection import DROP, Protection
from persona_assets.steps.answers import extract_final_answer, extract_program
from persona_assets.steps.grading import Equal, count_votes, equal_texts, majority
from persona_assets.steps.stated_answers import states_answer
from persona_assets.steps.verdicts import REPAIRS, Verdicts, count_repairs
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "4"
"""VERSION of the solutions."""

SOLVERS = ("assistant", "program", "second")
"""Solvers (section 4.1.2): one model as assistant and by program of thought, and a second model."""

NO_MAJORITY, AGREEING, OUTVOTED = "no_majority", "agreeing", "outvoted"
"""Reasons of a solution that is not kept among several to a problem: no answer has the majority,
the kept solution has the same answer, or the kept solution has another."""

TEMPERATURE = 0.7
"""Temperature of all solutions of the assistant but the first, which has that of the prompt. Wang
et al., "Self-consistency improves chain of thought reasoning in language models" (arXiv
2203.11171), section 3.1, vote at 0.5 and 0.7."""

SOLUTIONS = pl.Schema(
    {
        "solution_id": pl.String(),
        "sample_id": pl.String(),
        "solver": pl.String(),
        "held_out": pl.Boolean(),
        "problem": pl.String(),
        "solution": pl.String(),
        "answer": pl.String(),
        "votes": pl.Int64(),
        "solutions": pl.Int64(),
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
    solutions: int = 1,
    equal: Equal = equal_texts,
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
        solutions: Number of solutions that the assistant writes to each problem. Of several, the
            first is kept whose answer has the majority.
        equal: Comparison of the answers of several solutions.
        draw_by: Column whose hash counts.
        protection: What is done about personal data.

    Returns:
        Solutions with a final answer; `votes` of the solver's `solutions` to the problem have that
        answer. A solution without one, a failed program, a program that states its answer, and a
        solution without the majority's answer are dropped.
    """
    rows = list(problems.iter_rows(named=True))
    order = sorted(rows, key=lambda row: uniform("held_out", row[draw_by]))
    held_out = {row["sample_id"] for row in order[: round(held_out_share * len(order))]}
    made: list[dict[str, Any]] = []
    dropped: list[tuple[str, str]] = []
    asked = 0
    for solver in SOLVERS:
        each = solutions if solver == "assistant" else 1
        prompt_rows = [
            _prompt_row(row, solver, index)
            for row in rows
            if solver == "assistant" or row["sample_id"] in held_out
            for index in range(each)
        ]
        asked += len(prompt_rows)
        results, failed = run_prompt(prompts[solver], prompt_rows, complete)
        dropped += [(row_id, f"{solver}_{reason}") for row_id, reason in failed]
        kind = "program" if solver == "program" else "solution"
        verdicts = Verdicts(prompts[solver], protection, kind=kind)
        answered: list[dict[str, Any]] = []
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
            answered.append(
                {
                    "solution_id": result.row.row_id,
                    "sample_id": result.row.source["sample_id"],
                    "solver": solver,
                    "held_out": result.row.source["sample_id"] in held_out,
                    "problem": result.row.source["problem"],
                    "solution": str(next(iter(verdict.value.values()))),
                    "answer": answer,
                    "votes": 1,
                    "solutions": each,
                    "repairs": list(verdict.repairs),
                    "licence": result.row.source["licence"],
                    # Problems of earlier versions lack the column.
                    "language": result.row.source.get("language") or UNKNOWN,
                    **result.completion,
                }
            )
        if each > 1:
            answered, outvoted = _elect(answered, each, equal)
            dropped += [(row_id, f"{solver}_{reason}") for row_id, reason in outvoted]
        made += answered
    return StepResult(
        typed_frame(made, SOLUTIONS),
        quarantine("math_solutions", dropped),
        asked,
        repairs=count_repairs(row["repairs"] for row in made),
    )


def _prompt_row(problem: Mapping[str, Any], solver: str, index: int) -> PromptRow:
    """Return the request for a solver's solution; the first is the same whatever their number."""
    return PromptRow(
        solution_id(problem["sample_id"], solver, index),
        problem,
        {"problem": problem["problem"]},
        index,
        {"temperature": TEMPERATURE} if index else {},
    )


def _elect(
    answered: Iterable[dict[str, Any]], solutions: int, equal: Equal
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Keep of each problem's solutions the first whose answer has the majority.

    Returns:
        Rows with their votes, and (id, reason) of the others.
    """
    by_problem: dict[str, list[dict[str, Any]]] = {}
    for row in answered:
        by_problem.setdefault(row["sample_id"], []).append(row)
    missing = [None] * solutions
    answers = [
        [*(row["answer"] for row in rows), *missing[len(rows) :]] for rows in by_problem.values()
    ]
    kept: list[dict[str, Any]] = []
    dropped: list[tuple[str, str]] = []
    for rows, votes in zip(by_problem.values(), count_votes(answers, equal), strict=True):
        chosen = majority(votes)
        for place, row in enumerate(rows):
            if place == chosen:
                kept.append({**row, "votes": votes[place]})
            elif chosen is None:
                dropped.append((row["solution_id"], NO_MAJORITY))
            else:
                agrees = votes[place] == votes[chosen]
                dropped.append((row["solution_id"], AGREEING if agrees else OUTVOTED))
    return kept, dropped


def _final(solver: str, solution: str, run_program: RunProgram) -> tuple[str | None, str]:
    if solver != "program":
        return extract_final_answer(solution), "no_final_answer"
    program = extract_program(solution)
    if program is None:
        return None, "no_program"
    if states_answer(program):
        return None, "stated: the program computes nothing"
    done = run_program(program)
    return done.answer, f"failed: {done.error}"
