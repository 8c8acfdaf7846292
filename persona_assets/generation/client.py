"""One attempt over HTTP, by way of the `openai` package."""

import asyncio
from typing import TYPE_CHECKING, Any

from persona_assets.generation.call import Call
from persona_assets.generation.endpoint import Endpoint
from persona_assets.generation.errors import EndpointRefused, EndpointUnreachable
from persona_assets.generation.fault import (
    Fault,
    fault_of_response,
    parse_object,
    stop_sentence,
    unreachable_sentence,
)
from persona_assets.generation.record import Record, as_list

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CONNECT = 10.0
"""Seconds in which a connection must stand."""

SECRET = 12
"""Shorter keys are placeholders ("none", "local"), which an answer may well contain."""


def open_client(endpoint: Endpoint, api_key: str | None = None) -> "AsyncOpenAI":
    """A client that leaves retries and deadlines to the engine.

    Uses aiohttp as transport: 2 to 5 times the requests a second of the package's default.
    `api_key` stands in for the environment's: a server that this process started has its own.
    Raises EndpointRefused if the key is missing.
    """
    import httpx2
    from openai import AsyncOpenAI, DefaultAioHttpClient

    timeout = httpx2.Timeout(endpoint.timeout, connect=min(CONNECT, endpoint.timeout))
    limits = httpx2.Limits(
        max_connections=endpoint.concurrency, max_keepalive_connections=endpoint.concurrency
    )
    return AsyncOpenAI(
        api_key=api_key or endpoint.api_key(),
        base_url=endpoint.base_url,
        timeout=timeout,
        max_retries=0,
        http_client=DefaultAioHttpClient(timeout=timeout, limits=limits),
    )


def check(endpoint: Endpoint) -> None:
    """Lists the endpoint's models, which is free.

    Raises EndpointRefused if the key is missing or not accepted, EndpointUnreachable if there is no
    connection. A server that cannot list its models passes.
    """
    key = endpoint.api_key()
    import httpx2
    import openai

    stop = unreachable = ""
    with openai.OpenAI(
        api_key=key, base_url=endpoint.base_url, timeout=CONNECT, max_retries=1
    ) as client:
        try:
            client.get("/models", cast_to=httpx2.Response)
        except openai.AuthenticationError:
            stop = stop_sentence(endpoint, 401)
        except openai.APIStatusError:
            pass
        except openai.APIConnectionError:
            unreachable = unreachable_sentence(endpoint, "no connection")
    # Raised out here, so that no exception of the client, which knows the key, is its context.
    if stop:
        raise EndpointRefused(stop)
    if unreachable:
        raise EndpointUnreachable(unreachable)


async def post(
    client: "AsyncOpenAI", endpoint: Endpoint, call: Call, timeout: float
) -> Record | Fault:
    """Sends `call` once and gives it `timeout` seconds in all."""
    import aiohttp
    import httpx2
    import openai

    try:
        async with asyncio.timeout(timeout):
            response = await client.post(
                call.url, cast_to=httpx2.Response, body={"model": endpoint.model, **call.body}
            )
    except openai.APIStatusError as error:
        text = _without(client.api_key, error.response.text)
        return fault_of_response(endpoint, error.status_code, error.response.headers, text)
    except (openai.APIConnectionError, aiohttp.ClientError) as error:
        return _fault_of_connection(error)
    except TimeoutError:
        return Fault("timeout", f"no answer within {timeout:.0f} s")
    body = parse_object(_without(client.api_key, response.text))
    request_id = response.headers.get("x-request-id", "")
    if body is None or not _answers(call.url, body):
        message = f"HTTP {response.status_code} without the JSON of an answer"
        return Fault("malformed", message, status_code=response.status_code, request_id=request_id)
    return Record(
        key=call.key,
        status_code=response.status_code,
        body=body,
        request_id=request_id,
        model=endpoint.model,
        prompt_version=call.prompt_version,
    )


def _answers(url: str, body: dict[str, Any]) -> bool:
    return bool(as_list(body.get("data" if url.endswith("embeddings") else "choices")))


def _without(key: str, text: str) -> str:
    """A server that echoes the key must not get it into the journal."""
    return text.replace(key, "[API key]") if len(key) >= SECRET and key in text else text


def _fault_of_connection(error: BaseException) -> Fault:
    import aiohttp
    import httpx2

    # The aiohttp transport reports a refused connection and a dropped one alike, as a timeout of
    # the connection: only the chain of causes tells them apart.
    cause: BaseException | None = error
    code = "connection"
    while cause is not None:
        if isinstance(cause, aiohttp.ClientConnectorError | httpx2.ConnectError):
            return Fault("connection", f"no connection: {_reason(cause)}", connected=False)
        if isinstance(cause, httpx2.ReadTimeout | httpx2.WriteTimeout | httpx2.PoolTimeout):
            code = "timeout"
        error, cause = cause, cause.__cause__
    return Fault(code, f"the connection broke: {type(error).__name__}")


def _reason(error: BaseException) -> str:
    system = getattr(error, "os_error", None)
    return (getattr(system, "strerror", None) or type(error).__name__) if system else str(error)
