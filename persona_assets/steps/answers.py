"""Parsers of model replies: final answer of a solution, program of a program-of-thought.

Replies are untrusted text: each function runs in time linear in the length of its input.
"""

import re
from textwrap import dedent

# Some replies escape their LaTeX twice: a box may follow two backslashes.
_BRACES = re.compile(r"\\{1,2}(?:boxed|fbox)\s*\{|\\\\|\\[{}]|[{}]")
_BARE_BOX = re.compile(r"\\(?:boxed|fbox)[ \t]+(?=\S)(?:([^\n{}$]{1,200})\$|([^\s{}$\\]+))")
_BOX_NAME = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")
_STATEMENT = re.compile(
    r"\banswer\b[^.:=]{0,60}?(?:\bis\b|:|=)[*_:\s]{0,8}|(?<!#)####(?!#)", re.IGNORECASE
)
_HEADING = re.compile(r"[#*_\s]{0,8}(?:the )?(?:final )?answer[*_\s]{0,8}", re.IGNORECASE)
_SENTENCE_END = re.compile(r"\.(?=\s|\**$)")
_MARKUP = re.compile(
    r"(\\\\)|\\(?:left|right)(?![A-Za-z])\s*|\\!|\\?\$|\\[()\[\]]|(\\[,;: ]|~|\s+)"
)
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*([\w+-]*)[^`]*")
_CODE = re.compile(r"(?:import|from|def|for|while|if|class)\s|print\(|[A-Za-z_]\w*\s*=(?!=)")
_PYTHON = frozenset({"python", "python3", "py"})


def extract_final_answer(solution: str) -> str | None:
    r"""Return the final answer of a solution, or None if the solution states no answer.

    The last balanced `\boxed{...}`, `\fbox{...}` or `\boxed 5` wins, the outermost of nested boxes.
    Without a box, the last line with `The answer is ...`, `Answer: ...` (the answer may follow on
    the next line) or `#### ...` (GSM8K) wins. A box that never closes is ignored: the reply was cut
    short.

    Dollar signs, `\left`, `\right`, spacing commands and a trailing full stop are removed.

    Example:
        >>> extract_final_answer(r"So the point is $\boxed{\left(1,\, 2\right)}$.")
        '(1, 2)'
    """
    answer = _boxed(solution)
    return _stated(solution) if answer is None else answer


def extract_program(answer: str) -> str | None:
    """Return the Python source in a reply, or None if the reply holds no program.

    The source is the last fenced block marked as Python, else the last unmarked fenced block, else
    the whole reply if its first line (except comments) is code. A fence that never closes ends with
    the reply.

    Example:
        >>> extract_program("answer = 3 * 4")
        'answer = 3 * 4'
    """
    blocks = _fenced(answer)
    if blocks:
        marked = [source for language, source in blocks if language in _PYTHON]
        plain = [source for language, source in blocks if not language]
        return next(reversed(marked or plain), None)
    lines = (line for line in answer.splitlines() if not line.lstrip().startswith("#"))
    first = next((line for line in lines if line.strip()), "")
    return dedent(answer).strip() if _CODE.match(first.lstrip()) else None


def _boxed(solution: str) -> str | None:
    """Return the content of the last box, found in a single pass with a stack of open braces."""
    start, end = -1, -1
    starts: list[int | None] = []
    for token in _BRACES.finditer(solution):
        if token[0] == "{":
            starts.append(None)
        elif token[0] == "}":
            opened = starts.pop() if starts else None
            if opened is not None and opened < token.start():
                start, end = opened, token.start()
        elif token[0].endswith("{") and token[0] != r"\{":
            starts.append(token.end())
    content = solution[start:end]
    for bare in _BARE_BOX.finditer(solution):
        if bare.start() > start:
            content = bare[1] or bare[2]
    return _tidy(_BOX_NAME.sub("", content))


def _stated(solution: str) -> str | None:
    """Return the answer on the last line that announces an answer."""
    below = ""
    for line in reversed(solution.splitlines()):
        if not line.strip():
            continue
        stated = "" if _HEADING.fullmatch(line) else None
        for match in _STATEMENT.finditer(line):
            stated = line[match.end() :]
        if stated is not None:
            stated = stated.strip(" *") or below
            return None if _BOX_NAME.search(stated) else _tidy(_first_claim(stated))
        below = line
    return None


def _first_claim(text: str) -> str:
    """Return the formula at the start of a text, else its first sentence."""
    text = text.strip(" \t*`")
    if text.startswith("$"):
        formula, closing, _ = text.lstrip("$").partition("$")
        return formula if closing else text
    return _SENTENCE_END.split(text, maxsplit=1)[0]


def _tidy(answer: str) -> str | None:
    """Remove the typography of an answer; return None if nothing is left."""
    plain = _MARKUP.sub(lambda match: match[1] or (" " if match[2] else ""), answer)
    return " ".join(plain.split()).removesuffix(".").rstrip() or None


def _fenced(reply: str) -> list[tuple[str, str]]:
    """Return (language, source) of each fenced block that is not empty."""
    blocks: list[tuple[str, list[str]]] = []
    opening = ""
    for line in reply.splitlines():
        fence = _FENCE.fullmatch(line)
        if not opening:
            if fence:
                opening = fence[1]
                blocks.append((fence[2].lower(), []))
        elif fence and fence[1].startswith(opening) and not fence[2]:
            opening = ""
        else:
            blocks[-1][1].append(line)
    sources = ((language, dedent("\n".join(lines)).strip()) for language, lines in blocks)
    return [(language, source) for language, source in sources if source]
