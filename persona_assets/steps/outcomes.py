"""Outcome of a problem: the final answer that counts, or why a model gave none.

Belongs here: reading a reply, and the vote of several replies. Does not belong here: equality with
the expected answer, and accuracy over problems, see `evaluation`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

from persona_assets.generation import Answer
from persona_assets.rules import RuleContext
from persona_assets.rules.refusal import is_refused
from persona_assets.steps.grading import Equal

Outcome = Literal["correct", "wrong", "truncated", "unparseable", "refused", "failed", "undecided"]
"""Outcome of a problem: with a final answer `correct`, `wrong` or, without a verdict, `undecided`;
without one `truncated` (the reply reached the limit of tokens), `unparseable` (a whole reply has no
final answer), `refused`, or `failed` (the call ended in an error)."""

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""All outcomes, in the order of their counts in a table."""

EXCLUDED: tuple[Outcome, ...] = ("failed", "undecided")
"""Outcomes that say nothing about the model, left out of n. All others but `correct` are errors."""

_WITHOUT_VALUE: dict[str, Outcome] = {
    "truncated": "truncated",
    "refused": "refused",
    "filtered": "refused",
    "invalid": "unparseable",
    "error": "failed",
}


@dataclass(frozen=True)
class Reply:
    """Reply to a problem.

    Attributes:
        completion_id: Id of the completion.
        given: Final answer; None without one.
        outcome: Why there is no final answer; None with one.
        reason: Reason of a call that failed; else "".
        votes: Number of replies to the problem with the same final answer; 0 without one.
    """

    completion_id: str
    given: str | None
    outcome: Outcome | None = None
    reason: str = ""
    votes: int = 0


def read_reply(answer: Answer, field: str, extract: Callable[[str], str | None]) -> Reply:
    """Read the final answer of a reply, or why it has none.

    Args:
        answer: Answer of the model.
        field: Field of the answer that holds the reply's text.
        extract: Final answer of a text.
    """
    if answer.value is None:
        outcome = _WITHOUT_VALUE[answer.status]
        reason = answer.reason if outcome == "failed" else ""
        return Reply(answer.completion_id, None, outcome, reason)
    text = str(answer.value[field])
    given = extract(text)
    if given:
        return Reply(answer.completion_id, given, votes=1)
    refuses = is_refused(RuleContext(text, "solution"))
    return Reply(answer.completion_id, None, "refused" if refuses else "unparseable")


def choose_replies(problems: Sequence[Sequence[Reply]], equal: Equal) -> list[Reply]:
    """Choose the reply that counts for each problem: its most frequent final answer.

    Of equally frequent answers the earliest counts. A problem without any final answer has the
    first reply that is no failed call. Majority of k: Wang et al., "Self-Consistency Improves Chain
    of Thought Reasoning in Language Models" (2023).

    Args:
        problems: At least one reply per problem, in the order of their samples.
        equal: Comparison of final answers, called once; an undecided pair differs.

    Returns:
        A reply per problem, with its votes.
    """
    distinct = [
        list(dict.fromkeys(reply.given for reply in replies if reply.given)) for replies in problems
    ]
    pairs = [pair for answers in distinct for pair in combinations(answers, 2)]
    verdicts = iter(equal(pairs) if pairs else ())
    return [
        _most_frequent(
            replies, answers, {pair for pair in combinations(answers, 2) if next(verdicts)}
        )
        for replies, answers in zip(problems, distinct, strict=True)
    ]


def _most_frequent(
    replies: Sequence[Reply], answers: Sequence[str], same: set[tuple[str, str]]
) -> Reply:
    if not answers:
        return next((reply for reply in replies if reply.outcome != "failed"), replies[0])
    counts = Counter(reply.given for reply in replies)
    votes = {
        answer: sum(
            counts[other]
            for other in answers
            if other == answer or (answer, other) in same or (other, answer) in same
        )
        for answer in answers
    }
    winner = max(answers, key=lambda answer: votes[answer])
    first = next(reply for reply in replies if reply.given == winner)
    return Reply(first.completion_id, first.given, votes=votes[winner])
