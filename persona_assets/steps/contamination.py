"""Search of benchmark problems in other problems, by their words, numbers and formulas.

A benchmark problem is contained in a text, whatever is around it,

- if more than half of its own runs of tokens occur there;
- but for numbers: if nearly all of its runs occur once numbers and letters are masked. As a short
  problem without its numbers is a phrase of the field ("compute the sum"), it needs words enough,
  or all its tokens but one;
- in other words: if all of its numbers occur, nearly all of its rare tokens, and some short runs.

Runs are compared by 64-bit hashes, texts in batches.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import log
from typing import TYPE_CHECKING, Any

import polars as pl

from persona_assets.steps import problem_tokens
from persona_assets.steps.problem_tokens import Vocabulary
from persona_assets.steps.token_runs import RunIndex, Shares

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

VERSION = f"1.{problem_tokens.VERSION}"
"""Version of the rule."""

RUN = 20
"""Tokens of a run; a shorter problem is a single run."""
SHARE = 0.5
"""Share of a problem's runs above which it is contained."""
MASKED_RUN = 8
"""Tokens of a run with numbers and letters masked."""
MASKED_SHARE = 0.9
"""Share of a problem's masked runs above which it is equal but for numbers."""
EVIDENCE = 8
"""Tokens other than numbers that a problem needs to be known without them."""
FRAME = 4 / 3
"""Length of a text, as a multiple of the problem's, up to which repeated tokens are evidence."""
LEAST = 4
"""Tokens of the shortest problem that is known by all its tokens but one."""

SHORT_RUN = 5
"""Tokens of a run of a problem in other words."""
SHORT_SHARE = 0.3
"""Share of a problem's short runs above which it may be there in other words."""
TOKEN_SHARE = 0.85
"""Share of a problem's tokens, rare tokens weighing more, above which it is there."""
NUMBERS = 2
"""Numbers that a problem needs to be known in other words."""

BATCH = 2000
"""Number of texts compared at a time."""

REASON = (
    r"^contaminated: (?P<benchmark>.*) (?P<problem_id>\S+) (?P<share>[01]\.\d\d)"
    r" ?(?P<how>but for numbers|in other words|by meaning|by judge|)"
    r"(?: \(cosine (?P<cosine>[01]\.\d\d)\))?$"
)
"""Pattern of the reason for dropping a text; see `Containment.reason`."""

PROBLEMS = pl.Schema({"benchmark": pl.String(), "problem_id": pl.String(), "problem": pl.String()})
"""Columns of the problems that must not occur."""


EXACT, REWORDED, BUT_FOR_NUMBERS = "", "in other words", "but for numbers"
BY_MEANING = "by meaning"
"""Way of containing a problem that the search by words does not find; see neighbours.py."""
BY_JUDGE, UNJUDGED = "by judge", "without a verdict"
"""Neighbours that a judge calls the same problem, or has not judged; see judged_neighbours.py."""


class ContaminationError(ValueError):
    """A problem to train on contains a benchmark problem; the message names both."""


@dataclass(frozen=True)
class Containment:
    """A benchmark problem in a text.

    Attributes:
        benchmark: Name of the benchmark.
        problem_id: Id of the problem.
        share: Share of the problem's runs that occur in the text; in other words, of its tokens.
        how: EXACT, REWORDED, BUT_FOR_NUMBERS, BY_MEANING, BY_JUDGE or UNJUDGED.
        cosine: Cosine of both vectors; None for a problem that was found by words.
    """

    benchmark: str
    problem_id: str
    share: float
    how: str = EXACT
    cosine: float | None = None

    @property
    def reason(self) -> str:
        """Reason for dropping the text.

        Example:
            >>> Containment("MATH", "1b", 5 / 6).reason
            'contaminated: MATH 1b 0.83'
            >>> Containment("MATH", "1b", 0.75, BY_MEANING, 0.93).reason
            'contaminated: MATH 1b 0.75 by meaning (cosine 0.93)'
            >>> Containment("MATH", "1b", 0.5, UNJUDGED, 0.81).reason
            'unjudged: MATH 1b 0.50 without a verdict (cosine 0.81)'
        """
        verdict = "unjudged" if self.how == UNJUDGED else "contaminated"
        named = f"{verdict}: {self.benchmark} {self.problem_id} {self.share:.2f} {self.how}"
        cosine = "" if self.cosine is None else f" (cosine {self.cosine:.2f})"
        return named.rstrip() + cosine


class ProblemIndex:
    """Benchmark problems, searched for in texts.

    Args:
        problems: Columns of `PROBLEMS`.

    Example:
        >>> problems = {"benchmark": ["sums"], "problem_id": ["1"], "problem": ["What is $3+4$?"]}
        >>> index = ProblemIndex(pl.DataFrame(problems))
        >>> [found and found.reason for found in index.search(["Tell me: what is 3 + 4", "Why?"])]
        ['contaminated: sums 1 1.00', None]
    """

    def __init__(self, problems: pl.DataFrame) -> None:
        self._problems = problems
        texts = problems["problem"].to_list()
        self._vocabulary = Vocabulary(texts)
        ids, rows = self._vocabulary.encode(texts)
        self._ids = _split(ids, rows, len(texts))
        self._masked = [self._vocabulary.mask(text) for text in self._ids]
        known = [text[text > Vocabulary.NUMBER].tolist() for text in self._masked]
        self._evidence = [len(text) for text in known]
        self._distinct = [len(set(text)) for text in known]
        self._counts = [Counter(text.tolist()) for text in self._ids]
        problems_with = Counter(token for counts in self._counts for token in counts)
        self._weights = {
            token: log((len(texts) + 1) / (count + 0.5)) for token, count in problems_with.items()
        }
        self._runs = RunIndex(self._ids, RUN)
        self._masked_runs = RunIndex(self._masked, MASKED_RUN)
        self._short_runs = RunIndex(self._ids, SHORT_RUN)

    def search(self, texts: Iterable[str]) -> Iterator[Containment | None]:
        """Yield, for each text, the benchmark problem most of whose runs occur in it, or None."""
        remaining = iter(texts)
        while batch := list(islice(remaining, BATCH)):
            yield from self._best(batch)

    def pairs(self, texts: Sequence[str]) -> Iterator[tuple[int, Containment]]:
        """Yield the number of a text and a benchmark problem in it, for all such pairs."""
        ids, rows = self._vocabulary.encode(texts)
        by_row = _split(ids, rows, len(texts))
        found = {
            pair: (share, EXACT)
            for pair, share in _above(self._runs.shares(ids, rows), SHARE).items()
        }
        for pair in _above(self._short_runs.shares(ids, rows), SHORT_SHARE):
            if pair not in found:
                share = self._token_share(pair[1], by_row[pair[0]])
                if share > TOKEN_SHARE:
                    found[pair] = share, REWORDED
        masked = self._masked_runs.shares(self._vocabulary.mask(ids), rows)
        for pair, share in _above(masked, MASKED_SHARE).items():
            if found.get(pair) == (1, EXACT):
                continue
            if pair in found or self._is_evident(pair[1], by_row[pair[0]]):
                found[pair] = share, BUT_FOR_NUMBERS
        for (row, problem), (share, how) in found.items():
            benchmark, problem_id, _ = self._problems.row(problem)
            yield row, Containment(benchmark, problem_id, share, how)

    def _best(self, texts: Sequence[str]) -> list[Containment | None]:
        best: list[Containment | None] = [None] * len(texts)
        for row, found in self.pairs(texts):
            other = best[row]
            if other is None or _rank(found) < _rank(other):
                best[row] = found
        return best

    def _token_share(self, problem: int, text: "Array") -> float:
        """Return the share of a problem's tokens in a text; 0 if one of its numbers is missing."""
        own, given = self._counts[problem], Counter(text.tolist())
        known = zip(self._ids[problem].tolist(), self._masked[problem].tolist(), strict=True)
        numbers = Counter(token for token, masked in known if masked == Vocabulary.NUMBER)
        if numbers.total() < NUMBERS or not numbers <= given:
            return 0.0
        whole = sum(self._weights[token] * count for token, count in own.items())
        common = own & given
        return sum(self._weights[token] * count for token, count in common.items()) / whole

    def _is_evident(self, problem: int, text: "Array") -> bool:
        """Return True if a problem whose masked runs occur in a text is more than a phrase."""
        if self._distinct[problem] >= EVIDENCE:
            return True
        own = self._ids[problem]
        if len(text) > FRAME * len(own):
            return False
        return self._evidence[problem] >= EVIDENCE or self._is_same_but_one(problem, text)

    def _is_same_but_one(self, problem: int, text: "Array") -> bool:
        """Return True if a text has all tokens of a problem in a row, but for one number."""
        own, masked = self._ids[problem], self._masked[problem]
        if len(own) < LEAST:
            return False
        without_numbers = self._vocabulary.mask(text)
        return any(
            bool((without_numbers[start : start + len(own)] == masked).all())
            and int((text[start : start + len(own)] != own).sum()) <= 1
            for start in range(len(text) - len(own) + 1)
        )


def require_absent(forbidden: pl.DataFrame, problems: Sequence[str]) -> None:
    """Raise an error if a problem contains a forbidden one.

    Args:
        forbidden: Columns of `PROBLEMS`.
        problems: Problems to train on.

    Raises:
        ContaminationError: A problem contains a forbidden problem.
    """
    for problem, found in zip(problems, ProblemIndex(forbidden).search(problems), strict=True):
        if found:
            raise ContaminationError(
                f"math_train has the problem {problem[:60]!r}, {found.reason}: materialize "
                "math_train again, or change PERSONA_DECONTAMINATE"
            )


def refuse_shown(problems: pl.DataFrame, benchmark: str, examples: Sequence[str]) -> None:
    """Raise an error if a demonstration of the evaluation contains a problem to be solved.

    Args:
        problems: Problems to be solved, with `problem_id` and `problem`.
        benchmark: Name of their set.
        examples: Problems of the demonstrations.

    Raises:
        ContaminationError: A demonstration contains a problem.
    """
    named = problems.select(pl.lit(benchmark).alias("benchmark"), "problem_id", "problem")
    for example, found in zip(examples, ProblemIndex(named).search(examples), strict=True):
        if found:
            raise ContaminationError(
                f"the evaluation shows the problem {example[:60]!r}, {found.reason}: remove it "
                "from prompts/demonstrations/evaluation.jsonl"
            )


def _above(shares: Shares, threshold: float) -> dict[tuple[int, int], float]:
    """Return the shares above a threshold by number of the text and of the problem."""
    chosen = shares.shares > threshold
    pairs = zip(shares.rows[chosen].tolist(), shares.indexed[chosen].tolist(), strict=True)
    return dict(zip(pairs, shares.shares[chosen].tolist(), strict=True))


def _rank(found: Containment) -> tuple[int, float]:
    return (EXACT, REWORDED, BUT_FOR_NUMBERS).index(found.how), -found.share


def _split(ids: "Array", rows: "Array", count: int) -> "list[Array]":
    """Return the ids of each text."""
    import numpy as np

    return np.split(ids, np.searchsorted(rows, np.arange(1, count)))
