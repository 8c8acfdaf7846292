"""Validity of samples by people: a draw for two raters, and the figures on their marks.

The paper had 200 of its problems read by two experts, who found 7 of them invalid (section 4.1.2).
"""

import heapq
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import polars as pl

from persona_assets.ids import uniform
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import Complete
from persona_assets.steps.agreement_statistics import Contingency, contingency
from persona_assets.steps.grading import Accuracy, accuracy, difference
from persona_assets.steps.judging import JUDGEMENT, build_judged_samples
from persona_assets.steps.origins import is_conversation
from persona_assets.steps.rating_sheet import ID, MARK, NOTE, Rating

NUMBER = 200
"""Number of samples of a draw (section 4.1.2)."""

PAPER = accuracy(193, 200)
"""Share of valid problems in the paper: two experts found 7 of 200 invalid (section 4.1.2)."""

JUDGE = "judge"
"""Name of the model among the raters."""

SHARD = "shard"
"""Column of a drawn sample that the tables of the task lack."""


class ValidityError(ValueError):
    """A draw or a report is not possible; the message names the remedy."""


def rated_columns(schema: Iterable[str], prompt: Prompt, rubric: Prompt | None) -> list[str]:
    """Return the columns that a rater reads: those that the judge of the task reads.

    Args:
        schema: Columns of the samples.
        prompt: Prompt of the task, whose fields are read if it has no rubric.
        rubric: Rubric of the task, if there is one.

    Raises:
        ValidityError: A column has the name of one of the sheet's own.
    """
    seen = rubric.names if rubric else {*prompt.columns, "messages"}
    columns = [name for name in schema if name in seen]
    if taken := [name for name in columns if name.casefold() in (ID, MARK, NOTE)]:
        raise ValidityError(
            f"a sheet has a column {taken[0]} of its own: give the field of the task {prompt.name} "
            "another name"
        )
    return columns


def draw_samples(
    tables: Iterable[pl.DataFrame], columns: Sequence[str], number: int, seed: int
) -> pl.DataFrame:
    """Draw samples by a hash of their content, so that a larger draw contains a smaller one.

    Args:
        tables: Samples by shard, with the column `shard`.
        columns: Columns that a rater reads.
        number: Number of samples.
        seed: Another seed draws other samples.

    Returns:
        At most `number` rows, in random order.
    """

    def place(row: Mapping[str, Any]) -> tuple[float, str]:
        texts = as_texts(row, columns).values()
        return uniform("validity", str(seed), *texts), row["sample_id"]

    chosen: list[tuple[tuple[float, str], pl.DataFrame]] = []
    for table in tables:
        places = [(place(row), n) for n, row in enumerate(table.iter_rows(named=True))]
        drawn = [(at, table[n : n + 1]) for at, n in heapq.nsmallest(number, places)]
        chosen = heapq.nsmallest(number, [*chosen, *drawn], key=lambda pair: pair[0])
    return pl.concat([row for _, row in chosen], how="diagonal") if chosen else pl.DataFrame()


def as_texts(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, str]:
    """Return columns of a sample as texts: a line per message, JSON for other values.

    Example:
        >>> as_texts({"name": "Ada", "args": ["x"], "note": None}, ["name", "args", "note"])
        {'name': 'Ada', 'args': '["x"]', 'note': ''}
    """
    # A table of an earlier version may lack a column.
    return {name: _as_text(row.get(name)) for name in columns}


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if is_conversation(value):
        return "\n\n".join(f"{each['speaker']}: {each['content']}" for each in value)
    return json.dumps(value, ensure_ascii=False)


def judge_samples(
    task: str,
    samples: pl.DataFrame,
    rubric: Callable[[str], Prompt],
    complete: Complete,
) -> dict[str, Rating]:
    """Return the rating of each drawn sample by the judge of its task.

    A sample is valid if its scores reach the thresholds of the rubric. The requests are those of
    `judged_<task>`.

    Args:
        task: Name of the task.
        samples: Drawn samples.
        rubric: Function from a shard to the rubric with the shard's demonstrations.
        complete: Model of the judge.
    """
    ratings: dict[str, Rating] = {}
    for (shard,), rows in samples.group_by(SHARD, maintain_order=True):
        prompt = rubric(str(shard))
        plain = rows.drop(JUDGEMENT, SHARD, strict=False)
        result = build_judged_samples(task, plain, prompt, 1.0, complete)
        scores = tuple(f"judge_{name}: " for name in prompt.head.threshold)
        ratings |= {
            sample_id: Rating(False if reason.startswith(scores) else None, reason)
            for sample_id, reason in result.dropped.select("id", "reason").iter_rows()
        }
        ratings |= {
            sample_id: Rating(True, str(judgement.get("reason") or ""))
            for sample_id, judgement in result.rows.select("sample_id", JUDGEMENT).iter_rows()
        }
    return ratings


@dataclass(frozen=True)
class ValidityReport:
    """Figures on the marks of raters.

    Attributes:
        drawn: Number of samples of the draw.
        shares: Share of valid samples by rater, among those that the rater marked.
        agreed: Share of samples that all people mark as valid, among those that all people marked.
        pairs: Verdicts of each two raters on the samples that both marked.
        disagreements: Ids of samples with different marks.
    """

    drawn: int
    shares: Mapping[str, Accuracy]
    agreed: Accuracy
    pairs: Mapping[tuple[str, str], Contingency]
    disagreements: tuple[str, ...]

    def beside_the_paper(self) -> str:
        """Return a sentence that compares the share of valid samples with that of the paper."""
        found = difference(PAPER, self.agreed)
        if found is None:
            return f"The paper: {PAPER}; here nothing is marked by all raters."
        gain, low, high = (100 * share for share in found)
        verdict = (
            f"The share here is {'higher' if low > 0 else 'lower'}"
            if low > 0 or high < 0
            else "The data do not support a difference"
        )
        return (
            f"The paper: {PAPER}, 7 of 200 invalid by two experts. {verdict}: {gain:+.1f} points, "
            f"95 % interval {low:+.1f} to {high:+.1f}."
        )

    def as_json(self) -> dict[str, Any]:
        """Return all figures as members of a JSON object."""
        return {
            "drawn": self.drawn,
            "shares": {rater: vars(share) for rater, share in self.shares.items()},
            "agreed": vars(self.agreed),
            "paper": vars(PAPER),
            "pairs": [
                {
                    "first": first,
                    "second": second,
                    "both": counts.both,
                    "first_only": counts.first,
                    "second_only": counts.second,
                    "neither": counts.neither,
                    "agreement": vars(counts.agreement),
                    "kappa": counts.kappa._asdict() if counts.kappa else None,
                    "ac1": counts.ac1,
                    "prevalence": counts.prevalence,
                }
                for (first, second), counts in self.pairs.items()
            ],
            "disagreements": list(self.disagreements),
        }


def summarise(ratings: Mapping[str, Mapping[str, Rating]], people: Sequence[str]) -> ValidityReport:
    """Count the marks of raters on the samples of a draw.

    Args:
        ratings: Ratings by sample id, by rater; every rater has the same samples.
        people: Raters who decide whether a sample is valid.
    """
    verdicts = {
        rater: [rating.valid for rating in of_rater.values()] for rater, of_rater in ratings.items()
    }
    ids = list(next(iter(ratings.values()), {}))
    by_people = list(zip(*(verdicts[rater] for rater in people), strict=True))
    marked = [row for row in by_people if None not in row]
    by_all = zip(ids, zip(*verdicts.values(), strict=True), strict=True)
    return ValidityReport(
        drawn=len(ids),
        shares={rater: _share(marks) for rater, marks in verdicts.items()},
        agreed=accuracy(sum(all(row) for row in marked), len(marked)),
        pairs={
            (first, second): contingency(list(zip(verdicts[first], verdicts[second], strict=True)))
            for first, second in combinations(verdicts, 2)
        },
        disagreements=tuple(sample_id for sample_id, row in by_all if len({*row} - {None}) > 1),
    )


def _share(marks: Sequence[bool | None]) -> Accuracy:
    given = [mark for mark in marks if mark is not None]
    return accuracy(sum(given), len(given))
