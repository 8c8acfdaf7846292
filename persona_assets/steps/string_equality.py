"""Equality of answers as texts: the weakest grader, without algebra and without a model."""

import re
import unicodedata
from collections.abc import Sequence

_SPACING = re.compile(r"\\(?:left|right|displaystyle|[,;:! ]|q?quad(?![a-z]))|[\s$~]|\\[()\[\]]")
_FONT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox|boxed)\s*\{([^{}]*)\}")


def normalised(answer: str) -> str:
    r"""Return an answer without the differences that are only typography.

    Removes math delimiters, spacing, fonts, case, a full stop and the commas of thousands, in the
    manner of the exact match of MATH (Hendrycks et al., arXiv 2103.03874).

    Example:
        >>> normalised(r"$\left( 1, \dfrac{1}{2} \right)$."), normalised("12,000")
        ('(1,\\frac{1}{2})', '12000')
    """
    text = unicodedata.normalize("NFKC", answer).replace("−", "-")
    text = re.sub(r"\\[dt]frac", r"\\frac", _FONT.sub(r"\1", text)).replace(r"\%", "%")
    text = _SPACING.sub("", text).removesuffix(".").casefold()
    without_commas = text.replace(",", "")
    return without_commas if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", text) else text


def same_text(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
    """Compare (expected, given) answers as normalised texts; an empty text equals none."""
    texts = ((normalised(expected), normalised(given)) for expected, given in pairs)
    return [expected == given != "" for expected, given in texts]
