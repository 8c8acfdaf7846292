"""Adaptation: the parameters that an endpoint refuses, and what is sent in their place.

Pure functions of a refusal and of the body that was refused. A call's key is that of the request as
the prompt states it, whatever is sent. Belongs here: which change a refusal asks for. Does not
belong here: when calls are sent again (pool.py), and the file of known changes
(adaptation_file.py).
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from persona_assets.generation.calls.error_reply import ErrorReply

PROTECTED = frozenset(
    {"model", "messages", "input", "stream", "n", "dimensions", "tools", "tool_choice"}
)
"""Parameters that are never changed: without them the call asks another question."""

LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""Names of the limit on tokens, each with the other: a call is never sent without a limit."""

FORM = "response_format"
"""Parameter that is weakened first, from a schema to any JSON object, and then left out."""

STATUSES = frozenset({400, 404, 405, 422, 500, 501})
"""Statuses of refusals that may be about a parameter; 500 is that of some proxies."""

CODES = frozenset(
    {
        "unsupported_parameter",
        "unsupported_value",
        "unknown_parameter",
        "extra_forbidden",
        "unsupportedparamserror",
    }
)
"""Error codes that say: not this parameter."""

PHRASES = (
    "unsupported",
    "not supported",
    "not support",
    "doesn't support",
    "unknown parameter",
    "unknown name",
    "unknown field",
    "unknown variant",
    "unrecognized",
    "unexpected keyword",
    "extra inputs",
    "extra fields",
    "additional properties",
    "not permitted",
    "not allowed",
    "is allowed for this model",
    "only the default",
    "is unavailable",
    "not available",
    "is enabled only for",
    "is deprecated",
    "cannot both be",
    "cannot be used with",
    "must contain the word",
)
"""Phrases that say so, in lower case. A value out of its range is the user's to correct."""

ABOUT_A_SCHEMA = ("invalid schema", "invalid_json_schema")
"""Phrases about the schema of a single prompt, which say nothing about the endpoint."""

ABOUT_A_VALUE = (
    "at most",
    "maximum",
    "too large",
    "too high",
    "exceed",
    "than",
    "range",
    "between",
)
"""Phrases about the value of a limit rather than about its name."""

WORD = re.compile(r"[A-Za-z_]+")


class Change(NamedTuple):
    """A change of the body that an endpoint needs.

    Attributes:
        parameter: Parameter that the endpoint refuses.
        to: Name that takes its value, for a limit on tokens; "json_object" for a weaker
            `response_format`; "" if it is left out.
    """

    parameter: str
    to: str = ""

    def apply(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a body with the change; a body without the parameter is unchanged."""
        changed = dict(body)
        if self.parameter not in body or (self.to in LIMITS and self.to in body):
            return changed
        if self.parameter == FORM and self.to:
            form = body[FORM]
            if isinstance(form, Mapping) and form.get("type") == "json_schema":
                changed[FORM] = {"type": self.to}
            return changed
        value = changed.pop(self.parameter)
        if self.to:
            changed[self.to] = value
        return changed

    def __str__(self) -> str:
        if self.parameter == FORM and self.to:
            return f"{FORM} asks for {self.to} in place of a schema"
        return f"{self.to} in place of {self.parameter}" if self.to else f"no {self.parameter}"


def adaptation_for(reply: ErrorReply, body: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the changes of a refused body that the endpoint's refusal asks for; () if none.

    Example:
        >>> from persona_assets.generation.calls.error_reply import read_error
        >>> reply = read_error(400, '{"error": {"message": "Unknown parameter: seed."}}')
        >>> adaptation_for(reply, {"seed": 1, "messages": []})
        (Change(parameter='seed', to=''),)
    """
    if reply.status not in STATUSES or any(phrase in reply.text for phrase in ABOUT_A_SCHEMA):
        return ()
    if CODES.isdisjoint(reply.names) and not any(phrase in reply.text for phrase in PHRASES):
        return ()
    changes = (_change(name, reply, body) for name in _named(reply, body))
    return tuple(change for change in changes if change is not None)


def untried(changes: Iterable[Change], made: Collection[Change]) -> list[Change]:
    """Return the changes of parameters that no earlier change of the same call has touched.

    So a call is adapted a bounded number of times.

    Example:
        >>> there, back = Change("max_tokens", "max_completion_tokens"), Change(
        ...     "max_completion_tokens", "max_tokens"
        ... )
        >>> untried([back, Change("seed")], [there])
        [Change(parameter='seed', to='')]
    """
    touched = {change.parameter for change in made} | {change.to for change in made}
    return [
        change
        for change in changes
        if change.parameter not in touched or (change.parameter == FORM and change not in made)
    ]


def apply_all(changes: Sequence[Change], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with all changes, in their order.

    Example:
        >>> changes = [Change("max_tokens", "max_completion_tokens"), Change("seed")]
        >>> apply_all(changes, {"max_tokens": 9, "seed": 1})
        {'max_completion_tokens': 9}
    """
    changed = dict(body)
    for change in changes:
        changed = change.apply(changed)
    return changed


def difference(body: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what was sent in place of the parameters of a body; null for one left out.

    Example:
        >>> difference({"max_tokens": 9, "seed": 1}, {"max_completion_tokens": 9, "seed": 1})
        {'max_tokens': None, 'max_completion_tokens': 9}
    """
    changed = {name: sent.get(name) for name in body if sent.get(name) != body[name]}
    added = {name: value for name, value in sent.items() if name not in body}
    return {**changed, **added} or None


def joined(earlier: Sequence[Change], later: Sequence[Change]) -> tuple[Change, ...]:
    """Return the changes of both, in order, without any that a later one takes back.

    Example:
        >>> there, back = Change("max_tokens", "max_completion_tokens"), Change(
        ...     "max_completion_tokens", "max_tokens"
        ... )
        >>> joined([there, Change("seed")], [back])
        (Change(parameter='seed', to=''),)
    """
    kept = list(earlier)
    for change in later:
        inverse = Change(change.to, change.parameter)
        if inverse in kept:
            kept.remove(inverse)
        elif change not in kept:
            kept.append(change)
    return tuple(kept)


def _named(reply: ErrorReply, body: Mapping[str, Any]) -> list[str]:
    """Return the parameters of a body that a reply names: by a member, else in its message."""
    members = {_plain(name): name for name in body if name not in PROTECTED}
    if any(re.split(r"[.\[]", name)[0] in PROTECTED for name in reply.parameters):
        return []
    by_member = [
        members[plain]
        for parameter in reply.parameters
        if (plain := _plain(parameter.partition(".")[0])) in members
    ]
    words = [_plain(word) for word in WORD.findall(reply.text)]
    # A message about JSON schemas may not name the parameter that holds them.
    if FORM in body and "json_schema" in reply.text:
        words.append(_plain(FORM))
    by_word = [members[word] for word in words if word in members]
    named = list(dict.fromkeys(by_member or by_word))
    return named[-1:] if "cannot both be" in reply.text else named


def _change(name: str, reply: ErrorReply, body: Mapping[str, Any]) -> Change | None:
    if name in LIMITS:
        other = LIMITS[name]
        # A limit that is too high is the user's to correct; under another name it might be ignored.
        value = any(phrase in reply.text for phrase in ABOUT_A_VALUE) and other not in reply.text
        return None if other in body or value else Change(name, other)
    if name == FORM:
        form = body[FORM]
        schema = isinstance(form, Mapping) and form.get("type") == "json_schema"
        return Change(FORM, "json_object") if schema else Change(FORM)
    return Change(name)


def _plain(name: str) -> str:
    """Return a name as some servers write it: presencePenalty is presence_penalty."""
    return name.replace("_", "").lower()
