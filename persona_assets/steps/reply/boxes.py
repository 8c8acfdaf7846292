r"""Boxes around final answers: `\boxed{5}`, `\fbox{5}`, `\framebox{5}`, `\boxed 5`."""

import re
from dataclasses import dataclass

from persona_assets.steps.reply.typography import BOX, is_placeholder, tidy

# Some replies escape their LaTeX twice: a box may follow two backslashes.
_TOKEN = re.compile(
    r"(\\{1,2})(?:boxed|fbox|framebox(?:\[[^\]\n]{0,20}\]){0,2})\s*\{"
    r"|\\\\|\\[{}]|[{}]|(\n[ \t]*\n)|(\$|\\[)\]])"
)
_BARE = re.compile(
    r"(\\{1,2})(?:boxed|fbox)(?:[ \t]+|(?=\\[a-z]))(?=[^\s{}$A-Za-z]|[A-Za-z](?![A-Za-z]))"
    r"(?:([^\n$]{1,200})(?=\$)|([^\s{}$\\]+))"
)
_CUT_END = re.compile(r"[$\n]|\\[)\]]")
_MINUS = re.compile(
    r"(?:(?:[=$]|\\\(|\\approx)[ \t]*[-−][ \t]*|(?:\bis|:)[ \t]+[-−]|^[-−])\Z"  # a list has "- "
)
_BASE = re.compile(r"_(?:\w|\{\w+\})")
_BETWEEN = re.compile(r"[\s$]+|\\[,;:! ]|\\q?quad(?![A-Za-z])")
_JOINT = re.compile(
    r"(?=.)[,;、，]?(?:(?:\\(?:text|mbox)\{)?(?:and|und|et|и|和|与|及)\}?)?(?:[A-Za-z]\w?=)?"
    r"|,?(?:\\text\{)?(?:or|oder|ou|或)\}?[A-Za-z]\w?=",
    re.IGNORECASE,
)
_EITHER = re.compile(r"[\s.$)\]\\]{0,12}\(?either\b", re.IGNORECASE)
_LONGEST_JOINT = 60
"""Longest text, in characters, between two boxes of one answer."""


@dataclass(frozen=True)
class Box:
    """Box in a text.

    Attributes:
        start: Position of its command.
        end: Position after its closing brace.
        content: Text inside, with a minus sign before it and a base after it.
        whole: False for a box whose closing brace is missing, and that ends with the text.
    """

    start: int
    end: int
    content: str
    whole: bool = True


def boxes(text: str) -> list[Box]:
    r"""Return the boxes of a text in order: the outermost of nested boxes, and no placeholders.

    Of boxes without a closing brace the last counts. It ends with its formula or its line.

    Example:
        >>> [box.content for box in boxes(r"Give \boxed{}. So -\boxed{3}$ and $\boxed{12_{5}}$")]
        ['3', '12_{5}']
    """
    found: list[Box] = []
    spans = _spans(text)
    for number, (start, opened, close) in enumerate(spans):
        closed = close >= 0
        if not closed:
            cut = _CUT_END.search(text, opened)
            close = cut.start() if cut else len(text)
        content = text[opened:close]
        if found and start < found[-1].end:
            continue
        if not closed:
            swallows = any(later < close for later, _, _ in spans[number + 1 : number + 2])
            if swallows or content.count("{") > content.count("}"):
                continue
        content = BOX.sub("", content)
        if text.startswith(r"\\", start):
            content = content.replace(r"\\", "\\")
        if not is_placeholder(content):
            minus = "-" if _MINUS.search(text[max(0, start - 12) : start]) else ""
            base = _BASE.match(text, close + 1) if closed else None
            content = minus + content + (base[0] if base else "")
            found.append(Box(start, close + 1, content, closed or close < len(text)))
    return found


def boxed_answer(text: str, found: list[Box]) -> str | None:
    r"""Return the answer in the last of the boxes; boxes joined by "and" or commas are one answer.

    "or" joins only `x = \boxed{3}` or `x = \boxed{5}`: otherwise the second box repeats the first
    in another form.

    Example:
        >>> text = r"They are $\boxed{3}$ and $\boxed{5}$."
        >>> boxed_answer(text, boxes(text))
        '3, 5'
    """
    if not found:
        return None
    parts: list[str] = []
    later: Box | None = None
    single = _EITHER.match(text, found[-1].end) is not None
    for box in reversed(found):
        if later and (single or not _is_joint(text[box.end : later.start])):
            break
        later = box
        parts.insert(0, tidy(box.content) or "")
    return ", ".join(dict.fromkeys(part for part in parts if part)) or None


def _is_joint(between: str) -> bool:
    if len(between) > _LONGEST_JOINT:
        return False
    return _JOINT.fullmatch(_BETWEEN.sub("", between)) is not None


def _spans(text: str) -> list[tuple[int, int, int]]:
    """Return (start, start of content, end of content) of each box; the end is -1 if it is missing.

    A box that holds the end of a formula and a blank line lacks its brace: some later brace closed
    it.
    """
    spans: list[tuple[int, int, int]] = []
    open_braces: list[tuple[int, int] | None] = []
    unclosed: tuple[int, int] | None = None
    blank, formula_end = -1, -1
    for token in _TOKEN.finditer(text):
        if token[1]:
            open_braces.append((token.start(), token.end()))
        elif token[2]:
            blank = token.start()
        elif token[3]:
            formula_end = token.start()
        elif token[0] == "{":
            open_braces.append(None)
        elif token[0] == "}" and open_braces and (box := open_braces.pop()):
            if min(blank, formula_end) > box[1]:
                unclosed = max(unclosed or box, box)
                continue
            while spans and spans[-1][0] > box[0]:
                spans.pop()
            spans.append((*box, token.start()))
    for brace in open_braces:
        unclosed = max(unclosed or brace, brace) if brace else unclosed
    if unclosed:
        spans.append((*unclosed, -1))
    for bare in _BARE.finditer(text):
        spans.append((bare.start(), *bare.span(3 if bare[3] else 2)))
    return sorted(spans)
