"""Client of a server that this process has started: a server that has ended is started again."""

import asyncio
from typing import Protocol

from persona_assets.generation import Call, CallRecord, Client, Endpoint
from persona_assets.generation.calls.attempt_failure import AttemptFailure

MOST_STARTS = 3
"""Number of times that a client starts its server again."""


class Server(Protocol):
    """Server in a child process; LocalServer and CommandServer are some."""

    api_key: str

    @property
    def running(self) -> bool: ...

    @property
    def base_url(self) -> str: ...

    def start(self) -> object: ...


class LocalClient(Client):
    """Client that starts its server again after an attempt which found it ended.

    Args:
        endpoint: Endpoint of a role; its address is that of the server.
        server: Running server.
    """

    def __init__(self, endpoint: Endpoint, server: Server) -> None:
        super().__init__(_at(endpoint, server), api_key=server.api_key)
        self._server = server
        self._starts = 0
        self._starting = asyncio.Lock()

    async def post(
        self, call: Call, timeout: float
    ) -> tuple[CallRecord | AttemptFailure, dict[str, str]]:
        """Send a call once; the next attempt finds a running server."""
        outcome = await super().post(call, timeout)
        async with self._starting:
            if not self._server.running and self._starts < MOST_STARTS:
                self._starts += 1
                await asyncio.to_thread(self._server.start)
                await self.move(_at(self._endpoint, self._server))
        return outcome


def _at(endpoint: Endpoint, server: Server) -> Endpoint:
    """Return an endpoint with the address of a server, which differs after every start."""
    return endpoint.model_copy(update={"base_url": server.base_url})
