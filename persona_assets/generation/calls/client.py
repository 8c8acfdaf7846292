"""An attempt over HTTP: the `openai` package defines the request, aiohttp sends it.

The package needs 0.4 ms of processor time per call, and its transport 0.13 ms: it spends nearly
all of it on building a URL and headers that are the same for every call of an endpoint. So they are
built once per endpoint and sent with each body.
"""

import asyncio
import json
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from persona_assets.generation.calls.attempt_failure import (
    AttemptFailure,
    outcome_of_response,
)
from persona_assets.generation.calls.call import Call
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.redaction import Redactor
from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.providers import Connection, Provider, provider_of

if TYPE_CHECKING:
    import aiohttp
    import httpx2

CONNECT = 10.0
"""Seconds in which a connection must be made."""

URLS = ("/chat/completions", "/embeddings")
"""Paths of all calls."""

PER_CONNECTION = frozenset({"host", "content-length", "connection", "accept-encoding"})
"""Headers that aiohttp sets."""


class Client:
    """Connections to an endpoint, without retries, which belong to the pool.

    An asynchronous context manager; entering raises EndpointRefused if the key is missing.

    Args:
        endpoint: Endpoint to send to.
        api_key: Key in place of the environment's: a server that this process started has its own.
    """

    def __init__(self, endpoint: Endpoint, api_key: str | None = None) -> None:
        self._endpoint = endpoint
        self._api_key = api_key
        self._provider = provider_of(endpoint)
        self._redactor = Redactor("")
        self._prepared: dict[str, tuple[str, dict[str, str]]] = {}
        self._proxy: str | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        import aiohttp
        import httpx2

        self._redactor = Redactor(self._api_key or self._endpoint.api_key())
        await self.move(self._endpoint)
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

    async def move(self, endpoint: Endpoint) -> None:
        """Send all further calls to another address of the endpoint."""
        key = self._api_key or endpoint.api_key()
        self._endpoint = endpoint
        self._prepared = {
            path: await _prepared(endpoint, self._provider, key, path) for path in URLS
        }

    async def post(
        self, call: Call, timeout: float
    ) -> tuple[CallRecord | AttemptFailure, dict[str, str]]:
        """Send a call once.

        Args:
            call: Call to send.
            timeout: Seconds for the whole attempt.

        Returns:
            The answer or the failure, and the response headers under OpenAI's names, in lower case.
        """
        import aiohttp

        assert self._session is not None, "the client is not open"
        address, headers = self._prepared[call.url]
        members = self._provider.request_body(call)
        body = json.dumps({"model": self._endpoint.model, **members}).encode()
        try:
            async with (
                asyncio.timeout(timeout),
                self._session.post(
                    address,
                    data=body,
                    headers=headers,
                    proxy=self._proxy,
                    # On a redirect to another host, aiohttp removes no header but this.
                    allow_redirects="authorization" in headers,
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
        text = self._redactor.redact(data.decode("utf-8", "replace"))
        received = self._provider.response_headers(
            {name.lower(): self._redactor.redact(value) for name, value in response.headers.items()}
        )
        return outcome_of_response(self._endpoint, call, response.status, received, text), received


def openai_arguments(endpoint: Endpoint, api_key: str, path: str) -> dict[str, Any]:
    """Return the arguments of `openai.OpenAI` with which it reaches a path of an endpoint.

    Args:
        endpoint: Endpoint to reach.
        api_key: Key to send.
        path: Path that the client is for, such as "/models" or "/batches".

    Raises:
        EndpointRefused: The endpoint's settings do not suffice for its provider.
    """
    import openai

    connection = provider_of(endpoint).connection(endpoint, api_key, path)
    arguments = _arguments(connection, api_key)
    if connection.headers:

        def replace_headers(request: "httpx2.Request") -> None:
            _replace(request.headers, connection.headers)

        arguments["http_client"] = openai.DefaultHttpxClient(
            event_hooks={"request": [replace_headers]},
            # On a redirect to another host, httpx2 removes no header but Authorization.
            follow_redirects=False,
        )
    return arguments


def _arguments(connection: Connection, api_key: str) -> dict[str, Any]:
    return {
        "api_key": api_key,
        "base_url": connection.base_url,
        "default_query": dict(connection.query) or None,
    }


def _replace(headers: MutableMapping[str, str], changes: Mapping[str, str | None]) -> None:
    """Set headers, and remove those whose new value is None.

    The `openai` package refuses to send without Authorization, so it is removed afterwards.
    """
    for name, value in changes.items():
        if value is None:
            headers.pop(name.lower(), None)
        else:
            headers[name.lower()] = value


async def _prepared(
    endpoint: Endpoint, provider: Provider, key: str, path: str
) -> tuple[str, dict[str, str]]:
    """Return the address and headers with which the `openai` package sends to a path."""
    import httpx2
    from openai import AsyncOpenAI

    requests: list[httpx2.Request] = []

    class Recorder(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: "httpx2.Request") -> "httpx2.Response":
            requests.append(request)
            return httpx2.Response(200, json={})

    connection = provider.connection(endpoint, key, path)
    async with AsyncOpenAI(
        **_arguments(connection, key),
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=Recorder()),
    ) as client:
        await client.post(path, cast_to=object, body={})
    [request] = requests
    headers = {name: value for name, value in request.headers.items() if name not in PER_CONNECTION}
    _replace(headers, connection.headers)
    return str(request.url), headers


def _proxy(address: str) -> str | None:
    """Return the proxy that the environment names for an address (HTTPS_PROXY, NO_PROXY ...)."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(address)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
