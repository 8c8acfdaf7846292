"""Search of benchmark problems in other problems, by their words, numbers and formulas.

A benchmark problem is contained in a text if more than half of its own runs of tokens occur there,
so that a story around it hides nothing. A problem is contained, too, if it is equal but for numbers
and letters: nearly all of its runs occur once numbers and letters are masked. As a short problem
without its numbers is a phrase of the field ("compute the sum"), it needs words enough, or all its
tokens but one.

All runs are compared by 64-bit hashes, texts in batches.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
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

RUN = 12
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

BATCH = 2000
"""Number of texts compared at a time."""

REASON = (
    r"^contaminated: (?P<benchmark>.*) (?P<problem_id>\S+) (?P<share>[\d.]+)"
    r"(?P<numbers> but for numbers)?$"
)
"""Pattern of the reason for dropping a text; see `Containment.reason`."""

PROBLEMS = pl.Schema({"benchmark": pl.String(), "problem_id": pl.String(), "problem": pl.String()})
"""Columns of the problems that must not occur."""


class ContaminationError(ValueError):
    """A problem to train on contains a benchmark problem; the message names both."""


@dataclass(frozen=True)
class Containment:
    """A benchmark problem in a text.

    Attributes:
        benchmark: Name of the benchmark.
        problem_id: Id of the problem.
        share: Share of the problem's runs that occur in the text.
        but_for_numbers: True if the share is that of the runs with numbers and letters masked.
    """

    benchmark: str
    problem_id: str
    share: float
    but_for_numbers: bool = False

    @property
    def reason(self) -> str:
        """Reason for dropping the text.

        Example:
            >>> Containment("MATH", "1b", 5 / 6).reason
            'contaminated: MATH 1b 0.83'
        """
        named = f"contaminated: {self.benchmark} {self.problem_id} {self.share:.2f}"
        return f"{named} but for numbers" if self.but_for_numbers else named


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
        self._exact = RunIndex(self._ids, RUN)
        self._without_numbers = RunIndex(self._masked, MASKED_RUN)

    def search(self, texts: Iterable[str]) -> Iterator[Containment | None]:
        """Yield, for each text, the benchmark problem most of whose runs occur in it, or None."""
        remaining = iter(texts)
        while batch := list(islice(remaining, BATCH)):
            yield from self._best(batch)

    def pairs(self, texts: Sequence[str]) -> Iterator[tuple[int, Containment]]:
        """Yield the number of a text and a benchmark problem in it, for all such pairs."""
        ids, rows = self._vocabulary.encode(texts)
        by_row = _split(ids, rows, len(texts))
        exact = _above(self._exact.shares(ids, rows), SHARE)
        masked = self._without_numbers.shares(self._vocabulary.mask(ids), rows)
        but_for_numbers = {
            (row, problem): share
            for (row, problem), share in _above(masked, MASKED_SHARE).items()
            if exact.get((row, problem), 0) < 1
            and ((row, problem) in exact or self._is_evident(problem, by_row[row]))
        }
        for pair, share in (exact | but_for_numbers).items():
            benchmark, problem_id, _ = self._problems.row(pair[1])
            yield pair[0], Containment(benchmark, problem_id, share, pair in but_for_numbers)

    def _best(self, texts: Sequence[str]) -> list[Containment | None]:
        best: list[Containment | None] = [None] * len(texts)
        for row, found in self.pairs(texts):
            other = best[row]
            if other is None or _rank(found) < _rank(other):
                best[row] = found
        return best

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


def _above(shares: Shares, threshold: float) -> dict[tuple[int, int], float]:
    """Return the shares above a threshold by number of the text and of the problem."""
    chosen = shares.shares > threshold
    pairs = zip(shares.rows[chosen].tolist(), shares.indexed[chosen].tolist(), strict=True)
    return dict(zip(pairs, shares.shares[chosen].tolist(), strict=True))


def _rank(found: Containment) -> tuple[bool, float]:
    return found.but_for_numbers, -found.share


def _split(ids: "Array", rows: "Array", count: int) -> "list[Array]":
    """Return the ids of each text."""
    import numpy as np

    return np.split(ids, np.searchsorted(rows, np.arange(1, count)))
