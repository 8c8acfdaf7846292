"""Step `python_code`: the program in an answer, without the fence and the prose around it."""

import ast
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from persona_assets.postprocess import RunProgram

MOST_CHARACTERS = 50_000
"""Length of the longest program."""

DEEPEST = 100
"""Most levels of a syntax tree: what walks it by recursion then needs no limit of its own."""

MOST_PROSE = 50
"""Number of lines of prose below a program that are taken off."""

_FENCED = re.compile(
    r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^[ \t]*\1|\Z)", re.MULTILINE | re.DOTALL
)
_BEGINS_CODE = re.compile(r"(?:import|from|def|async def|class|@|#|\"\"\"|''')|\w+(?:: \w+)? = ")


class PythonCode:
    """Step that finds the program: of fenced blocks the longest that is Python."""

    version = "1"
    columns: Mapping[str, pl.DataType] = {"code": pl.String()}
    needs: Sequence[str] = ()

    def __call__(
        self, answer: Mapping[str, Any], origin: Mapping[str, Any], run: RunProgram
    ) -> Mapping[str, Any] | str:
        """Return the program in the answer's field `code`, or in its first text."""
        texts = (value for value in answer.values() if isinstance(value, str))
        text = answer["code"] if "code" in answer else next(texts, "")
        reason = "no code"
        for number, source in enumerate(_programs(text)):
            tree = parsed(source)
            if isinstance(tree, ast.Module) and _is_code(tree):
                return {"code": source.strip("\n")}
            # Where the whole answer is no program, the error in its code tells more.
            if number < 2 and isinstance(tree, str):
                reason = tree
        return f"python_code: {reason}"


STEP = PythonCode()


def parsed(source: str) -> ast.Module | str:
    """Return the syntax tree of a program, or the reason for having none.

    Example:
        >>> parsed("def double(x): return 2 *")
        'invalid syntax'
    """
    if len(source) > MOST_CHARACTERS:
        return f"longer than {MOST_CHARACTERS:,} characters"
    try:
        with warnings.catch_warnings():
            # Such as an escape that Python does not know.
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except SyntaxError as error:
        return re.sub(r" \(.*\)", "", error.msg)
    except (ValueError, RecursionError, MemoryError):
        return "no text that Python can read"
    return tree if _depth(tree) <= DEEPEST else "nested too deeply"


def _depth(tree: ast.AST) -> int:
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def _is_code(tree: ast.Module) -> bool:
    """Return True if a program does something: a word alone is Python, too."""
    return any(not isinstance(node, ast.Expr) for node in tree.body)


def _programs(text: str) -> Iterator[str]:
    """Iterate over texts that may be the program, the most likely first."""
    yield text
    blocks = [match[2] for match in _FENCED.finditer(text)]
    if blocks:
        yield from sorted(blocks, key=len, reverse=True)
        return
    lines = text.splitlines()
    starts = (place for place, line in enumerate(lines) if _BEGINS_CODE.match(line))
    start = next(starts, None)
    if start is None:
        return
    for end in range(len(lines), max(start, len(lines) - MOST_PROSE), -1):
        yield "\n".join(lines[start:end])
        # The prose below a program begins at the margin.
        if lines[end - 1][:1].isspace() or _BEGINS_CODE.match(lines[end - 1]):
            return
