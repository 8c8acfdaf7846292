"""A failed reply: its codes, its message and its parameter, whatever the shape of its body.

Belongs here: shapes of bodies. Does not belong here: the meaning of a code (providers/).
"""

import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from persona_assets.generation.journal.call_record import as_list, as_object

READ = 4000
"""Characters of a message that are read."""

QUOTED = 300
"""Characters of a message that are shown."""

DEPTH = 5
"""Levels of errors inside errors: proxies wrap the error of the server behind them."""

NAMES = ("code", "type", "status", "reason", "error_type", "error_code", "errorType")
"""Members that name an error."""

MESSAGES = ("message", "msg", "detail", "details", "error_description", "error", "errors")
"""Members that hold the message, or a further error with the message."""

NESTED = ("innererror", "inner_error", "body", "response")
"""Members that hold a further error, but no message."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """A failed reply.

    Attributes:
        status: HTTP status, or the status inside a body that came with status 200.
        names: Codes, types and reasons at all levels of the error, in lower case.
        message: Sentence of the endpoint, on a single line.
        text: All messages at all levels, in lower case, for rules.
        parameters: Parameters that members of the error name, such as `param`.
        error: Error object of the body, or an empty object.
        body: Body if it is a JSON object.
    """

    status: int
    names: frozenset[str]
    message: str
    text: str
    parameters: tuple[str, ...]
    error: dict[str, Any]
    body: dict[str, Any] | None


def read_error(status: int, text: str) -> ErrorReply:
    """Read the body of a failed reply: JSON of any shape, a web page, or plain text.

    Example:
        >>> reply = read_error(400, '[{"error": {"message": "no key", "status": "DENIED"}}]')
        >>> reply.message, sorted(reply.names)
        ('no key', ['denied'])
        >>> read_error(502, "<html><title>Bad gateway</title></html>").message
        'Bad gateway'
    """
    value = _decode(text)
    found = _Found()
    found.read(value, DEPTH)
    if value is None:
        found.messages.append(_page_title(text))
    whole = [" ".join(message[:READ].split()) for message in found.messages]
    body = _first_object(value)
    error = body.get("error", body)
    return ErrorReply(
        status=status,
        names=frozenset(found.names),
        # The innermost message is that of the server which refused the call.
        message=next((message for message in reversed(whole) if message), ""),
        text=" ".join(whole)[:READ].lower(),
        parameters=tuple(dict.fromkeys(found.parameters)),
        error=_first_object(error),
        body=value or None if isinstance(value, dict) else None,
    )


def inner_status(reply: ErrorReply) -> int | None:
    """Return the HTTP status that the error object itself names, or None.

    Example:
        >>> inner_status(read_error(200, '{"error": {"code": 402, "message": "no credit"}}'))
        402
    """
    holders = (reply.error, reply.body or {})
    members = ("code", "status", "status_code", "statusCode", "http_status")
    for value in (holder.get(member) for holder in holders for member in members):
        number = int(value) if isinstance(value, str) and _is_number(value) else value
        if type(number) is int and 400 <= number < 600:
            return number
    return None


def holds_error(text: str) -> bool:
    """Return True if the body of a reply with status 200 is an error all the same.

    Example:
        >>> holds_error('{"error": {"message": "no"}}'), holds_error('{"error": null}')
        (True, False)
    """
    body = _first_object(_decode(text))
    return bool(body.get("error")) or body.get("object") == "error"


def quoted(message: str) -> str:
    """Return an endpoint's words for a message to the user: a bounded line in quotation marks.

    Example:
        >>> quoted('Your "key"\\x1b[31m is\\nwrong')
        '"Your \\'key\\'[31m is wrong"'
    """
    line = " ".join(message[:READ].split()).replace('"', "'")
    shown = "".join(char for char in line if unicodedata.category(char)[0] != "C")
    return f'"{shown if len(shown) <= QUOTED else shown[: QUOTED - 1] + "…"}"'


class _Found:
    """Names, messages and parameters, collected from all levels of an error."""

    def __init__(self) -> None:
        self.names = set[str]()
        self.messages = list[str]()
        self.parameters = list[str]()

    def read(self, value: object, depth: int) -> None:
        """Collect from a value of a body, and from what it holds up to `depth` levels below."""
        if depth == 0:
            return
        if isinstance(value, dict):
            self._read_object(value, depth)
        elif isinstance(value, list):
            for member in value[:10]:
                self.read(member, depth - 1)
        elif isinstance(value, str) and value.strip():
            self.messages.append(value)
            self.read(_inside(value), depth - 1)

    def _read_object(self, value: dict[str, Any], depth: int) -> None:
        for member in NAMES:
            name = value.get(member)
            if isinstance(name, str | int) and not isinstance(name, bool):
                self.names.add(str(name)[:100].lower())
        if isinstance(value.get("param"), str):
            self.parameters.append(value["param"])
        # A list of places, as Pydantic has it: ["body", "temperature"].
        place = [part for part in as_list(value.get("loc")) if isinstance(part, str)]
        self.parameters.extend(place[1:2])
        for member in (*NESTED, *MESSAGES[::-1]):
            inner = value.get(member)
            # In a nested object, a text is a message only under the name of a message.
            if inner is not None and not (member in NESTED and isinstance(inner, str)):
                self.read(inner, depth - 1)


def _decode(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _inside(text: str) -> object:
    """Return the JSON object that a message quotes, as proxies do; None if there is none."""
    begin, end = text.find("{"), text.rfind("}")
    return _decode(text[begin : end + 1]) if 0 <= begin < end else None


def _first_object(value: object) -> dict[str, Any]:
    """Return an object, or the first object of an array; else an empty object."""
    values: Iterable[object] = as_list(value) or [value]
    return next(filter(None, map(as_object, values)), {})


def _page_title(text: str) -> str:
    """Return the title of a web page, or any other text as it is."""
    _, opened, rest = text[:READ].partition("<title>")
    title, closed, _ = rest.partition("</title>")
    return title if opened and closed else text[:READ]


def _is_number(text: str) -> bool:
    return len(text) == 3 and text.isascii() and text.isdecimal()
