"""Sentences that state an answer: `The answer is 5`, `#### 5`, `答案是5`."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from persona_assets.steps.reply.typography import BOX, is_placeholder, tidy

_NOUN = r"answers?|antwort|lösung|réponse|respuesta|resposta|risposta|antwoord|ответ"
_VERB = r"is|are|be|equals|ist|sind|lautet|lauten|est|sont|es|son|é|è|são|sono|равен"
_STATEMENT = re.compile(
    rf"\b(?:{_NOUN})\b(?:,\s?\w{{1,12}},)?[^.,:：=?!。]{{0,60}}?"
    rf"(?:\b(?:{_VERB})\b|[:：=]|\s[—–]\s)[*_:：=\s]{{0,8}}"
    r"|答案(?:应该|应当|应|就|便|即|只能|一定)?(?:是|为|為|等于|选|選|[:：＝=])[*_:：=\s]{0,8}"
    r"|(?:\b答[:：]|答えは?[:：]?|정답은|답은|(?:정답|답)[:：]|故选[:：]?)[*_\s]{0,8}"
    r"|(?<!#)####(?!#)",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"[#*_\s]{0,8}(?:(?:the )?(?:final )?answer|(?:最终|最后)?答案)[*_\s]{0,8}", re.IGNORECASE
)
_NEXT_TURN = re.compile(
    r"^[ \t]*(?:\#{1,6}[ \t]*|\*\*[ \t]*)?(?:"
    r"(?:next |new |another )?(?:question|problem|human|user|q)[ \t]*[:：]"
    r"|(?:question|problem|exercise|example|q)[ \t]*\#?[ \t]*\d{1,4}[ \t]*(?:[:：.)*]|$)"
    r"|\#{2,6}[ \t]*(?:instruction|question|problem|user|human|input)\b"
    r"|(?:问题|题目|问|例题?)[ \t]*\d{0,4}[ \t]*[:：])".replace(r"\#", "#"),
    re.IGNORECASE | re.MULTILINE,
)

_LEAD_IN = re.compile(
    r"(?:(?:therefore|thus|then|hence|simply|just|indeed|clearly|still|also|now|given by|equal to"
    r"|written as|expressed as)[,:]?\s+|[=:]\s*)*",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(
    r"(?:(?:in)?correct|right|wrong|verified|reasonable|valid|clear|obvious|known|unclear|below|above"
    r"|as follows|based on|not|that|to be|found|provided|expected|supposed|an? (?:integer|number)"
    r"|in (?:the form|simplest|terms)|of the form|because|what|given|boxed)\b",
    re.IGNORECASE,
)
"""Words after "the answer is" that state no answer."""

_TITLE = re.compile(r"[\s*_]*[^\W\d_]{3}")
_DELIMITERS = frozenset({"$$", "$", r"\[", r"\(", r"\\[", "---", "***", "**", "```"})
_LONGEST_BELOW = 80
"""Longest line, in characters, that is an answer under the heading `Answer:`."""

_DOLLARS = re.compile(r"(\\\\(?![()\[\]]))|\\{1,2}[()\[\]]|\$\$")
_FORMULA = re.compile(r"\$((?:\\.|[^$\\])+)\$(?!\d)")
_AND = re.compile(
    r"\s*(?:[,;、，]\s?)?(?:and|or|und|oder|et|ou|y|o|и|или|和|或|与)?\s*(?=\$)", re.IGNORECASE
)
_UNIT = re.compile(
    r"\s*(?:\\?%|°|(?!(?:in|for|as|at|to|when|if|is|so|or|and|total|exactly)\b)"
    r"[^\W\d_]{1,20}(?:\s(?:per\s)?(?!(?:in|for|as|at|to|when|if|is|so|total)\b)[^\W\d_]{1,20}){0,2})"
    r"\s*(?=[.。*]|$)",
    re.IGNORECASE,
)
_AND_BOLD = re.compile(r"\s*(?:[,;]|and\b|or\b)\s*(?:and\s)?(?:\*\*|__)", re.IGNORECASE)
_SEVERAL = re.compile(r"[,;，、]\s|\b(?:and|or)\b|和|或", re.IGNORECASE)
_BOLD = re.compile(r"(\*\*|__)(?=\S)((?:(?!\1).)+)\1")
_SENTENCE_END = re.compile(r"(?<!\.)\.(?=\s|\**$)|。")
_REASON = re.compile(r"[,;]?\s(?:because|since|which)\b|，(?![\d$\\(-])", re.IGNORECASE)
_COPULA = re.compile(r"\s?(?:です|である|となります|になります|입니다|이다)$")

_CONCLUSION = re.compile(
    r"(?:(?:so|thus|therefore|hence|consequently|finally|in conclusion|in total)\b"
    r"|∴|所以|因此|故|于是)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")
_EQUALS = re.compile(r"(?<![<>!:≤≥≠])=")
_PREPOSITION = r"(?:in|to|from|of|for|on|at|by|with|that|are|is|was|were|left|now|more)\b"
_QUANTITY = re.compile(
    rf"([-+]?\$?[\d.,/]*\d%?)((?:\s(?!{_PREPOSITION})[^\W\d_]+){{0,3}})(?=$|\s(?:({_PREPOSITION})|))"
)
"""Number, its unit of at most three words, and a preposition behind them."""


class Statement(NamedTuple):
    """Answer, and the position of its sentence."""

    start: int
    answer: str


def statements(text: str) -> list[Statement]:
    r"""Return the answers that the lines of a text state, in order, at most one a line.

    The answer to `Answer:` may follow on the next line.

    Example:
        >>> [statement.answer for statement in statements("Answer: 5\nNo: the answer is 6.")]
        ['5', '6']
    """
    lines = list(_lines(text))
    found: list[Statement] = []
    below: str | None = None
    for start, line in reversed(lines):
        answer = _stated(line, below)
        if answer is not None:
            found.append(Statement(start, answer))
        if line not in _DELIMITERS:
            below = line
    return found[::-1]


def next_turn(text: str, position: int) -> int | None:
    r"""Return the start of the first turn after a position that a model made up (`Question: ...`).

    Example:
        >>> next_turn("#### 20\nQuestion: How many?\n#### 35", 0)
        8
    """
    turn = _NEXT_TURN.search(text, position)
    return turn.start() if turn else None


def claim(text: str) -> str | None:
    """Return the answer at the start of a text: its formula, its bold part or its first sentence.

    Example:
        >>> claim("$42$ because $40 + 2 = 42$.")
        '42'
    """
    text = _DOLLARS.sub(lambda match: match[1] or "$", text).strip()
    text = text[_lead_in(text) :]
    bold = _BOLD.match(text)
    if bold and not _AND_BOLD.match(text, bold.end()):
        text = bold[2]
    text = text.strip("*_` ")
    answer = text[: _formula_end(text)]
    if not answer:
        answer = _SENTENCE_END.split(text, maxsplit=1)[0]
        answer = _COPULA.sub("", _REASON.split(answer, maxsplit=1)[0])
    if _NO_ANSWER.match(answer) or BOX.search(answer) or is_placeholder(answer):
        return None
    return tidy(answer)


def conclusion(text: str) -> str | None:
    """Return the value that the last sentence of a text concludes with.

    Example:
        >>> conclusion("There are 3 bags of 5 apples. So there are 3 * 5 = 15 apples.")
        '15 apples'
    """
    lines = [line for _, line in _lines(text)]
    if not lines:
        return None
    sentence = [part for part in _SENTENCE.split(lines[-1]) if part.strip()][-1].lstrip("*_# $")
    _, *sides = _EQUALS.split(sentence)
    if not sides or not _CONCLUSION.match(sentence) or _SEVERAL.search("=".join(sides)):
        return None
    value = sides[-1].replace(r"\$", "").replace("$", "").strip(" .。")
    if len(value) > _LONGEST_BELOW or value.count("{") != value.count("}"):
        return None
    quantity = _QUANTITY.match(value)
    if quantity and quantity.end() < len(value):  # "12 students", but "12" of a longer phrase
        value = quantity[1] + (quantity[2] if quantity[3] else "")
    return claim(value)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Return (position, text) of the lines that are not blank."""
    position = 0
    for line in text.splitlines(keepends=True):
        if line.strip():
            yield position, line.strip()
        position += len(line)


def _stated(line: str, below: str | None) -> str | None:
    if _HEADING.fullmatch(line):
        return _under_heading(below)
    following: int | None = None
    for match in reversed(list(_STATEMENT.finditer(line))):
        opened = match.end() - 2 * match[0].endswith("**")  # The answer is **5**
        text = line[opened:following].strip()
        is_last, following = following is None, match.start()
        if not is_last and not _SENTENCE_END.search(text):
            continue  # "Final answer: the final answer is ..."
        if match[0] == "####" and below is not None and _TITLE.match(text):
            continue
        answer = claim(text) if text.strip("*_ ") else _under_heading(below)
        if answer is not None:
            return answer
    return None


def _under_heading(line: str | None) -> str | None:
    if line is None or _NEXT_TURN.match(line):
        return None
    is_short = len(line) <= _LONGEST_BELOW or line.startswith(("$", r"\(", r"\[", "**"))
    return claim(line) if is_short else None


def _lead_in(text: str) -> int:
    """Return the end of words before an answer that add nothing: `therefore`, `given by`."""
    lead_in = _LEAD_IN.match(text)
    return lead_in.end() if lead_in else 0


def _formula_end(text: str) -> int:
    """Return the end of the formulas at the start of a text, with their unit; 0 for none."""
    end = 0
    formula = _FORMULA.match(text)
    while formula:
        end = formula.end()
        joint = _AND.match(text, end)
        formula = _FORMULA.match(text, joint.end()) if joint and joint[0].strip() else None
    unit = _UNIT.match(text, end) if end else None
    return unit.end() if unit else end
