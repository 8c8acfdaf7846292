"""JSON as models write it, read into an output model without another call.

    1. the text as it is, with LaTeX restored (latex.py), within a fence around the whole of it
    2. JSON encoded once more as a JSON string
    3. the last balanced value in the text, rewritten as JSON: no trailing comma, no comment, no raw
       line break in a string; Python's and typographic quotes, sets, True, False and None
    4. the same by the library json-repair, if it neither invents nor loses a letter or a member
    5. the value in another shape than the output model's (shapes.py), if no value has that shape

A value may be the only item of an array. Text that leaves a value open, such as an object that was
cut off, is refused, and so is an ellipsis for an item: what is missing nobody knows. Every value
is validated by the output model.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from persona_assets.generation.parsing.latex import restore_backslashes, restore_controls
from persona_assets.generation.parsing.shapes import reshape

MOST_VALUES = 16
"""Number of values in a text that are tried, from the last."""

MOST_REPAIRED = 20_000
"""Length in characters of the longest value that json-repair is given: it needs quadratic time."""

DEEPEST = 60
"""Depth of the deepest value that is read: JSON of an output model is flat."""


class ParsedJson(NamedTuple):
    """Value of an output model, and what had to be mended to read it.

    Attributes:
        value: Validated value.
        repairs: Of "fence", "latex", "string", "prose", "json", "array", "key", "shape"; empty for
            strict JSON.
    """

    value: BaseModel
    repairs: tuple[str, ...] = ()


class _Span(NamedTuple):
    """A balanced value in a text: its borders, and its source rewritten as JSON."""

    start: int
    end: int
    source: str


def read_json(text: str, output: type[BaseModel]) -> ParsedJson:
    r"""Read the value of an output model in a text.

    Raises:
        ValidationError: The text has no such value: the error of the value that was read, or of the
            text as a whole.

    Example:
        >>> class Persona(BaseModel):
        ...     persona: str
        >>> read_json('Here you are: {"persona": "a baker",}', Persona)
        ParsedJson(value=Persona(persona='a baker'), repairs=('prose', 'json'))
        >>> read_json(r'{"persona": "a friend of \theta"}', Persona).value.persona
        'a friend of \\theta'
    """
    parsed = read_strictly(text, output)
    if isinstance(parsed, ParsedJson):
        return parsed
    return _read_tolerantly(text.strip().removeprefix("\ufeff"), output, parsed)


def read_strictly(text: str, output: type[BaseModel]) -> ParsedJson | ValidationError:
    """Read a text that is nothing but JSON, apart from its LaTeX and a fence around it."""
    unfenced = _unfenced(text)
    restored = restore_backslashes(unfenced)
    try:
        value = _validated(restored, output)
    except ValidationError as error:
        return error
    repairs = ("fence",) if unfenced is not text else ()
    return ParsedJson(value, repairs if restored == unfenced else (*repairs, "latex"))


def _validated(source: str, output: type[BaseModel]) -> BaseModel:
    # As bytes, since a lone surrogate in a str is not a ValidationError but a crash.
    return output.model_validate_json(source.encode("utf-8", "surrogatepass"))


def _unfenced(text: str) -> str:
    """Return the JSON inside a markdown fence around the whole answer, else the text unchanged."""
    first, newline, rest = text.partition("\n")
    if newline and first.strip() in ("```", "```json", "```JSON") and rest.endswith("```"):
        return rest.removesuffix("```")
    return text


def _read_tolerantly(
    text: str, output: type[BaseModel], error: ValidationError, encoded: bool = False
) -> ParsedJson:
    restored = restore_backslashes(text)
    if restored.startswith('"') and not encoded:
        inner = _decoded(restored)
        if isinstance(inner, str):
            inner = inner.strip()
            parsed = read_strictly(inner, output)
            if not isinstance(parsed, ParsedJson):
                parsed = _read_tolerantly(inner, output, parsed, encoded=True)
            return ParsedJson(parsed.value, ("string", *parsed.repairs))
    latex = ("latex",) if restored != text else ()
    others: list[tuple[str, tuple[str, ...]]] = []
    spans = balanced_values(restored)
    for span in reversed(spans[-MOST_VALUES:]):
        around = restored[: span.start] + restored[span.end :]
        fenced = around.strip("`~ \n\r\tjsonJSON") == ""
        place = () if not around.strip() else ("fence",) if fenced else ("prose",)
        for source, repairs in _readings(restored[span.start : span.end], span.source):
            repairs = (*place, *latex, *repairs)
            try:
                return ParsedJson(_validated(source, output), repairs or ("json",))
            except ValidationError as other:
                if other.errors(include_url=False, include_context=False)[0]["type"] != (
                    "json_invalid"
                ):
                    error = other
                    others.append((source, repairs))
    for source, repairs in others:
        value, changes = reshape(_decoded(source), output)
        if changes:
            try:
                shaped = json.dumps(value)
                return ParsedJson(_validated(shaped, output), (*repairs, *changes))
            except ValidationError as other:
                error = other
    raise error


def _readings(raw: str, source: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Iterate over JSON that a value may mean, and the repairs that led to it."""
    repairs: tuple[str, ...] = ()
    value = _decoded(raw)
    if value is None:
        repairs, value = ("json",), _decoded(source)
        if value is None:
            value = _repaired(source)
            if value is None:
                return
            source = json.dumps(value)
    else:
        source = raw
    if isinstance(value, list) and len(value) == 1:
        yield json.dumps(value[0]), (*repairs, "array")
    else:
        yield source, repairs


def _decoded(source: str) -> object:
    """Return the value of strict JSON; None if it is no JSON, or null."""
    try:
        return json.loads(source)
    except (ValueError, RecursionError):
        return None


def _repaired(source: str) -> object:
    """Return the value that json-repair reads; None if its letters are not those of the source."""
    if len(source) > MOST_REPAIRED:
        return None
    import json_repair

    try:
        value = json_repair.repair_json(source, return_objects=True, skip_json_loads=True)
        written = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    same = _letters(written) == _letters(source) and _members(written) == _members(source)
    return value if same and isinstance(value, dict | list) else None


_NO_LETTER = re.compile(r"[\W_]+")
_INSIDE = re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL)


def _letters(source: str) -> str:
    return _NO_LETTER.sub("", source)


def _members(source: str) -> int:
    """Return the number of colons outside of strings."""
    return _INSIDE.sub("", source).count(":")


_OPEN = re.compile(
    r"""\{(?=\s*(?:["'“”‘’}{/#]|\w+["']?\s*:))|\[(?=\s*(?:["'“”‘’{\[\]/#\d-]|(?:true|false|null|True|False|None)\b))"""
)
"""Brackets that may begin a value, rather than stand in prose."""

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<open>[{\[])|(?P<close>[}\]])|(?P<mark>[,:])|(?P<quote>["'“”‘’])"""
    r"""|(?P<comment>//[^\n]*|\#[^\n]*|/\*)|(?P<word>[^\s,:{}\[\]"'“”‘’]+)"""
)
_WORDS = {"True": "true", "False": "false", "None": "null", "undefined": "null"}
_CLOSERS = {'"': '"', "“": '”“"', "”": '”"', "'": "'", "‘": "’'", "’": "’"}
_NEXT = {
    closers: re.compile(rf"\\.|[{re.escape(closers)}]", re.DOTALL) for closers in _CLOSERS.values()
}
_KEY = re.compile(r"\s*:")
_VALUE = re.compile(
    r"""\s*(?:[}\]]|\Z|//|/\*|\#|,\s*(?:["'“‘}\]{\[/#]|\Z|[A-Za-z_]\w{0,60}\s*:)|["'“‘][^"'\\\n]{1,60}["'”’]\s*:)"""
    r"""|\s*\n\s*["'“‘]"""
)
_ITEM = re.compile(
    r"""\s*(?:[}\]]|\Z|//|/\*|\#|,\s*(?:["'“‘}\]{\[/#\d-]|\Z|(?:true|false|null|True|False|None)\b))"""
    r"""|\s*\n\s*["'“‘]"""
)
"""What follows the quote that ends a key, the value of a member, or an item of an array. A quote in
front of anything else is part of the string."""

_SET = re.compile(
    r"""\{\s*+(?:(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')\s*+(?:,\s*+)?(?=["'}]))+\}"""
)
"""Python's set of strings."""

_TO_ESCAPE = re.compile(r"\\(.)|[\"\x00-\x1f]", re.DOTALL)


def balanced_values(text: str) -> list[_Span]:
    """Return the objects and arrays in a text that are no part of another.

    Args:
        text: Text whose backslashes are those of JSON (see `restore_backslashes`).

    Returns:
        None of them if the last one is left open, or a bracket closes another's.

    Example:
        >>> [span.source for span in balanced_values("Of {x}: {'a': [1, 2,],} or {'b': None}")]
        ['{"a": [1, 2]}', '{"b": null}']
        >>> balanced_values('{"a": [1, 2')
        []
    """
    spans: list[_Span] = []
    position = 0
    while (opening := _OPEN.search(text, position)) is not None:
        span = _balanced_value(text, opening.start())
        if span is None:
            return []
        spans.append(span)
        position = span.end
    return spans


def _balanced_value(text: str, start: int) -> _Span | None:
    """Read the value that begins at `start`; None if it does not end."""
    out: list[str] = []
    stack: list[str] = []
    # Last part that is no white space, and its place in `out`.
    last, place = "", 0
    position = start
    while (token := _TOKEN.match(text, position)) is not None:
        kind, part = token.lastgroup, token[0]
        position = token.end()
        if kind == "space":
            out.append(" ")
            continue
        if kind == "comment":
            if part == "/*":
                end = text.find("*/", position)
                if end < 0:
                    return None
                position = end + 2
            out.append(" ")
            continue
        if kind == "open":
            if len(stack) == DEEPEST:
                return None
            if _SET.match(text, token.start()):
                stack.append("<")
                part = "["
            else:
                stack.append(part)
        elif kind == "close":
            opening = stack.pop() if stack else ""
            if opening + part not in ("{}", "[]", "<}"):
                return None
            part = "]" if opening == "<" else part
            if last == ",":
                del out[place:]
        elif kind == "quote":
            is_key = stack[-1] == "{" and last != ":"
            after = _KEY if is_key else _VALUE if stack[-1] == "{" else _ITEM
            closing = _end_of_string(text, position, _CLOSERS[part], after)
            if closing is None:
                return None
            part, position = _string(text[position:closing]), closing + 1
        elif kind == "word":
            if not part.strip(".…"):
                return None
            part = _WORDS.get(part, part)
        place, last = len(out), part
        out.append(part)
        if kind == "close" and not stack:
            return _Span(start, position, "".join(out))
    return None


def _end_of_string(text: str, start: int, closers: str, after: re.Pattern[str]) -> int | None:
    """Return the place of the quote that ends a string; None if none does."""
    for match in _NEXT[closers].finditer(text, start):
        if match[0][0] != "\\" and after.match(text, match.end()):
            return match.start()
    return None


def _string(raw: str) -> str:
    """Return the inside of a string as a JSON string."""

    def escape(match: re.Match[str]) -> str:
        if match[1] is not None:
            return match[1] if match[1] == "'" else match[0]
        return json.dumps(match[0])[1:-1]

    return f'"{_TO_ESCAPE.sub(escape, restore_controls(raw))}"'
