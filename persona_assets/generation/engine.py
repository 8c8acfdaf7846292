"""The engine: a stream of calls to a stream of records, each call paid for once."""

import glob
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sized
from dataclasses import dataclass
from queue import Empty
from typing import Generic, TypeVar

from persona_assets.generation.calls.call import Call
from persona_assets.generation.calls.client import Client, check_endpoint
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.errors import EndpointRefused
from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.journal import Journal
from persona_assets.generation.money.budget import Budget
from persona_assets.generation.money.spending import Spending
from persona_assets.generation.money.usage import Usage
from persona_assets.generation.pool import Pool
from persona_assets.generation.transport import Transport

REPORT = 3.0
"""Seconds between two reports."""

AHEAD = 4
"""Calls read ahead of the answers, as a multiple of the concurrency."""

WINDOW = 64
"""Calls, as a multiple of the concurrency, between the oldest one without an answer and the newest
one taken from the stream: a slow call holds back the order, not the others."""

LEAST = 256
"""The least of either, in calls."""

GROUP = 64
HELD = 0.02
"""Calls go to a busy transport in groups of GROUP, or when so many seconds have passed."""

C = TypeVar("C", bound=Call)
R = TypeVar("R")

Report = Callable[[int, int | None, Usage], None]
"""Called with calls done, calls in all (None if unknown) and the engine's usage."""

Judge = Callable[[C, CallRecord], tuple[R, C | None]]
"""What a record is worth: the result, and the call to ask in its place, if there is one."""


class Engine:
    """Asks one endpoint and keeps what it says in one journal, which must be open.

        with Journal(path) as journal:
            engine = Engine(endpoint, journal)
            for record in engine.send(calls):
                ...

    run_id: written beside each answer.
    budget: what may be spent (budget.py); its caps are never exceeded. Whoever made it closes it.
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
        budget: Budget | None = None,
        report: Report | None = None,
        client: Callable[[Endpoint], Client] | None = None,
        grace: float = 20.0,
    ) -> None:
        self.endpoint = endpoint
        self.journal = journal
        self.run_id = run_id
        self.budget = budget
        self.report = report
        self.grace = grace
        self.usage = Usage()
        self._client = client

    def check(self) -> None:
        """Makes sure, at no cost, that the key is set and that the endpoint takes it.

        Raises EndpointRefused or EndpointUnreachable.
        """
        check_endpoint(self.endpoint)

    def send(self, calls: Iterable[Call], *, total: int | None = None) -> Generator[CallRecord]:
        """One record for each call, in the order of the calls; see `ask`."""
        return self.ask(calls, lambda _, record: (record, None), total=total)

    def ask(
        self, calls: Iterable[C], judge: Judge[C, R], *, total: int | None = None
    ) -> Generator[R]:
        """One result for each call, in the order of the calls.

        `calls` is read as needed and never held as a whole (by way of the Batch API it is). What
        the journal has is not asked; a record is on disk before it is judged; a key that comes
        twice is asked once. `judge` is called in the reading thread, in any order, and may name a
        call to ask in place of one, unless what it judges has landed in a table before: then that
        call is only looked up. Closing the iterator, or any exception in the reading thread, stops
        sending at once. Whoever stores the iterator should close it (contextlib.closing).

        Raises EndpointRefused, EndpointUnreachable, BudgetReached, or OSError if the journal cannot
        be written.
        """
        if total is None and isinstance(calls, Sized):
            total = len(calls)
        asking = _Asking(self, judge)
        watch = _Watch(self, total)
        try:
            for call in calls:
                asking.add(call)
                while asking.is_full():
                    watch.wait(asking)
                    yield from watch.count(asking.results())
                asking.receive(0.0)
                yield from watch.count(asking.results())
            while asking.slots:
                watch.wait(asking)
                yield from watch.count(asking.results())
            watch.tell()
        finally:
            asking.close()
            watch.stop()

    def open_transport(self) -> Transport:
        """What sends this engine's calls: the pool, or the provider's Batch API."""
        if self._client is None:
            self.endpoint.api_key()
        spending = Spending(self.endpoint, self.budget)
        path = self.journal.path
        under_way = sorted(path.parent.glob(f"{glob.escape(path.stem)}.*.batches/*.json"))
        if self.endpoint.transport == "online" and under_way:
            raise EndpointRefused(
                f"A batch is under way whose answers belong to {path.name}: set the role's "
                "transport to batch and run again to collect what is paid for, or, to give it up, "
                f"remove {under_way[0].parent}. Nothing was sent."
            )
        if self.endpoint.transport == "batch":
            # A tenth of the package's start-up, which few need.
            from persona_assets.generation.batch import BatchTransport

            return BatchTransport(
                self.endpoint, self.journal, self.usage, spending, run_id=self.run_id
            )
        return Pool(
            self.endpoint,
            self.journal,
            self.usage,
            spending,
            run_id=self.run_id,
            client=self._client or Client,
            grace=self.grace,
        )


@dataclass(slots=True)
class _Slot(Generic[C, R]):
    """A place in the order of the results."""

    call: C
    result: R | None = None
    done: bool = False


class _Asking(Generic[C, R]):
    """The state of one `ask`: slots in order, and those that wait for a record, by key."""

    def __init__(self, engine: Engine, judge: Judge[C, R]) -> None:
        self.slots: deque[_Slot[C, R]] = deque()
        self._engine = engine
        self._judge = judge
        self._waiting: dict[str, list[_Slot[C, R]]] = {}
        self._group: list[Call] = []
        self._group_began = 0.0
        self._transport: Transport | None = None
        self._concurrency = concurrency = engine.endpoint.concurrency
        whole = engine.endpoint.transport == "batch"
        self._ahead = float("inf") if whole else max(LEAST, AHEAD * concurrency)
        self._window = float("inf") if whole else max(LEAST, WINDOW * concurrency)

    def add(self, call: C) -> None:
        """Takes the next call from the stream."""
        slot = _Slot[C, R](call)
        self.slots.append(slot)
        self._look_up(slot)
        if self._group and time.monotonic() - self._group_began >= HELD:
            self._submit()

    def is_full(self) -> bool:
        """Whether results have to be taken before the next call."""
        return len(self._waiting) >= self._ahead or len(self.slots) >= self._window

    def results(self) -> Iterable[R]:
        """The results at the head of the order, as far as they are there."""
        while self.slots and self.slots[0].done:
            yield self.slots.popleft().result  # type: ignore[misc]

    def receive(self, timeout: float) -> None:
        """Judges the records that have landed, waiting for the first up to `timeout` seconds."""
        if timeout:
            self._submit()
        if self._transport is None:
            return
        if timeout:
            self._transport.flush()
        try:
            while True:
                landed = self._transport.landed.get(block=timeout > 0, timeout=timeout or None)
                timeout = 0.0
                if isinstance(landed, BaseException):
                    raise landed
                for record in landed:
                    for slot in self._waiting.pop(record.key, ()):
                        self._settle(slot, record)
        except Empty:
            pass

    def close(self) -> None:
        """Stops sending; what is in flight lands in the journal."""
        if self._transport is not None:
            self._transport.close()

    def _look_up(self, slot: _Slot[C, R]) -> None:
        key = slot.call.key
        if key in self._waiting:
            self._waiting[key].append(slot)
        elif (record := self._engine.journal.get(key)) is not None:
            self._engine.usage.replayed += 1
            self._settle(slot, record)
        else:
            self._waiting[key] = [slot]
            self._group_began = self._group_began if self._group else time.monotonic()
            self._group.append(slot.call)
            if len(self._group) >= GROUP or len(self._waiting) <= self._concurrency:
                self._submit()

    def _settle(self, slot: _Slot[C, R], record: CallRecord) -> None:
        slot.result, other = self._judge(slot.call, record)
        journal = self._engine.journal
        if other is None or (journal.compacted(record.key) and other.key not in journal):
            slot.done = True
        else:
            slot.call = other
            self._look_up(slot)

    def _submit(self) -> None:
        if self._group:
            self._transport = self._transport or self._engine.open_transport()
            self._transport.submit(self._group)
            self._group = []


class _Watch:
    """Keeps the time of one `ask` and reports while its reader waits."""

    def __init__(self, engine: Engine, total: int | None) -> None:
        self.engine = engine
        self.total = total
        self.done = 0
        self._clock = self._told = time.monotonic()

    def wait(self, asking: _Asking[C, R]) -> None:
        """Waits until records land, or until it is time to report."""
        asking.receive(REPORT)
        if time.monotonic() - self._told >= REPORT:
            self.tell()

    def count(self, results: Iterable[R]) -> Generator[R]:
        """Counts results as they are taken."""
        for result in results:
            self.done += 1
            yield result

    def tell(self) -> None:
        """Reports."""
        self.stop()
        self._told = self._clock
        if self.engine.report is not None:
            self.engine.report(self.done, self.total, self.engine.usage)

    def stop(self) -> None:
        """Adds the time since the last report to the engine's usage."""
        now = time.monotonic()
        self.engine.usage.seconds += now - self._clock
        self._clock = now
