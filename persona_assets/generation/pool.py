"""Worker pool: calls in, records on disk out, in a background thread.

A worker sends a call until it has an answer or gives up, and starts the next call only when the
record is on disk. So the number of calls that are paid for and yet unknown to the journal never
exceeds the number of workers.
"""

import asyncio
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from queue import SimpleQueue
from typing import Any

from persona_assets.generation.calls.adaptation import (
    Change,
    adaptation_for,
    apply_all,
    difference,
    untried,
)
from persona_assets.generation.calls.adaptation_file import Adaptations
from persona_assets.generation.calls.attempt_failure import (
    ADAPTED,
    RETRIED,
    AttemptFailure,
    away_sentence,
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
from persona_assets.generation.calls.free_requests import is_away
from persona_assets.generation.calls.outage import Outage
from persona_assets.generation.calls.refusals import Refusals
from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.journal import Journal
from persona_assets.generation.limits.backoff import jitter
from persona_assets.generation.limits.concurrency_limiter import ConcurrencyLimiter
from persona_assets.generation.money.spending import Spending
from persona_assets.generation.money.usage import Usage

LONGEST = 30.0
"""Longest pause between two attempts, in seconds, beside the wait that the endpoint asks for."""

CUT_OFF = AttemptFailure("connection", "the run ended before an answer came")
"""Failure of a call that was in flight at the end of the run and may have been billed."""

BROKEN_OFF = AttemptFailure("server_error", "the endpoint broke off its answer", status_code=200)
"""Failure of an attempt whose response is no answer, but billed."""


class PoolClosed(EndpointError):
    """The pool was closed before this call was answered."""


@dataclass(slots=True)
class _Landing:
    """A record to be written, and the event that reports it as written.

    A record that is not final is written for the accounts: its call goes on.
    """

    record: CallRecord
    final: bool = True
    written: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Progress:
    """Progress of a call.

    Attributes:
        call: Call as the prompt states it.
        attempts: Number of attempts.
        uncertain: Number of attempts that may have been billed.
        sent: Call as the last attempt sent it.
        changes: Changes that the endpoint's refusals of this call asked for, with its sentences.
        unfinished: Billed response that is no answer, until it is written down.
    """

    call: Call
    attempts: int = 0
    uncertain: int = 0
    sent: Call | None = None
    changes: dict[Change, str] = field(default_factory=dict)
    unfinished: CallRecord | None = None

    @property
    def difference(self) -> dict[str, Any] | None:
        """Parameters that were sent in place of the call's own; see `CallRecord.sent`."""
        if self.sent is None or self.sent is self.call:
            return None
        return difference(self.call.body, self.sent.body)


class Pool:
    """Transport by workers over an endpoint; see transport.py.

    An exception that ends the run (EndpointError, OSError of a full disk) is put into `landed`.

    Args:
        endpoint: Endpoint to send to.
        journal: Journal that stores the records.
        usage: Counters to update.
        spending: Prices calls and reserves their money.
        run_id: Stored in each record.
        client: Makes the HTTP client; called once.
        grace: Seconds that calls in flight may still use once the pool is closed.
        adaptations: Known adaptations of the endpoint.
        refusals: Refusals of the run.
        outage: Shows whether the endpoint is away, and knows whether it is waited for.
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
        adaptations: Adaptations | None = None,
        refusals: Refusals | None = None,
        outage: Outage | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.journal = journal
        self.usage = usage
        self.run_id = run_id
        self.grace = grace
        self.landed: SimpleQueue[Sequence[CallRecord] | BaseException] = SimpleQueue()
        self.limiter = ConcurrencyLimiter(
            endpoint.concurrency,
            requests_per_minute=endpoint.requests_per_minute,
            tokens_per_minute=endpoint.tokens_per_minute,
            patience=max(endpoint.deadline, endpoint.outage),
        )
        self._adaptations = adaptations or Adaptations(endpoint)
        self._refusals = refusals or Refusals()
        self._outage = outage or Outage(endpoint)
        self._spending = spending
        self._open_client = client
        self._stopping = False
        self._last_response = -math.inf
        self._posting: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._calls: asyncio.Queue[Call] = asyncio.Queue()
        self._landings: asyncio.Queue[_Landing | None] = asyncio.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="generation", daemon=True)
        self._thread.start()

    def submit(self, calls: Sequence[Call]) -> None:
        """Queue calls for the workers."""
        if not self._stopping:
            self._loop.call_soon_threadsafe(self._enqueue, calls)

    def flush(self) -> None:
        """Do nothing: a worker sends a call as soon as the limits allow it."""

    def close(self) -> None:
        """Send nothing more, wait up to `grace` seconds for calls in flight, stop the thread."""
        if not self._stopping:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def _enqueue(self, calls: Sequence[Call]) -> None:
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
                # Calls in flight will be billed, so they may land; all other work ends.
                if worker not in self._posting:
                    worker.cancel()
            await asyncio.wait(workers, timeout=0.0 if writer.done() else self.grace)
            stop.cancel()
            for worker in workers:
                worker.cancel()
            await asyncio.wait([stop, *workers])
            self._landings.put_nowait(None)
            await writer
        # Each exception is read, since asyncio logs an exception that nobody has read.
        errors = [worker.exception() for worker in workers if not worker.cancelled()]
        for error in errors:
            if error is not None:
                raise error

    async def _work(self, client: Client) -> None:
        while not self._stopping:
            record = await self._ask(client, await self._calls.get())
            if record is not None:
                await self._land(record)

    async def _land(self, record: CallRecord, *, final: bool = True) -> None:
        """Wait until a record is on disk."""
        landing = _Landing(record, final)
        self._landings.put_nowait(landing)
        await landing.written.wait()

    async def _ask(self, client: Client, call: Call) -> CallRecord | None:
        """Return the record of a call; None if the pool stops before there is an answer."""
        progress, record = _Progress(call), None
        try:
            record = await self._retry(client, progress)
        finally:
            # Whatever ended the call: attempts that may have been billed are written down.
            if record is None and progress.unfinished is not None:
                self._landings.put_nowait(_Landing(progress.unfinished, final=False))
            elif record is None and progress.uncertain:
                self._landings.put_nowait(_Landing(self._error(progress, CUT_OFF)))
        return record

    async def _retry(self, client: Client, progress: _Progress) -> CallRecord | None:
        """Send a call until an answer, a lasting error or the deadline; None if the pool stops."""
        endpoint, refusals = self.endpoint, self._refusals
        refusals.begin(progress.call.key)
        began, end = math.inf, None
        failures = 0
        failure: AttemptFailure | None = None
        while True:
            try:
                entered, outcome, cost = await self._attempt(client, progress, end)
            except TimeoutError:
                if self.limiter.tripped and progress.uncertain < endpoint.max_attempts:
                    # The wait for an endpoint that is down does not count.
                    end = None
                    continue
                # The deadline passed before the limits allowed another attempt.
                break
            if end is None:
                began, end = min(began, entered), entered + endpoint.deadline
            if isinstance(outcome, CallRecord):
                refusals.succeed()
                for change, said in progress.changes.items():
                    self._adaptations.keep([change], said)
                record = replace(
                    outcome,
                    run_id=self.run_id,
                    attempt=progress.attempts,
                    uncertain=progress.uncertain,
                    cost=cost,
                    sent=progress.difference,
                )
                if record.answered:
                    return record
                progress.unfinished, failure = record, BROKEN_OFF
            else:
                failure = outcome
            if self._adapt(progress, failure) and not self._stopping:
                continue
            if stop := refusals.stop_sentence(progress.call.key, failure):
                raise EndpointRefused(stop)
            if self.limiter.broken:
                raise EndpointUnreachable(broken_sentence(endpoint, failure.message))
            if self._stopping:
                return progress.unfinished
            down = self.limiter.tripped
            never = self._last_response == -math.inf and not self._outage.known
            if down and not failure.connected and never:
                break
            # Only the deadline bounds rate limits and an endpoint that is down for all calls.
            failures += failure.code != "rate_limit" and not down
            pause = (failure.wait or 0.0) + jitter(progress.attempts - 1, LONGEST)
            late = self._loop.time() + pause >= end
            if await self._is_away(failure, failures >= endpoint.max_attempts):
                if self._outage.over:
                    raise EndpointUnreachable(away_sentence(endpoint, failure.message))
                # Nothing was computed: the next attempt begins the call anew, once it may enter.
                failures, end, late = min(failures, endpoint.max_attempts - 1), None, False
                pause = 0.0 if self.limiter.tripped else pause
            # Key, model or permission, refused amid successes, may be accepted the next time.
            again = failure.code in RETRIED or failure.evidence == "named"
            if not again or failures >= endpoint.max_attempts or late:
                break
            if progress.unfinished is not None:
                # Its money, and that of earlier attempts, is written down before more is spent.
                unfinished, progress.unfinished, progress.uncertain = progress.unfinished, None, 0
                await self._land(unfinished, final=False)
            await asyncio.sleep(pause)
        if progress.unfinished is not None:
            return progress.unfinished
        assert failure is not None, "only a later attempt has an end"
        if not failure.connected and self._last_response < began:
            raise EndpointUnreachable(unreachable_sentence(endpoint, failure.message))
        refusals.said = failure.message
        return self._error(progress, failure)

    async def _is_away(self, failure: AttemptFailure, exhausted: bool) -> bool:
        """Return True if a failure is that of an endpoint which is away and is waited for.

        Args:
            failure: Failure of an attempt.
            exhausted: True if nothing but an outage allows another attempt.
        """
        outage = self._outage
        if not outage.awaited or not failure.away:
            return False
        if failure.connected and not self.limiter.tripped:
            if not exhausted:
                return False
            # A gateway may say so of one call alone, so the endpoint itself is asked.
            was_away = outage.since is not None
            if not await self._loop.run_in_executor(None, is_away, self.endpoint):
                outage.end()
                return was_away
        outage.begin(failure.message)
        return True

    def _adapt(self, progress: _Progress, failure: AttemptFailure) -> bool:
        """Note the changes that a refusal asks for; return True if the call is to be sent again."""
        if failure.code not in ADAPTED or failure.reply is None or progress.sent is None:
            return False
        changes = adaptation_for(failure.reply, progress.sent.body)
        fresh = untried(changes, progress.changes)
        progress.changes.update(dict.fromkeys(fresh, failure.reply.message))
        return bool(fresh)

    def _adapted(self, progress: _Progress) -> Call:
        """Return a call as the endpoint takes it."""
        call = progress.call
        if self._adaptations.changes or progress.changes:
            body = apply_all([*self._adaptations.changes, *progress.changes], call.body)
            if body != call.body:
                return Call(call.key, call.url, body, call.prompt_version)
        return call

    async def _attempt(
        self, client: Client, progress: _Progress, end: float | None
    ) -> tuple[float, CallRecord | AttemptFailure, Decimal | None]:
        """Send a call once, when money and limits allow it.

        Returns:
            Time at which the call entered the limiter, its outcome, and its cost.

        Raises:
            TimeoutError: `end` passed before money and limits allowed the attempt.
        """
        call, spending, limiter = progress.call, self._spending, self.limiter
        most = spending.most(call)
        async with asyncio.timeout_at(end):
            await spending.reserve(most)
        sent = False
        outcome: CallRecord | AttemptFailure | None = None
        cost: Decimal | None = None
        try:
            async with asyncio.timeout_at(end):
                entered = await limiter.enter(call.weight())
            sent = True
            progress.attempts += 1
            seconds = self.endpoint.deadline if end is None else end - entered
            progress.sent = self._adapted(progress)
            outcome = await self._post(
                client, progress.sent, min(self.endpoint.timeout, seconds), entered
            )
        finally:
            if isinstance(outcome, CallRecord):
                cost = spending.settle(most, outcome)
            else:
                # A call that is cut off in flight may be billed all the same.
                uncertain = sent if outcome is None else outcome.uncertain
                spending.settle_unanswered(most, billed=uncertain)
                self.usage.uncertain += uncertain
                progress.uncertain += uncertain
        return entered, outcome, cost

    async def _post(
        self, client: Client, call: Call, seconds: float, entered: float
    ) -> CallRecord | AttemptFailure:
        """Send a call at once and report its outcome to the limiter."""
        task = asyncio.current_task()
        assert task is not None
        self._posting.add(task)
        self.usage.attempts += 1
        try:
            outcome, headers = await client.post(call, seconds)
        finally:
            self._posting.discard(task)
            self.limiter.leave()
        status = 200 if isinstance(outcome, CallRecord) else outcome.status_code
        if status is not None:
            self._last_response = self._loop.time()
        if isinstance(outcome, CallRecord) or not (status is None or outcome.away):
            self._outage.end()
        self.usage.calls += status == 200
        if isinstance(outcome, AttemptFailure) and outcome.code in RETRIED and status != 200:
            # Some providers report a rate limit by another status.
            status = 429 if outcome.code == "rate_limit" else status
            self.limiter.record_failure(
                entered,
                status=status,
                wait=outcome.wait,
                headers=headers,
                connected=outcome.connected,
            )
        else:
            self.limiter.record_response(headers)
        return outcome

    def _error(self, progress: _Progress, failure: AttemptFailure) -> CallRecord:
        return CallRecord(
            key=progress.call.key,
            status_code=failure.status_code,
            body=failure.body,
            error={"code": failure.code, "message": failure.message},
            request_id=failure.request_id,
            attempt=progress.attempts,
            model=self.endpoint.model,
            prompt_version=progress.call.prompt_version,
            run_id=self.run_id,
            uncertain=progress.uncertain,
            sent=progress.difference,
        )

    async def _write(self) -> None:
        """Write records by group commit: all that land during a write share the next."""
        more = True
        while more:
            batch = [await self._landings.get()]
            while not self._landings.empty():
                batch.append(self._landings.get_nowait())
            more = batch[-1] is not None
            landings = [landing for landing in batch if landing is not None]
            records = [landing.record for landing in landings]
            if records:
                await self._loop.run_in_executor(None, self.journal.append, *records)
                self.landed.put([landing.record for landing in landings if landing.final])
            for landing in landings:
                record, failure = landing.record, landing.record.failure if landing.final else None
                self.usage.count(failure, record.tokens, record.cost)
                landing.written.set()
