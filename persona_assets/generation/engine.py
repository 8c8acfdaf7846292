"""The engine: a stream of calls to a stream of records, each call paid for once."""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sized
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from persona_assets.generation.call import Call
from persona_assets.generation.client import check
from persona_assets.generation.endpoint import Endpoint
from persona_assets.generation.journal import Journal
from persona_assets.generation.pool import Pool
from persona_assets.generation.record import Record
from persona_assets.generation.usage import Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

REPORT = 3.0
"""Seconds between two reports."""

WINDOW = 1024
"""Calls, or eight times the concurrency if that is more, between the oldest call without a record
and the newest one taken from the stream: a slow call holds back the order, not the others."""

Report = Callable[[int, int | None, Usage], None]
"""Called with calls done, calls in all (None if unknown) and the engine's usage."""


class Engine:
    """Asks one endpoint and keeps what it says in one journal, which must be open.

        with Journal(path) as journal:
            engine = Engine(endpoint, journal)
            for record in engine.send(calls):
                ...

    run_id: written beside each answer.
    report: called every few seconds, in the thread that reads the records.
    client: makes the HTTP client in place of the default one; called once for each `send`.
    grace: seconds that calls in flight get to land when the run is stopped: they are billed anyway.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Journal,
        *,
        run_id: str = "",
        report: Report | None = None,
        client: "Callable[[Endpoint], AsyncOpenAI] | None" = None,
        grace: float = 5.0,
    ) -> None:
        self.endpoint = endpoint
        self.journal = journal
        self.run_id = run_id
        self.report = report
        self.grace = grace
        self.usage = Usage()
        self._client = client

    def check(self) -> None:
        """Makes sure, at no cost, that the key is set and that the endpoint takes it.

        Raises EndpointRefused or EndpointUnreachable.
        """
        check(self.endpoint)

    def send(self, calls: Iterable[Call], *, total: int | None = None) -> Generator[Record]:
        """One record for each call, in the order of the calls.

        `calls` is read as needed and never held as a whole. What the journal has is not asked; a
        record is on disk before it is handed out; a key that comes twice is asked once. Closing the
        iterator, or any exception in the reading thread, stops sending at once. Whoever stores the
        iterator should close it (contextlib.closing). Two sends at once have a pool each.

        Raises EndpointRefused, EndpointUnreachable, or OSError if the journal cannot be written.
        """
        if total is None and isinstance(calls, Sized):
            total = len(calls)
        window = max(WINDOW, 8 * self.endpoint.concurrency)
        slots: deque[Record | Future[Record]] = deque()
        watch = _Watch(self, total)
        pool: Pool | None = None
        try:
            for call in calls:
                # In flight first, then the journal: in between, a call can only move that way.
                slot: Record | Future[Record] | None = None
                if pool is not None:
                    slot = pool.pending(call.key)
                if slot is None:
                    slot = self.journal.get(call.key)
                if slot is None:
                    pool = pool or self._open_pool()
                    slot = pool.submit(call)
                elif isinstance(slot, Record):
                    self.usage.replayed += 1
                slots.append(slot)
                while slots and (len(slots) >= window or _ready(slots[0])):
                    yield watch.take(slots.popleft())
            while slots:
                yield watch.take(slots.popleft())
            watch.tell()
        finally:
            if pool is not None:
                pool.close()
            watch.stop()

    def _open_pool(self) -> Pool:
        if self._client is None:
            self.endpoint.api_key()
        return Pool(
            self.endpoint,
            self.journal,
            self.usage,
            run_id=self.run_id,
            client=self._client,
            grace=self.grace,
        )


class _Watch:
    """Keeps the time of one `send` and reports while its reader waits."""

    def __init__(self, engine: Engine, total: int | None) -> None:
        self.engine = engine
        self.total = total
        self.done = 0
        self._clock = self._told = time.monotonic()

    def take(self, slot: Record | Future[Record]) -> Record:
        if isinstance(slot, Future):
            while not wait([slot], timeout=REPORT).done:
                self.tell()
            slot = slot.result()
        if time.monotonic() - self._told >= REPORT:
            self.tell()
        self.done += 1
        return slot

    def tell(self) -> None:
        self.stop()
        self._told = self._clock
        if self.engine.report is not None:
            self.engine.report(self.done, self.total, self.engine.usage)

    def stop(self) -> None:
        now = time.monotonic()
        self.engine.usage.seconds += now - self._clock
        self._clock = now


def _ready(slot: Record | Future[Record]) -> bool:
    return isinstance(slot, Record) or slot.done()
