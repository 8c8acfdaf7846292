"""One attempt over HTTP: the `openai` package says what is sent, aiohttp sends it.

The package takes 0.4 ms of processor time for a call and its transport 0.13 ms: nearly all of it
goes into putting together, each time anew, a URL and headers that are the same for every call of an
endpoint. So it is asked for them once, and they are sent with each body.
"""

import asyncio
import json
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from persona_assets.generation.calls.attempt_failure import (
    AttemptFailure,
    failure_of_response,
    parse_object,
    stop_sentence,
    unreachable_sentence,
)
from persona_assets.generation.calls.call import Call
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.errors import EndpointRefused, EndpointUnreachable
from persona_assets.generation.calls.redaction import Redactor
from persona_assets.generation.journal.call_record import CallRecord, as_list

if TYPE_CHECKING:
    import aiohttp
    import httpx2

CONNECT = 10.0
"""Seconds in which a connection must stand."""

URLS = ("/chat/completions", "/embeddings")

PER_CONNECTION = frozenset({"host", "content-length", "connection", "accept-encoding"})
"""Headers that belong to aiohttp."""


class Client:
    """Connections to one endpoint, without retries: those are the pool's.

    `api_key` stands in for the environment's: a server that this process started has its own.
    An asynchronous context manager; entering raises EndpointRefused if the key is missing.
    """

    def __init__(self, endpoint: Endpoint, api_key: str | None = None) -> None:
        self._endpoint = endpoint
        self._api_key = api_key
        self._secret = Redactor("")
        self._prepared: dict[str, tuple[str, dict[str, str]]] = {}
        self._proxy: str | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        import aiohttp
        import httpx2

        key = self._api_key or self._endpoint.api_key()
        self._secret = Redactor(key)
        self._prepared = {url: await _prepared(self._endpoint, key, url) for url in URLS}
        address, _ = self._prepared[URLS[0]]
        self._proxy = _proxy(address)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._endpoint.concurrency,
                ssl=httpx2.create_ssl_context() if address.startswith("https:") else True,
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(
        self, call: Call, timeout: float
    ) -> tuple[CallRecord | AttemptFailure, dict[str, str]]:
        """Sends `call` once, with `timeout` seconds in all; what came back, and its headers."""
        import aiohttp

        assert self._session is not None, "the client is not open"
        address, headers = self._prepared[call.url]
        body = json.dumps({"model": self._endpoint.model, **call.body}).encode()
        try:
            async with (
                asyncio.timeout(timeout),
                self._session.post(
                    address, data=body, headers=headers, proxy=self._proxy
                ) as response,
            ):
                data = await response.read()
        except aiohttp.ConnectionTimeoutError:
            return AttemptFailure(
                "connection", f"no connection in {CONNECT:.0f} s", connected=False
            ), {}
        except TimeoutError:
            return AttemptFailure("timeout", f"no answer within {timeout:.0f} s"), {}
        except aiohttp.ClientConnectorError as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            return AttemptFailure("connection", f"no connection: {reason}", connected=False), {}
        except aiohttp.ClientError as error:
            return AttemptFailure("connection", f"the connection broke: {type(error).__name__}"), {}
        # A server that echoes the key must not get it into the journal.
        text = self._secret.out_of(data.decode("utf-8", "replace"))
        said = {name.lower(): self._secret.out_of(it) for name, it in response.headers.items()}
        if response.status != 200:
            return failure_of_response(self._endpoint, response.status, said, text), said
        answer = parse_object(text)
        request_id = said.get("x-request-id", "")
        if answer is None or not _answers(call, answer):
            message = "HTTP 200 without the JSON of an answer"
            return AttemptFailure(
                "malformed", message, status_code=200, request_id=request_id
            ), said
        record = CallRecord(
            key=call.key,
            status_code=200,
            body=answer,
            request_id=request_id,
            model=self._endpoint.model,
            prompt_version=call.prompt_version,
        )
        return record, said


def check_endpoint(endpoint: Endpoint) -> None:
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


async def _prepared(endpoint: Endpoint, key: str, url: str) -> tuple[str, dict[str, str]]:
    """Address and headers with which the `openai` package sends to `url`."""
    import httpx2
    from openai import AsyncOpenAI

    requests: list[httpx2.Request] = []

    class Keep(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: "httpx2.Request") -> "httpx2.Response":
            requests.append(request)
            return httpx2.Response(200, json={})

    async with AsyncOpenAI(
        api_key=key,
        base_url=endpoint.base_url,
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=Keep()),
    ) as client:
        await client.post(url, cast_to=object, body={})
    [request] = requests
    headers = {name: value for name, value in request.headers.items() if name not in PER_CONNECTION}
    return str(request.url), headers


def _proxy(address: str) -> str | None:
    """The proxy that the environment names for an address (HTTPS_PROXY, NO_PROXY ...)."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(address)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _answers(call: Call, body: dict[str, Any]) -> bool:
    """Whether a body has what was asked for: a choice, or a vector for each text."""
    if call.url != "/embeddings":
        return bool(as_list(body.get("choices")))
    asked = call.body.get("input")
    return len(as_list(body.get("data"))) == (len(asked) if isinstance(asked, list) else 1)
