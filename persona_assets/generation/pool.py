"""The worker pool: calls in, durable records out, in one background thread.

A worker takes a call, asks until it has an answer or gives up, and takes the next one only when
the record is on disk. So no more calls than there are workers can be paid for and yet unknown to
the journal.
"""

import asyncio
import itertools
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from queue import SimpleQueue

from persona_assets.generation.calls.attempt_failure import (
    AttemptFailure,
    broken_sentence,
    unreachable_sentence,
)
from persona_assets.generation.calls.call import Call
from persona_assets.generation.calls.client import Client
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.errors import (
    EndpointError,
    EndpointRefused,
    EndpointUnreachable,
)
from persona_assets.generation.journal.call_record import TRANSIENT, CallRecord
from persona_assets.generation.journal.journal import Journal
from persona_assets.generation.limits.backoff import jitter
from persona_assets.generation.limits.concurrency_limiter import ConcurrencyLimiter
from persona_assets.generation.money.spending import Spending
from persona_assets.generation.money.usage import Usage

LONGEST = 30.0
"""The longest pause between attempts, in seconds, that the endpoint did not ask for."""


CUT_OFF = AttemptFailure("connection", "the run ended before an answer came")


class PoolClosed(EndpointError):
    """The pool was closed before this call was answered."""


@dataclass(slots=True)
class _Landing:
    """A record on its way to disk, and who waits for that."""

    record: CallRecord
    written: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Attempt:
    """A call while it is asked: attempts so far, and those of them that may have been billed."""

    call: Call
    attempt: int = 0
    uncertain: int = 0


class Pool:
    """A transport (see transport.py): workers over one endpoint.

    A run that cannot go on (EndpointError, a full disk) puts the exception into `landed`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Journal,
        usage: Usage,
        spending: Spending,
        *,
        run_id: str = "",
        client: Callable[[Endpoint], Client] = Client,
        grace: float = 20.0,
    ) -> None:
        self.endpoint = endpoint
        self.journal = journal
        self.usage = usage
        self.run_id = run_id
        self.grace = grace
        self.landed: SimpleQueue[Sequence[CallRecord] | BaseException] = SimpleQueue()
        self.gate = ConcurrencyLimiter(
            endpoint.concurrency,
            requests_per_minute=endpoint.requests_per_minute,
            tokens_per_minute=endpoint.tokens_per_minute,
            patience=endpoint.deadline,
        )
        self._spending = spending
        self._open_client = client
        self._stopping = False
        self._last_response = -math.inf
        self._posting: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._calls: asyncio.Queue[Call] = asyncio.Queue()
        self._written: asyncio.Queue[_Landing | None] = asyncio.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="generation", daemon=True)
        self._thread.start()

    def submit(self, calls: Sequence[Call]) -> None:
        """Queues calls."""
        if not self._stopping:
            self._loop.call_soon_threadsafe(self._take, calls)

    def flush(self) -> None:
        """Nothing to do: calls are on their way as soon as there is room."""

    def close(self) -> None:
        """Sends nothing more, gives calls in flight `grace` seconds to land, and returns."""
        if not self._stopping:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def _take(self, calls: Sequence[Call]) -> None:
        for call in calls:
            self._calls.put_nowait(call)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        failure: BaseException = PoolClosed("the run was stopped")
        try:
            self._loop.run_until_complete(self._main())
        except BaseException as error:
            failure = error
        finally:
            self._stopping = True
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self.landed.put(failure)

    async def _main(self) -> None:
        async with self._open_client(self.endpoint) as client:
            writer = asyncio.create_task(self._write())
            workers = [
                asyncio.create_task(self._work(client)) for _ in range(self.endpoint.concurrency)
            ]
            stop = asyncio.create_task(self._stop.wait())
            await asyncio.wait([stop, writer, *workers], return_when=asyncio.FIRST_COMPLETED)
            self._stopping = True
            for worker in workers:
                # What is in flight will be billed, so it may land; nothing else goes on.
                if worker not in self._posting:
                    worker.cancel()
            await asyncio.wait(workers, timeout=0.0 if writer.done() else self.grace)
            stop.cancel()
            for worker in workers:
                worker.cancel()
            await asyncio.wait([stop, *workers])
            self._written.put_nowait(None)
            await writer
        # All are looked at, since asyncio logs an exception that nobody has seen.
        errors = [worker.exception() for worker in workers if not worker.cancelled()]
        for error in errors:
            if error is not None:
                raise error

    async def _work(self, client: Client) -> None:
        while not self._stopping:
            record = await self._ask(client, await self._calls.get())
            if record is not None:
                landing = _Landing(record)
                self._written.put_nowait(landing)
                await landing.written.wait()

    async def _ask(self, client: Client, call: Call) -> CallRecord | None:
        """Attempts until an answer, a lasting error or the deadline; None if the pool stops."""
        trial, record = _Attempt(call), None
        try:
            record = await self._try(client, trial)
        finally:
            # Whatever ended it: that it may have been billed without an answer is written down.
            if record is None and trial.uncertain:
                self._written.put_nowait(_Landing(self._error(trial, CUT_OFF)))
        return record

    async def _try(self, client: Client, trial: _Attempt) -> CallRecord | None:
        endpoint = self.endpoint
        began, end = math.inf, None
        failures = 0
        fault: AttemptFailure | None = None
        for attempt in itertools.count(1):
            trial.attempt = attempt
            try:
                entered, outcome, cost = await self._attempt(client, trial, end)
            except TimeoutError:
                # The deadline passed before there was a place for another attempt.
                break
            if end is None:
                began, end = entered, entered + endpoint.deadline
            if isinstance(outcome, CallRecord):
                return replace(
                    outcome,
                    run_id=self.run_id,
                    attempt=attempt,
                    uncertain=trial.uncertain,
                    cost=cost,
                )
            fault = outcome
            if fault.stop:
                raise EndpointRefused(fault.stop)
            if self.gate.broken:
                raise EndpointUnreachable(broken_sentence(endpoint, fault.message))
            if self._stopping:
                return None
            down = self.gate.tripped
            if down and not fault.connected and self._last_response == -math.inf:
                break
            # Being told to wait, and an endpoint that is down for all, are bounded by the deadline.
            failures += fault.code != "rate_limit" and not down
            pause = (fault.wait or 0.0) + jitter(attempt - 1, LONGEST)
            late = self._loop.time() + pause >= end
            if fault.code not in TRANSIENT or failures >= endpoint.max_attempts or late:
                break
            await asyncio.sleep(pause)
        assert fault is not None, "only a later attempt has an end"
        if not fault.connected and self._last_response < began:
            raise EndpointUnreachable(unreachable_sentence(endpoint, fault.message))
        return self._error(trial, fault)

    async def _attempt(
        self, client: Client, trial: _Attempt, end: float | None
    ) -> tuple[float, CallRecord | AttemptFailure, Decimal | None]:
        """Sends a call once: when it entered the gate, what came back, and what that cost.

        Raises TimeoutError if `end` comes before there are money and a place for it.
        """
        call, spending, gate = trial.call, self._spending, self.gate
        most = spending.most(call)
        async with asyncio.timeout_at(end):
            await spending.reserve(most)
        sent = False
        outcome: CallRecord | AttemptFailure | None = None
        cost: Decimal | None = None
        try:
            async with asyncio.timeout_at(end):
                entered = await gate.enter(call.weight())
            sent = True
            seconds = self.endpoint.deadline if end is None else end - entered
            outcome = await self._post(client, call, min(self.endpoint.timeout, seconds), entered)
        finally:
            if isinstance(outcome, CallRecord):
                cost = spending.settle(most, outcome)
            else:
                # Cut off in flight, it may be billed all the same.
                uncertain = sent if outcome is None else outcome.uncertain
                spending.settle_unanswered(most, billed=uncertain)
                self.usage.uncertain += uncertain
                trial.uncertain += uncertain
        return entered, outcome, cost

    async def _post(
        self, client: Client, call: Call, seconds: float, entered: float
    ) -> CallRecord | AttemptFailure:
        task = asyncio.current_task()
        assert task is not None
        self._posting.add(task)
        self.usage.attempts += 1
        try:
            outcome, headers = await client.post(call, seconds)
        finally:
            self._posting.discard(task)
            self.gate.leave()
        status = 200 if isinstance(outcome, CallRecord) else outcome.status_code
        if status is not None:
            self._last_response = self._loop.time()
        self.usage.calls += status == 200
        if isinstance(outcome, AttemptFailure) and outcome.code in TRANSIENT and status != 200:
            self.gate.complained(entered, status=status, wait=outcome.wait, headers=headers)
        else:
            self.gate.answered(headers)
        return outcome

    def _error(self, trial: _Attempt, fault: AttemptFailure) -> CallRecord:
        return CallRecord(
            key=trial.call.key,
            status_code=fault.status_code,
            body=fault.body,
            error={"code": fault.code, "message": fault.message},
            request_id=fault.request_id,
            attempt=trial.attempt,
            model=self.endpoint.model,
            prompt_version=trial.call.prompt_version,
            run_id=self.run_id,
            uncertain=trial.uncertain,
        )

    async def _write(self) -> None:
        """Group commit: all that landed during one write goes to disk with the next."""
        more = True
        while more:
            batch = [await self._written.get()]
            while not self._written.empty():
                batch.append(self._written.get_nowait())
            more = batch[-1] is not None
            landings = [landing for landing in batch if landing is not None]
            records = [landing.record for landing in landings]
            if records:
                await self._loop.run_in_executor(None, self.journal.append, *records)
                self.landed.put(records)
            for landing in landings:
                self.usage.count(landing.record.failure, landing.record.tokens, landing.record.cost)
                landing.written.set()
