"""Parsers of model replies: final answer of a solution, program of a program-of-thought.

Replies are untrusted text: each function runs in time linear in the length of its input.
"""

import re
from textwrap import dedent

from persona_assets.steps.reply.boxes import boxed_answer, boxes
from persona_assets.steps.reply.statements import claim, conclusion, next_turn, statements
from persona_assets.steps.reply.text import (
    PYTHON,
    fenced_blocks,
    prose,
    tagged_answer,
    visible_text,
)

VERSION = "2"
"""VERSION of the parsers, bumped by hand when their results change: part of a code version."""

_CODE = re.compile(r"(?:import|from|def|for|while|if|class)\s|print\(|[A-Za-z_]\w*\s*=(?!=)")


def extract_final_answer(solution: str) -> str | None:
    r"""Return the final answer of a solution, or None if the solution states no answer.

    Thinking, code, chat-template tokens and turns that the model made up after its answer are no
    part of a solution. What remains is searched in this order:

    1. the last `<answer>...</answer>`;
    2. the last box: `\boxed{...}`, `\fbox{...}`, `\framebox{...}` or `\boxed 5`, the outermost of
       nested boxes. Boxes joined by "and" or a comma are one answer. A box without its closing
       brace ends with its formula or line; if it ends with the reply, it counts only where no
       other box or sentence states an answer;
    3. the last sentence `The answer is ...`, `Answer: ...` (the answer may follow on the next line)
       or `#### ...` (GSM8K), in English, Chinese and other languages;
    4. the last sentence if it draws a conclusion (`So x = 5.`).

    Placeholders such as `\boxed{}` and `\boxed{answer}`, which repeat the instruction, are no
    answers, and a bare value is no solution: by that, benchmarks with and without worked solutions
    are told apart. Dollar signs, `\left`, `\right`, spacing commands and a trailing full stop are
    removed.

    Args:
        solution: Reply that ended by itself; the last value of a reply cut short may be incomplete.

    Example:
        >>> extract_final_answer(r"So the point is $\boxed{\left(1,\, 2\right)}$.")
        '(1, 2)'
        >>> extract_final_answer("<think>Is it 3?</think>The answer is $4$.")
        '4'
    """
    text = prose(visible_text(solution))
    tagged = tagged_answer(text)
    if tagged is None:
        return _last_stated(text) or conclusion(text)
    lines = [line for line in tagged.splitlines() if line.strip()]
    return _last_stated(tagged) or conclusion(tagged) or claim(lines[-1])


def extract_program(answer: str) -> str | None:
    """Return the Python source in a reply, or None if the reply holds no program.

    The source is the last fenced block marked as Python, else the last unmarked fenced block (one
    of code, if there is one), else the whole reply if its first line (except comments) is code. A
    fence that never closes ends with the reply. Thinking holds no program.

    Example:
        >>> extract_program("answer = 3 * 4")
        'answer = 3 * 4'
    """
    text = visible_text(answer)
    fenced = [(language, dedent(source).strip()) for language, source in fenced_blocks(text)]
    if blocks := [(language, source) for language, source in fenced if source]:
        marked = [source for language, source in blocks if language in PYTHON]
        plain = [source for language, source in blocks if not language]
        code = [source for source in plain if any(map(_CODE.match, source.splitlines()))]
        return next(reversed(marked or code or plain), None)
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    first = next((line for line in lines if line.strip()), "")
    return dedent(text).strip() if _CODE.match(first.lstrip()) else None


def _last_stated(text: str) -> str | None:
    """Return the last box, else the last statement, before any turn that the model made up."""
    found, said = boxes(text), statements(text)
    starts = [box.start for box in found if box.whole] + [statement.start for statement in said]
    turn = next_turn(text, min(starts)) if starts else None
    if turn is not None:
        found = [box for box in found if box.start < turn]
        said = [statement for statement in said if statement.start < turn]
    whole = [box for box in found if box.whole]
    if whole or not said:
        return boxed_answer(text, whole or found)
    return said[-1].answer
