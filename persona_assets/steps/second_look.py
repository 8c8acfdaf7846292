"""Second look at a neighbour: has it the numbers and formulas of the problem, and most words?

Without the cosine this would be no evidence: problems of one exercise sheet share words, and many
have the same few numbers. It asks for less than the search by words, which needs runs of tokens.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from math import log
from typing import NamedTuple

from persona_assets.steps.problem_tokens import DIAGRAM, FORMULA, tokens

VERSION = "1"
"""Version of the rule."""

SHARE = 0.7
"""Share of a problem's tokens, rare tokens weighing more, above which a neighbour contains it."""
REMEMBERED = 4096
"""Number of texts whose tokens are remembered."""
FORMULA_TOKENS = 5
"""Tokens of a formula that is evidence where a problem has no number."""


class SecondLook:
    """Problems, looked for in texts of similar meaning.

    Args:
        problems: Problems that must not occur.

    Example:
        >>> look = SecondLook(["A tram has $24$ seats. How many seats have $3$ trams?"])
        >>> look.share(0, "How many seats have 3 trams if a tram has 24?") > SHARE
        True
        >>> look.share(0, "How many seats have 5 trams if a tram has 24?")
        0.0
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self._problems = problems
        self._tokens = [Counter(tokens(problem)) for problem in problems]
        self._numbers = [_numbers(found) for found in self._tokens]
        with_token = Counter(token for found in self._tokens for token in found)
        self._weights = {
            token: log((len(problems) + 1) / (count + 0.5)) for token, count in with_token.items()
        }
        self._formulas = lru_cache(maxsize=None)(self._read_formulas)
        # The neighbours of a text come in a row, but for the edges of blocks.
        self._read = lru_cache(maxsize=REMEMBERED)(_Text.of)

    def share(self, problem: int, text: str) -> float:
        """Return the share of a problem's tokens in a text; 0 for other numbers or formulas.

        Args:
            problem: Number of the problem.
            text: Text of similar meaning.
        """
        given = self._read(text)
        if self._numbers[problem] != given.numbers:
            return 0.0
        formulas = self._formulas(problem)
        if not all(f" {' '.join(formula)} " in given.in_a_row for formula in formulas):
            return 0.0
        longest = max(map(len, formulas), default=0)
        if not self._numbers[problem] and longest < FORMULA_TOKENS:
            return 0.0
        own = self._tokens[problem]
        whole = sum(self._weights[token] * count for token, count in own.items())
        common = own & given.tokens
        return sum(self._weights[token] * count for token, count in common.items()) / whole

    def _read_formulas(self, problem: int) -> list[list[str]]:
        text = DIAGRAM.sub(" ", self._problems[problem])
        found = (tokens(formula) for formula in FORMULA.findall(text))
        return [formula for formula in found if formula]


class _Text(NamedTuple):
    """Tokens of a text, its numbers among them, and all of them in a row."""

    tokens: Counter[str]
    numbers: dict[str, int]
    in_a_row: str

    @classmethod
    def of(cls, text: str) -> "_Text":
        found = tokens(text)
        counts = Counter(found)
        return cls(counts, _numbers(counts), f" {' '.join(found)} ")


def _numbers(found: Counter[str]) -> dict[str, int]:
    return {token: count for token, count in found.items() if token[0].isdigit() or token[0] == "."}
