"""Engine: a stream of calls to a stream of records, each call paid for once."""

import glob
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sized
from dataclasses import dataclass, replace
from queue import Empty
from typing import Generic, TypeVar

from persona_assets.generation.calls.adaptation_file import Adaptations
from persona_assets.generation.calls.call import Call
from persona_assets.generation.calls.client import Client
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.errors import EndpointRefused
from persona_assets.generation.calls.free_requests import check_endpoint
from persona_assets.generation.calls.outage import Outage
from persona_assets.generation.calls.probe import Probe
from persona_assets.generation.calls.refusals import Refusals
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
"""Limit of calls without a record, as a multiple of the concurrency."""

WINDOW = 64
"""Limit of calls from the oldest without an answer to the newest, as a multiple of the concurrency:
a slow call holds back the order of the results, not the other calls."""

LEAST = 256
"""Lower bound of both limits, in calls."""

GROUP = 64
"""Calls that are submitted together to a busy transport."""

HELD = 0.02
"""Seconds after which an incomplete group is submitted."""

C = TypeVar("C", bound=Call)
R = TypeVar("R")

Report = Callable[[int, int | None, Usage], None]
"""Called with the number of calls done, the number of all calls (None: unknown), and the usage."""

Judge = Callable[[C, CallRecord], tuple[R, C | None]]
"""Returns the result of a record, and the call to send instead if the record cannot be used."""


class Engine:
    """Sends calls to an endpoint and stores the records in a journal.

    Args:
        endpoint: Endpoint to send to.
        journal: Open journal; a call that it answers is not sent.
        run_id: Stored in each record.
        budget: Caps that are never exceeded (money/budget.py). Its creator closes it.
        report: Called every few seconds, in the thread that reads the records.
        reuse: Returns a record of another journal that settles the call of a key, or None. The
            record is copied into the journal before it is judged, and the call is not sent.
        client: Makes the HTTP client in place of the default; called once per `send`.
        grace: Seconds that calls in flight may still use when the run is stopped: they are billed
            anyway.
        adaptations: Parameters that the endpoint refuses, as earlier runs know them; by default,
            each engine learns them anew.
        probe: Checks each shape of call before the first one is sent; by default, none is checked.
        ready: Called in the reading thread before the first call is sent, for instance to start the
            endpoint's server; its exception ends the run, and nothing is sent.
        shared_journal: True if the journal has calls to other endpoints too: then its records prove
            nothing about this one.
        known: True if the endpoint has answered in an earlier run; see `Outage`.

    Example:
        >>> def personas(endpoint, calls):
        ...     with Journal("journals/personas.jsonl") as journal:
        ...         yield from Engine(endpoint, journal).send(calls)
    """

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Journal,
        *,
        run_id: str = "",
        budget: Budget | None = None,
        report: Report | None = None,
        reuse: Callable[[str], CallRecord | None] | None = None,
        client: Callable[[Endpoint], Client] | None = None,
        grace: float = 20.0,
        adaptations: Adaptations | None = None,
        probe: Probe | None = None,
        ready: Callable[[], None] | None = None,
        shared_journal: bool = False,
        known: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.journal = journal
        self.run_id = run_id
        self.budget = budget
        self.report = report
        self.reuse = reuse or (lambda key: None)
        self.grace = grace
        self.usage = Usage()
        self.adaptations = adaptations or Adaptations(endpoint)
        self.refusals = Refusals()
        self.outage = Outage(endpoint, known)
        self.probe = probe
        self._ready = ready or (lambda: None)
        self._shared_journal = shared_journal
        self._client = client

    def check(self) -> None:
        """Make sure, at no cost, that the key is set and that the endpoint accepts it.

        Raises:
            EndpointRefused: The key is missing or not accepted.
            EndpointUnreachable: No connection can be made.
        """
        check_endpoint(self.endpoint)

    def send(self, calls: Iterable[Call], *, total: int | None = None) -> Generator[CallRecord]:
        """Yield a record per call, in the order of the calls.

        As `ask`, for calls whose records need no judgement.
        """
        return self.ask(calls, lambda _, record: (record, None), total=total)

    def ask(
        self, calls: Iterable[C], judge: Judge[C, R], *, total: int | None = None
    ) -> Generator[R]:
        """Yield a result per call, in the order of the calls.

        A call that the journal or `reuse` answers is not sent; a record is in the journal before it
        is judged; a key that comes twice is sent once. Closing the iterator, or any exception in
        the reading thread, stops sending at once. Whoever stores the iterator should close it
        (contextlib.closing).

        Args:
            calls: Read as needed and never held as a whole, except by way of the Batch API.
            judge: Called in the reading thread, in any order. A call that it returns is sent in
                place of the judged call, unless the journal's own table has been made of the judged
                record: then only the journal is searched for that call, if it is not deliberate.
            total: Number of calls, for reports; None: `len(calls)` if `calls` has a length.

        Raises:
            EndpointRefused: No call can succeed until a person changes something.
            EndpointError: The probe failed.
            EndpointUnreachable: No connection can be made, or each call fails.
            BudgetReached: The next call could exceed a cap.
            OSError: The journal cannot be written.
        """
        if total is None and isinstance(calls, Sized):
            total = len(calls)
        pipeline = _Pipeline(self, judge)
        reporter = _Reporter(self, total)
        try:
            for call in calls:
                pipeline.add(call)
                while pipeline.is_full():
                    reporter.wait(pipeline)
                    yield from reporter.count(pipeline.results())
                pipeline.receive(0.0)
                yield from reporter.count(pipeline.results())
            while pipeline.slots:
                reporter.wait(pipeline)
                yield from reporter.count(pipeline.results())
            reporter.report()
        except EndpointRefused:
            # Without an attempt, it was not the endpoint that refused, or it was a probe.
            if self.probe is not None and self.usage.attempts:
                self.probe.forget()
            raise
        finally:
            pipeline.close()
            reporter.stop()

    def open_transport(self) -> Transport:
        """Open the transport of the endpoint's settings: the pool, or the provider's Batch API.

        Raises:
            EndpointRefused: The key is missing, or a batch of this journal is under way although
                the transport is "online".
        """
        if self._client is None:
            self.endpoint.api_key()
        self._ready()
        spending = Spending(self.endpoint, self.budget)
        # The calls that earlier runs left may be those that are refused for their own sake.
        if not self._shared_journal:
            answered = self.usage.replayed > 0 or len(self.journal) > 0
            self.refusals.succeeded |= answered
            self.outage.known |= answered
        path = self.journal.path
        batches = sorted(path.parent.glob(f"{glob.escape(path.stem)}.*.batches/*.json"))
        if self.endpoint.transport == "online" and batches:
            raise EndpointRefused(
                f"A batch is under way whose answers belong to {path.name}: set the role's "
                "transport to batch and run again to collect what is paid for, or, to give it up, "
                f"remove {batches[0].parent}. Nothing was sent."
            )
        if self.endpoint.transport == "batch":
            # Imported here since few runs need it and it costs a tenth of the package's start-up.
            from persona_assets.generation.batch import BatchTransport

            return BatchTransport(
                self.endpoint,
                self.journal,
                self.usage,
                spending,
                run_id=self.run_id,
                adaptations=self.adaptations,
                refusals=self.refusals,
            )
        return Pool(
            self.endpoint,
            self.journal,
            self.usage,
            spending,
            run_id=self.run_id,
            client=self._client or Client,
            grace=self.grace,
            adaptations=self.adaptations,
            refusals=self.refusals,
            outage=self.outage,
        )


@dataclass(slots=True)
class _Slot(Generic[C, R]):
    """A place in the order of the results."""

    call: C
    result: R | None = None
    done: bool = False


class _Pipeline(Generic[C, R]):
    """State of an `Engine.ask`: slots in order, and by key those that wait for a record."""

    def __init__(self, engine: Engine, judge: Judge[C, R]) -> None:
        self.slots: deque[_Slot[C, R]] = deque()
        self._engine = engine
        self._judge = judge
        self._waiting: dict[str, list[_Slot[C, R]]] = {}
        self._group: list[Call] = []
        self._group_began = 0.0
        self._copies: list[CallRecord] = []
        self._copies_began = 0.0
        self._transport: Transport | None = None
        self._concurrency = concurrency = engine.endpoint.concurrency
        unbounded = engine.endpoint.transport == "batch"
        self._ahead = float("inf") if unbounded else max(LEAST, AHEAD * concurrency)
        self._window = float("inf") if unbounded else max(LEAST, WINDOW * concurrency)

    def add(self, call: C) -> None:
        """Add the next call of the stream."""
        slot = _Slot[C, R](call)
        self.slots.append(slot)
        self._look_up(slot)
        now = time.monotonic()
        if self._group and now - self._group_began >= HELD:
            self._submit()
        if self._copies and now - self._copies_began >= HELD:
            self._land_copies()

    def is_full(self) -> bool:
        """Return True if results must be read before the next call is added."""
        return len(self._waiting) >= self._ahead or len(self.slots) >= self._window

    def results(self) -> Iterable[R]:
        """Yield the results at the head of the order, up to the first that is missing."""
        while self.slots and self.slots[0].done:
            yield self.slots.popleft().result  # type: ignore[misc]

    def receive(self, timeout: float) -> None:
        """Judge the records that have landed, after waiting up to `timeout` s for the first."""
        if timeout:
            if self._copies:
                self._land_copies()
                timeout = 0.0
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
        """Stop sending; calls in flight land in the journal."""
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
            if (record := self._engine.reuse(key)) is not None:
                self._copy(record)
            else:
                self._group_began = self._group_began if self._group else time.monotonic()
                self._group.append(slot.call)
                if len(self._group) >= GROUP or len(self._waiting) <= self._concurrency:
                    self._submit()

    def _copy(self, record: CallRecord) -> None:
        """Copy another journal's record: in groups, since each write waits for the disk."""
        self._engine.usage.reused += 1
        self._copies_began = self._copies_began if self._copies else time.monotonic()
        self._copies.append(replace(record, reused=True))
        if len(self._copies) >= GROUP:
            self._land_copies()

    def _land_copies(self) -> None:
        copies, self._copies = self._copies, []
        self._engine.journal.append(*copies)
        for record in copies:
            for slot in self._waiting.pop(record.key):
                self._settle(slot, record)

    def _settle(self, slot: _Slot[C, R], record: CallRecord) -> None:
        # A copy counts as a record of this journal: until this journal's table is made, the calls
        # that follow from it are reused or sent, as if it had just landed. So a new table has the
        # rows that its own settings ask for, and a run killed after the copy ends like any other.
        slot.result, replacement = self._judge(slot.call, record)
        journal = self._engine.journal
        if replacement is None or (
            journal.compacted(record.key)
            and not replacement.deliberate
            and replacement.key not in journal
        ):
            slot.done = True
        else:
            slot.call = replacement
            self._look_up(slot)

    def _submit(self) -> None:
        if self._group:
            self._transport = self._transport or self._engine.open_transport()
            if self._engine.probe is not None:
                for call in self._group:
                    self._engine.probe.check(call)
            self._transport.submit(self._group)
            self._group = []


class _Reporter:
    """Measures the time of an `Engine.ask`, and reports while its reader waits."""

    def __init__(self, engine: Engine, total: int | None) -> None:
        self.engine = engine
        self.total = total
        self.done = 0
        self._clock = self._reported = time.monotonic()

    def wait(self, pipeline: _Pipeline[C, R]) -> None:
        """Wait until records land or the next report is due."""
        pipeline.receive(REPORT)
        if time.monotonic() - self._reported >= REPORT:
            self.report()

    def count(self, results: Iterable[R]) -> Generator[R]:
        """Yield results and count those that are read."""
        for result in results:
            self.done += 1
            yield result

    def report(self) -> None:
        """Call the engine's report."""
        self.stop()
        self._reported = self._clock
        if self.engine.report is not None:
            self.engine.report(self.done, self.total, self.engine.usage)

    def stop(self) -> None:
        """Add the time since the last report to the engine's usage."""
        now = time.monotonic()
        self.engine.usage.seconds += now - self._clock
        self._clock = now
