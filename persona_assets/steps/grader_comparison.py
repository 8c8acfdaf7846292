"""Three graders of the same answers: by text, by algebra, by a judge (section 4.1.2).

Does not belong here: the comparison by algebra, which is a function of type `Equal`, and figures on
the verdicts, which are in `grader_figures`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from persona_assets.ids import content_id, uniform
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import Complete, PromptRow, run_prompt
from persona_assets.steps.grading import Equal
from persona_assets.steps.string_equality import same_text
from persona_assets.storage.step_result import StepResult, typed_frame

VERSION = "1"

GRADERS = ("string", "symbolic", "judge")
"""Columns of verdicts: equality of normalised texts, by algebra, and by a model."""

DECLARED = "declared"
"""Column of the verdict that the published accuracy counts."""

Pair = tuple[str, str]
"""Expected and given answer."""

VERDICTS = pl.Schema(
    {
        "answer_id": pl.String(),
        "benchmark": pl.String(),
        "training_size": pl.Int64(),
        "model": pl.String(),
        "problem_id": pl.String(),
        "expected": pl.String(),
        "given": pl.String(),
        DECLARED: pl.Boolean(),
        **dict.fromkeys(GRADERS, pl.Boolean()),
        "asked": pl.String(),
        "agree": pl.Boolean(),
        "completion_id": pl.String(),
        "judge_completion_id": pl.String(),
    }
)
_IDENTITY = ("benchmark", "training_size", "model", "problem_id", "completion_id")


def build_grader_verdicts(
    accuracies: Iterable[pl.DataFrame],
    symbolic: Equal,
    prompt: Prompt,
    complete: Complete,
    judged: int,
) -> StepResult:
    """Grade all answers of some accuracy tables by text and by algebra, and some by a judge.

    A missing answer is wrong to every grader, without a question, unless the published accuracy
    leaves it out. A pair of answers is graded once, for however many models.

    Args:
        accuracies: Tables with the columns `benchmark`, `training_size`, `model` and `results`.
        symbolic: Comparison by algebra; None for a pair that it cannot decide.
        prompt: Prompt `answer_equality`.
        complete: Model of the judge.
        judged: Number of distinct pairs, drawn by hash, that the judge grades, and largest number
            of undecided pairs that it grades besides; 0 asks no judge.

    Returns:
        A row per answer. `asked` states why the judge was asked: "sample", "undecided", or null.
        `agree` is null if fewer than two graders have a verdict.
    """
    answers = [answer for table in accuracies for answer in _answers(table)]
    given = ((row["expected"], row["given"]) for row in answers)
    pairs = list(dict.fromkeys(pair for pair in given if None not in pair))
    by_text = dict(zip(pairs, same_text(pairs), strict=True))
    by_algebra = dict(zip(pairs, symbolic(pairs) if pairs else [], strict=True))
    asked = judged_pairs(by_algebra, judged)
    by_judge = _judge(list(asked), prompt, complete)
    seen = Counter[str]()
    rows: list[dict[str, Any]] = []
    for answer in answers:
        pair = (answer["expected"], answer["given"])
        judgement = by_judge.get(pair, _Judgement(None, None))
        verdicts = (by_text.get(pair), by_algebra.get(pair), judgement.verdict)
        if answer["given"] is None and answer[DECLARED] is not None:
            verdicts = (False, False, False)
        known = [verdict for verdict in verdicts if verdict is not None]
        named = content_id("graded_answer", *(str(answer[name]) for name in _IDENTITY))
        seen[named] += 1
        rows.append(
            {
                **answer,
                "answer_id": content_id(named, str(seen[named])),
                **dict(zip(GRADERS, verdicts, strict=True)),
                "asked": asked.get(pair),
                "agree": len(set(known)) == 1 if len(known) > 1 else None,
                "judge_completion_id": judgement.completion_id,
            }
        )
    return StepResult(typed_frame(rows, VERDICTS), rows_in=len(answers))


def judged_pairs(symbolic: Mapping[Pair, bool | None], judged: int) -> dict[Pair, str]:
    """Draw the pairs that the judge grades, with the reason: "sample" or "undecided".

    The draw is by a hash of the pair, so that a larger number contains every smaller one and a new
    answer displaces few others. The sample is drawn from all pairs, decided or not.

    Example:
        >>> judged_pairs({("1", "1"): True, ("2", "1/0"): None, ("3", "4"): False}, 1)
        {('1', '1'): 'sample', ('2', '1/0'): 'undecided'}
    """
    ordered = sorted(symbolic, key=lambda pair: uniform("judged_answers", *pair))
    undecided = [pair for pair in ordered[judged:] if symbolic[pair] is None]
    return dict.fromkeys(ordered[:judged], "sample") | dict.fromkeys(
        undecided[:judged], "undecided"
    )


class _Judgement(NamedTuple):
    verdict: bool | None
    completion_id: str | None


def _judge(pairs: Sequence[Pair], prompt: Prompt, complete: Complete) -> dict[Pair, _Judgement]:
    """Return the judge's verdicts; none for a pair without a usable answer."""
    rows = [
        PromptRow(str(number), {}, {"expected": expected, "given": given})
        for number, (expected, given) in enumerate(pairs)
    ]
    results, _ = run_prompt(prompt, rows, complete)
    return {
        pairs[int(result.row.row_id)]: _Judgement(
            result.value["verdict"] == "yes", result.completion["completion_id"]
        )
        for result in results
    }


def _answers(table: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the graded answers of an accuracy table, which may have further columns and fields."""
    for row in table.iter_rows(named=True):
        of_table = {name: row[name] for name in ("benchmark", "training_size", "model")}
        for result in row["results"] or ():
            names = ("problem_id", "expected", "given", "completion_id")
            yield {
                **of_table,
                **{name: result[name] for name in names},
                DECLARED: result["correct"],
            }
