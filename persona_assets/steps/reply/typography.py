r"""Typography of an answer: `\left(1,\, 2\right)` is `(1, 2)`."""

import re

BOX = re.compile(r"\\{1,2}(?:boxed|fbox|framebox)(?![A-Za-z])")
"""Command for a box."""

_MARKUP = re.compile(
    r"(\\\\)|\\(?:left|right)(?![A-Za-z])\s*|\\!|\\?\$|\\[()\[\]]|(\\[,;: ]|~|\s+)"
)
_BOLD_MARK = re.compile(r"(?<![\w)\]}*])\*\*(?=[^\s*])|(?<=[^\s*])\*\*(?![\w(\[{\\*+-])")
_ESCAPED_TWICE = re.compile(r"(?<!\\)\\\\(?=[A-Za-z]{2})")
_TAIL = " `.,;。；，、"
_FILL = r"[\s{}()\[\]<>$\\.…,:;!*'\"_-]*"
_PLACEHOLDER = re.compile(
    rf"{_FILL}(?:(?:text|mathrm|textbf|mathbf)\{{{_FILL})?(?:"
    r"(?:(?:your|the|my|insert) )?(?:(?:final|numerical|correct) )?(?:answer|result)(?: here)?"
    r"|your (?:number|value|solution|expression)|[lc]?dots|phantom\{[^{}]*|q?quad|square"
    rf"|(?:最终|你的|您的)?答案)?{_FILL}",
    re.IGNORECASE,
)
_LONGEST_PLACEHOLDER = 60


def tidy(answer: str) -> str | None:
    r"""Remove the typography of an answer; return None if nothing is left.

    Removed are dollar signs, `\left`, `\right`, spacing commands, bold marks, a second backslash
    before a command and a trailing full stop.

    Example:
        >>> tidy(r"\left(1,\, 2\right).")
        '(1, 2)'
    """
    if r"\begin" not in answer:
        answer = _ESCAPED_TWICE.sub(r"\\", answer)
    plain = _MARKUP.sub(lambda match: match[1] or (" " if match[2] else ""), answer)
    plain = " ".join(_BOLD_MARK.sub("", plain).split()).lstrip("` ")
    kept = plain.rstrip(_TAIL)
    dots = re.match(r"\.{2,}", plain[len(kept) :])  # 0.333...
    return kept + (dots[0] if dots and kept else "") or None


def is_placeholder(answer: str) -> bool:
    r"""Return True for an answer that stands for any answer: `...`, `your answer`, `\text{answer}`.

    Example:
        >>> is_placeholder(r"\text{your answer}"), is_placeholder("5")
        (True, False)
    """
    answer = answer.strip()
    return len(answer) <= _LONGEST_PLACEHOLDER and _PLACEHOLDER.fullmatch(answer) is not None
