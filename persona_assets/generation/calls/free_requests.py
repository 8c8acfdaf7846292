"""Requests that cost nothing: whether an endpoint accepts the key, and the models that it lists."""

import json
from collections.abc import Sequence

from persona_assets.generation.calls.attempt_failure import (
    AttemptFailure,
    failure_of_response,
    unreachable_sentence,
)
from persona_assets.generation.calls.client import CONNECT, openai_arguments
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.error_reply import quoted
from persona_assets.generation.calls.errors import EndpointRefused, EndpointUnreachable
from persona_assets.generation.calls.redaction import Redactor
from persona_assets.generation.journal.call_record import as_list, as_object
from persona_assets.generation.providers import Meaning, provider_of

MOST_NAMES = 5
"""Listed names that a sentence repeats."""


def check_endpoint(endpoint: Endpoint) -> None:
    """Make sure, at no cost, that an endpoint can be reached and accepts its key.

    Most providers list their models; a server that cannot passes.

    Raises:
        EndpointRefused: The key is missing or not accepted.
        EndpointUnreachable: No connection can be made.
    """
    reply = _get(endpoint, endpoint.api_key(), provider_of(endpoint).check_path, retries=1)
    _raise_if_closed(endpoint, reply)


def is_away(endpoint: Endpoint) -> bool:
    """Return True if an endpoint does not answer a request that costs nothing, either."""
    reply = _get(endpoint, endpoint.api_key(), provider_of(endpoint).check_path, retries=0)
    return isinstance(reply, AttemptFailure) and reply.away


def served_models(endpoint: Endpoint, api_key: str | None = None) -> list[str]:
    """Return the names of the models that an endpoint lists.

    Args:
        endpoint: Endpoint to ask.
        api_key: Key in place of the environment's.

    Raises:
        EndpointRefused: The key is missing or not accepted, or the endpoint lists no model.
        EndpointUnreachable: No connection can be made.
    """
    key, path = api_key or endpoint.api_key(), provider_of(endpoint).models_path
    reply = None if path is None else _get(endpoint, key, path, retries=1)
    if reply is not None:
        _raise_if_closed(endpoint, reply)
    names = _names(reply) if isinstance(reply, str) else []
    if not names:
        status = reply.status_code if isinstance(reply, AttemptFailure) else None
        answer = f"status {status}" if status else "no name"
        raise EndpointRefused(
            f"{endpoint.host} does not list its models (GET {path or '/models'}: {answer})."
        )
    return names


def listed_models(endpoint: Endpoint) -> list[str]:
    """Return the names of the models that an endpoint lists; empty if it lists none, or fails.

    Raises:
        EndpointRefused: The key is missing, or the settings do not suffice.
    """
    key, path = endpoint.api_key(), provider_of(endpoint).models_path
    reply = None if path is None else _get(endpoint, key, path, retries=0)
    return _names(reply) if isinstance(reply, str) else []


def in_words(names: Sequence[str]) -> str:
    """Return names that a server lists, its own words, for a sentence.

    Example:
        >>> in_words(["tuned-1", "tuned-2"]), in_words("abcdefg")
        ('"tuned-1", "tuned-2"', '"a", "b", "c", "d", "e" and 2 more')
    """
    more = len(names) - MOST_NAMES
    shown = ", ".join(map(quoted, names[:MOST_NAMES]))
    return f"{shown} and {more} more" if more > 0 else shown


def _get(endpoint: Endpoint, key: str, path: str, *, retries: int) -> str | AttemptFailure:
    """Return the text that a path answers with, or the failure; it keeps no exception.

    An exception of the client knows the key, so it must not be the context of another.
    """
    import httpx2
    import openai

    arguments = openai_arguments(endpoint, key, path)
    with openai.OpenAI(**arguments, timeout=CONNECT, max_retries=retries) as client:
        try:
            return client.get(path, cast_to=httpx2.Response).text
        except openai.APIStatusError as error:
            text = Redactor(key).redact(error.response.text)
            return failure_of_response(endpoint, error.status_code, {}, text)
        except (openai.OpenAIError, httpx2.HTTPError):
            return AttemptFailure("connection", "no connection", connected=False)


def _raise_if_closed(endpoint: Endpoint, reply: str | AttemptFailure) -> None:
    """Raise if no connection was made, or the key was not accepted."""
    if isinstance(reply, str):
        return
    # Some providers send 400 for a key that they do not accept.
    if reply.code == Meaning.KEY:
        raise EndpointRefused(reply.stop)
    if not reply.connected:
        raise EndpointUnreachable(unreachable_sentence(endpoint, reply.message))


def _names(text: str) -> list[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    # Some servers send the list itself, without the object around it.
    models = value if isinstance(value, list) else as_list(as_object(value).get("data"))
    names = (as_object(model).get("id") for model in models)
    return [name for name in names if isinstance(name, str) and name]
