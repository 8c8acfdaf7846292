"""Outage of an endpoint: nobody answers there, and the calls wait for its return."""

import time
from collections.abc import Callable

from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.errors import EndpointUnreachable
from persona_assets.generation.calls.free_requests import check_endpoint
from persona_assets.generation.limits.circuit_breaker import LONGEST_PAUSE, PAUSE


class Outage:
    """Time since when an endpoint has been away, for the user to see.

    Args:
        endpoint: Endpoint; its `outage` is the longest wait.
        known: True if it has answered before. An address that never has may be mistyped: nothing is
            waited for.

    Attributes:
        known: As the argument, or True once it has answered.
        since: Unix time at which it went away; None while it answers.

    Example:
        >>> outage = Outage(Endpoint(model="m", base_url="http://127.0.0.1:1/v1", outage=600))
        >>> outage.begin("no connection")
        >>> outage.sentence.replace(time.strftime("%H:%M:%S", time.localtime(outage.since)), "...")
        '127.0.0.1:1 is away since ... (no connection): waiting up to 600 s'
    """

    def __init__(self, endpoint: Endpoint, known: bool = False) -> None:
        self.known = known
        self.since: float | None = None
        self._endpoint = endpoint
        self._reason = ""

    def begin(self, reason: str) -> None:
        """Note a failed call; the first one tells when the outage began."""
        self.since = time.time() if self.since is None else self.since
        self._reason = reason

    def end(self) -> None:
        """Note a response."""
        self.known, self.since = True, None

    @property
    def awaited(self) -> bool:
        """True if the endpoint is worth waiting for."""
        return self.known and self._endpoint.outage > 0

    @property
    def over(self) -> bool:
        """True if the wait has lasted for as long as the endpoint's `outage`."""
        return self.since is not None and time.time() - self.since >= self._endpoint.outage

    @property
    def sentence(self) -> str:
        """Sentence for the user; "" while the endpoint answers."""
        if self.since is None:
            return ""
        clock = time.strftime("%H:%M:%S", time.localtime(self.since))
        return (
            f"{self._endpoint.host} is away since {clock} ({self._reason}): waiting up to "
            f"{self._endpoint.outage:.0f} s"
        )


def check_or_wait(endpoint: Endpoint, known: bool, report: Callable[[str], None]) -> None:
    """Check an endpoint, at no cost; wait for it while it is away, if it has answered before.

    Args:
        endpoint: Endpoint to check.
        known: True if it has answered before.
        report: Called with a sentence when the wait begins.

    Raises:
        EndpointRefused: The key is missing or not accepted.
        EndpointUnreachable: No connection can be made, for longer than the endpoint's `outage`.
    """
    outage, pause = Outage(endpoint, known), PAUSE
    while True:
        try:
            check_endpoint(endpoint)
            return
        except EndpointUnreachable:
            if not outage.awaited or outage.over:
                raise
        if outage.since is None:
            outage.begin("no connection")
            report(outage.sentence)
        time.sleep(min(pause, endpoint.outage))
        pause = min(2.0 * pause, LONGEST_PAUSE)
