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
from persona_assets.steps.token_runs import RunIndex

if TYPE_CHECKING:
    import numpy as np
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

PROBLEMS = pl.Schema(
    {"benchmark": pl.String(), "problem_id": pl.String(), "problem": pl.String()}
)
"""Columns of the problems that must not occur."""


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
        >>> index = ProblemIndex(pl.DataFrame([("sums", "1", "What is $3+4$?")], schema=PROBLEMS))
        >>> [found and found.reason for found in index.search(["Tell me: what is 3 + 4", "Why?"])]
        ['contaminated: sums 1 1.00', None]
    """

    def __init__(self, problems: pl.DataFrame) -> None:
        import numpy as np

        self._problems = problems
        texts = problems["problem"].to_list()
        self._vocabulary = Vocabulary(texts)
        ids, rows = self._vocabulary.encode(texts)
        self._ids = _split(ids, rows, len(texts))
        self._masked = [self._vocabulary.mask(text) for text in self._ids]
        self._evidence = np.array([int((text > Vocabulary.NUMBER).sum()) for text in self._masked])
        self._distinct = np.array(
            [np.unique(text[text > Vocabulary.NUMBER]).size for text in self._masked]
        )
        self._exact = RunIndex(self._ids, RUN)
        self._without_numbers = RunIndex(self._masked, MASKED_RUN)

    def search(self, texts: Iterable[str]) -> Iterator[Containment | None]:
        """Yield, for each text, the benchmark problem most of whose runs occur in it, or None."""
        remaining = iter(texts)
        while batch := list(islice(remaining, BATCH)):
            yield from self._search(batch)

    def _search(self, texts: Sequence[str]) -> list[Containment | None]:
        best: list[Containment | None] = [None] * len(texts)
        for row, problem, share, but_for_numbers in self._found(texts):
            other = best[row]
            if other is None or (other.but_for_numbers, -other.share) > (but_for_numbers, -share):
                benchmark, problem_id, _ = self._problems.row(problem)
                best[row] = Containment(benchmark, problem_id, share, but_for_numbers)
        return best

    def _found(self, texts: Sequence[str]) -> Iterator[tuple[int, int, float, bool]]:
        ids, rows = self._vocabulary.encode(texts)
        masked = self._vocabulary.mask(ids)
        exact = {
            (int(row), int(problem)): float(share)
            for row, problem, share in zip(*self._exact.shares(ids, rows), strict=True)
            if share > SHARE
        }
        by_row = _split(ids, rows, len(texts))
        for row, problem, share in zip(*self._without_numbers.shares(masked, rows), strict=True):
            if share > MASKED_SHARE:
                pair = int(row), int(problem)
                own = exact.get(pair, 0.0)
                if own < 1 and (own or self._is_evident(problem, by_row[row])):
                    exact.pop(pair, None)
                    yield *pair, float(share), True
        for pair, share in exact.items():
            yield *pair, share, False

    def _is_evident(self, problem: int, text: "Array") -> bool:
        """Return True if a problem whose masked runs occur in a text is more than a phrase."""
        if self._distinct[problem] >= EVIDENCE:
            return True
        own = self._ids[problem]
        if len(text) > FRAME * len(own):
            return False
        return bool(self._evidence[problem] >= EVIDENCE) or self._is_same_but_one(problem, text)

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


def _split(ids: "Array", rows: "Array", count: int) -> "list[Array]":
    """Return the ids of each text."""
    import numpy as np

    return np.split(ids, np.searchsorted(rows, np.arange(1, count)))
