"""Second look at a neighbour: has it the numbers and formulas of the problem, and are these rare?

Problems of one exercise sheet are neighbours, and many have the same few numbers. Two texts of
similar meaning are taken for one problem if they have the same numbers, if all formulas of the
problem occur, and if these and the words in common are evidence enough. No run of words is needed,
as in the search by words: a problem that is told anew has hardly any.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from math import log
from typing import NamedTuple

from persona_assets.steps.problem_tokens import DIAGRAM, FORMULA, tokens

VERSION = "1"
"""Version of the rule."""

EVIDENCE = 1.0
"""Evidence above which a neighbour contains a problem; see `Resemblance`."""
SHARE_WEIGHT = 0.5
"""Evidence of all words in common."""
FORMULA_TOKENS = 3
"""Tokens of the shortest formula that is evidence: a shorter one is the name of a variable."""
REMEMBERED = 4096
"""Number of texts whose tokens are remembered."""


_NEW_LINE = re.compile(r"\\\\(?!\w)")


class Resemblance(NamedTuple):
    """Resemblance of a text to a problem.

    Attributes:
        share: Share of the problem's tokens that occur in the text, rare tokens weighing more.
        evidence: Weight of the numbers and formulas in common, where a token of a single problem
            weighs 1, and `SHARE_WEIGHT` times the share.

    Both are 0 if the numbers differ, or a formula is missing.
    """

    share: float
    evidence: float


class SecondLook:
    """Problems, compared with texts of similar meaning.

    Args:
        problems: Problems that must not occur; the rarity of a token is that among them.

    Example:
        >>> look = SecondLook(["A tram has $24$ seats. How many seats have $3$ trams?"])
        >>> look.compare(0, "If 24 people sit in a tram, how many sit in 3?").evidence > EVIDENCE
        True
        >>> look.compare(0, "If 24 people sit in a tram, how many sit in 5?").evidence
        0.0
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self._problems = problems
        self._tokens = [Counter(tokens(problem)) for problem in problems]
        self._numbers = [_numbers(found) for found in self._tokens]
        with_token = Counter(token for found in self._tokens for token in found)
        single = log((len(problems) + 1) / 1.5)
        self._weights = {
            token: log((len(problems) + 1) / (count + 0.5)) / single
            for token, count in with_token.items()
        }
        self._formulas = cache(self._read_formulas)
        # The neighbours of a text come in a row, but for the edges of blocks.
        self._read = lru_cache(maxsize=REMEMBERED)(_Text.of)

    def compare(self, problem: int, text: str) -> Resemblance:
        """Return the resemblance of a text to a problem.

        Args:
            problem: Number of the problem.
            text: Text of similar meaning.
        """
        given, numbers = self._read(text), self._numbers[problem]
        if numbers != given.numbers:
            return Resemblance(0.0, 0.0)
        formulas = self._formulas(problem)
        if not all(formula in given.in_a_row for formula in formulas):
            return Resemblance(0.0, 0.0)
        share = self.share(problem, text)
        rare = self._weight(numbers) + sum(formulas.values())
        return Resemblance(share, rare + SHARE_WEIGHT * share)

    def share(self, problem: int, text: str) -> float:
        """Return the share of a problem's tokens that occur in a text, rare tokens weighing more.

        Args:
            problem: Number of the problem.
            text: Text of similar meaning, whatever its numbers.
        """
        own = self._tokens[problem]
        return self._weight(own & self._read(text).tokens) / (self._weight(own) or 1.0)

    def _read_formulas(self, problem: int) -> dict[str, float]:
        """Return the tokens of each formula, in a row, with the weight of its evidence."""
        found: dict[str, float] = {}
        formulas = FORMULA.findall(DIAGRAM.sub(" ", self._problems[problem]))
        lines = (line for formula in formulas for line in _NEW_LINE.split(formula))
        for line in lines:
            # A formula may end in the middle of `\\end{align}`.
            if read := tokens(f"{line}}}"):
                words = Counter(token for token in read if not _is_number(token))
                weight = self._weight(words) if len(read) >= FORMULA_TOKENS else 0.0
                found[_in_a_row(read)] = weight
        return found

    def _weight(self, counts: Counter[str]) -> float:
        weights = self._weights
        return sum(weights.get(token, 0.0) * count for token, count in counts.items())


class _Text(NamedTuple):
    """Tokens of a text, its numbers among them, and all of them in a row."""

    tokens: Counter[str]
    numbers: Counter[str]
    in_a_row: str

    @classmethod
    def of(cls, text: str) -> "_Text":
        found = tokens(text)
        counts = Counter(found)
        return cls(counts, _numbers(counts), _in_a_row(found))


def _numbers(counts: Counter[str]) -> Counter[str]:
    return Counter({token: count for token, count in counts.items() if _is_number(token)})


def _is_number(token: str) -> bool:
    return token[0].isdigit() or token[0] == "."


def _in_a_row(found: Sequence[str]) -> str:
    return f" {' '.join(found)} "
