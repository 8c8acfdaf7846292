r"""Tokens of math problems, equal for the ways of writing one formula.

LaTeX, Unicode and plain text have the same tokens: delimiters, braces, spacing commands, fraction
bars and signs of multiplication are no tokens, `\le`, `≤` and `<=` are one. A number is a token,
whatever separates its thousands. Words are folded, punctuation is left out, and so are diagrams in
Asymptote, which a copy may leave out.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

VERSION = "1"
"""Version of the tokens."""

DIAGRAM = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)
"""Diagram of a problem in Asymptote."""

_NUMBER = r"\d+(?:(?:,|\{,\}|,\\!)\d{3}(?!\d))*(?:\.\d+)?|\.\d+"
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(
    r"\\(?:begin|end)\s*\{[^{}]{0,40}\}(?:\{[clr|\s]{0,40}\})?"  # environment, its columns
    r"|\\[dtc]?frac\s*\d(?=\s*[\d{])"  # \frac12
    r"|\\[a-z]+|\\.|"
    rf"{_NUMBER}"
    rf"|[{_UNSPACED}]|[^\W\d_{_UNSPACED}]+"
    r"|[-=]>|[<>!]=|\.\.+|[-+=<>|!%°√∞≤≥≠−–]",
    re.DOTALL,
)
FORMULA = re.compile(
    r"(?<!\\)\$\$.*?\$\$|(?<!\\)\$.*?(?<!\\)\$|\\\[.*?\\\]|\\\(.*?\\\)|\\begin\{align.*?\\end\{align",
    re.DOTALL,
)
"""Formula between delimiters."""
_NAME = 4
"""Most letters of a product of variables, or of a name such as that of a triangle."""
_REMEMBERED = 1 << 20
"""Most tokens whose ids are remembered as written."""
_RAISED = {ord(digit): f" {unicodedata.digit(digit)}" for digit in "⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉"}

_WORDS = "left right big text rm bf it times div limits hat boxed phantom to implies"
"""Names of layout that are words, too: layout with a backslash alone."""
_LAYOUT = (
    "frac dfrac tfrac cfrac bigl bigr bigg biggl biggr textbf textit textrm textstyle mbox mathrm "
    "mathbf mathit mathcal mathbb mathop operatorname displaystyle quad qquad nolimits vec hspace "
    "vspace cdot ldots cdots dots dotsb dotsc dotsm vdots ddots hline overline underline "
    "overrightarrow rightarrow lbrace rbrace lfloor rfloor lceil rceil"
)
"""Names of layout, with a backslash or without."""
_SAME_AS = {
    "<=": "\\le \\leq \\leqslant leq ≤",
    ">=": "\\ge \\geq \\geqslant geq ≥",
    "!=": "\\ne \\neq neq ≠",
    "<": "\\lt",
    ">": "\\gt",
    "|": "\\mid \\vert \\lvert \\rvert \\| vert",
    "-": "− –",
    "mod": "\\pmod \\bmod pmod bmod",
    "deg": "\\circ circ ° degree degrees",
    "infinity": "\\infty infty ∞",
    "percent": "\\% %",
    "sqrt": "√",
    "": "-> => \\" + " \\".join(f"{_WORDS} {_LAYOUT}".split()) + f" {_LAYOUT}",
}
"""Ways of writing a token, by the token."""
_SAME = {way: token for token, ways in _SAME_AS.items() for way in ways.split()}


def tokens(text: str) -> list[str]:
    r"""Return the tokens of a problem.

    Example:
        >>> tokens(r"Find $\dfrac{1}{2} \cdot x^{2}$.")
        ['find', '1', '2', 'x', '2']
        >>> tokens("find 1/2 * x²") == tokens(r"FIND \(\frac12x^2\)")
        True
    """
    found = (canonical(token) for token in raw_tokens(text))
    return [token for token in found if token]


def raw_tokens(text: str) -> list[str]:
    """Return the tokens of a text as written, in order; `canonical` makes them comparable."""
    if "[asy]" in text:
        text = DIAGRAM.sub(" ", text) if DIAGRAM.sub("", text).strip() else text
    if text.isascii():
        return _TOKEN.findall(text.lower())
    text = text.translate(_RAISED)
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())


def canonical(token: str) -> str:
    """Return the token that stands for all ways of writing one; empty if it is layout alone."""
    same = _SAME.get(token)
    if same is not None:
        return same
    if token[0] == "\\":
        if token.startswith(("\\begin", "\\end")):
            return ""
        if token[-1].isdigit():
            return token[-1]
        return token[1:] if token[1].isalpha() else ""
    if token[0].isdigit() or token[0] == ".":
        digits = re.sub(r"[^\d.]", "", token)
        return (digits.lstrip("0") or "0") if digits.strip(".") else ""
    if len(token) == 1 and "α" <= token <= "ω":
        return unicodedata.name(token).rsplit(" ", 1)[-1].lower()
    return token


class Vocabulary:
    """Numbers for the tokens of some problems, and for those of other texts.

    Args:
        problems: Problems whose tokens are known.

    Example:
        >>> known = Vocabulary(["Compute $7x$."])
        >>> known.encode(["compute 8 y, compute 7 x"])[0].tolist()
        [3, 1, 2, 3, 4, 5]
    """

    UNKNOWN, NUMBER, LETTER = 0, 1, 2
    """Ids of unknown words, numbers and letters; those of masked numbers and letters, too."""

    def __init__(self, problems: Iterable[str]) -> None:
        import numpy as np

        ids: dict[str, int] = {}
        # Letters inside a formula are names of variables or points, and words outside.
        inside, outside, commands = Counter[str](), Counter[str](), set[str]()
        for problem in problems:
            ids.update((token, 0) for token in tokens(problem))
            commands |= {canonical(token) for token in raw_tokens(problem) if token[0] == "\\"}
            outside.update(tokens(FORMULA.sub(" ", problem)))
            inside.update(tokens(" ".join(FORMULA.findall(problem))))
        words = {token for token, count in outside.items() if count >= inside[token]}
        self._ids = _RawIds(ids, words | commands)
        masked = [self.UNKNOWN, self.NUMBER, self.LETTER]
        for token in ids:
            ids[token] = len(masked)
            masked.append(self._ids.masked(token) or len(masked))
        self._masked = np.array(masked, np.int64)

    def encode(self, texts: Iterable[str]) -> "tuple[Array, Array]":
        """Return the ids of the tokens of all texts, and the number of each token's text."""
        import numpy as np

        raw = [raw_tokens(text) for text in texts]
        sizes = np.fromiter(map(len, raw), np.int64, len(raw))
        read = map(self._ids.__getitem__, chain.from_iterable(raw))
        ids = np.fromiter(read, np.int64, int(sizes.sum()))
        rows = np.repeat(np.arange(len(raw)), sizes)
        return ids[ids >= 0], rows[ids >= 0]

    def mask(self, ids: "Array") -> "Array":
        """Replace the ids of numbers and of letters by one id each."""
        masked: Array = self._masked[ids]
        return masked


class _RawIds(dict[str, int]):
    """Id by token as written, computed when first asked for; -1 for layout."""

    def __init__(self, ids: Mapping[str, int], words: Container[str]) -> None:
        super().__init__()
        self._known = ids
        self._words = words

    def __missing__(self, raw: str) -> int:
        token = canonical(raw)
        found = -1
        if token:
            found = self._known.get(token, 0) or self.masked(token)
        if len(self) < _REMEMBERED:
            self[raw] = found
        return found

    def masked(self, token: str) -> int:
        """Return the id of a masked number or letter; that of an unknown word otherwise."""
        if token[0].isdigit() or token[0] == ".":
            return Vocabulary.NUMBER
        if not (token.isascii() and token.isalpha()):
            return Vocabulary.UNKNOWN
        is_name = len(token) <= 2 or (len(token) <= _NAME and token not in self._words)
        return Vocabulary.LETTER if is_name else Vocabulary.UNKNOWN
