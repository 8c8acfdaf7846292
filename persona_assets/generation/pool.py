"""The worker pool: calls in, durable records out, in one background thread.

A worker takes a call, asks until it has an answer or gives up, and takes the next one only when
the record is on disk. So no more calls than there are workers can be paid for and yet unknown to
the journal.
"""

import asyncio
import itertools
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from persona_assets.generation.call import Call
from persona_assets.generation.client import open_client, post
from persona_assets.generation.endpoint import Endpoint
from persona_assets.generation.errors import EndpointError, EndpointRefused, EndpointUnreachable
from persona_assets.generation.fault import Fault, unreachable_sentence
from persona_assets.generation.gate import Gate
from persona_assets.generation.journal import Journal
from persona_assets.generation.record import TRANSIENT, Record
from persona_assets.generation.usage import Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

BACKOFF = 0.5
BACKOFF_MOST = 30.0
"""Full jitter: the n-th pause is uniform in [0, min(BACKOFF_MOST, BACKOFF * 2**(n - 1))] seconds
("Exponential Backoff And Jitter", AWS Architecture Blog, 2015)."""


class Stopped(EndpointError):
    """The pool was closed before this call was answered."""


@dataclass(slots=True)
class _Landing:
    """A record on its way to disk, and who waits for that."""

    record: Record
    promise: Future[Record]
    written: asyncio.Event = field(default_factory=asyncio.Event)


class Pool:
    """Workers over one endpoint. `submit` and `close` are for the one thread that made the pool.

    A run that cannot go on (EndpointError, a full disk) fails every call that is not yet answered.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Journal,
        usage: Usage,
        *,
        run_id: str = "",
        client: Callable[[Endpoint], "AsyncOpenAI"] | None = None,
        grace: float = 5.0,
    ) -> None:
        self.endpoint = endpoint
        self.journal = journal
        self.usage = usage
        self.run_id = run_id
        self.grace = grace
        self._open_client = client or open_client
        self._unanswered: dict[str, Future[Record]] = {}
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._stopping = False
        self._last_response = 0.0
        self._posting: set[asyncio.Task[None]] = set()
        self._gate = Gate(endpoint.concurrency)
        self._stop = asyncio.Event()
        self._calls: asyncio.Queue[tuple[Call, Future[Record]]] = asyncio.Queue()
        self._landed: asyncio.Queue[_Landing | None] = asyncio.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="generation", daemon=True)
        self._thread.start()

    def pending(self, key: str) -> Future[Record] | None:
        """The record to come of a call that is on its way."""
        return self._unanswered.get(key)

    def submit(self, call: Call) -> Future[Record]:
        """Queues a call; the result is set when the record is on disk."""
        promise: Future[Record] = Future()
        with self._lock:
            if self._failure is not None:
                promise.set_exception(self._failure)
            else:
                self._unanswered[call.key] = promise
                self._loop.call_soon_threadsafe(self._calls.put_nowait, (call, promise))
        return promise

    def close(self) -> None:
        """Sends nothing more, gives calls in flight `grace` seconds to land, and returns."""
        with self._lock:
            if self._failure is None:
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        except BaseException as error:
            self._end(error)
        else:
            self._end(Stopped("the run was stopped"))
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def _end(self, failure: BaseException) -> None:
        with self._lock:
            self._failure = failure
            for promise in self._unanswered.values():
                promise.set_exception(failure)
            self._unanswered.clear()

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
            self._landed.put_nowait(None)
            await writer
        for worker in workers:
            if not worker.cancelled() and (error := worker.exception()) is not None:
                raise error

    async def _work(self, client: "AsyncOpenAI") -> None:
        while not self._stopping:
            call, promise = await self._calls.get()
            record = await self._ask(client, call)
            if record is not None:
                landing = _Landing(replace(record, run_id=self.run_id), promise)
                self._landed.put_nowait(landing)
                await landing.written.wait()

    async def _ask(self, client: "AsyncOpenAI", call: Call) -> Record | None:
        """Attempts until an answer, a lasting error or the deadline; None if the pool stops."""
        endpoint = self.endpoint
        failures = 0
        began = entered = await self._gate.enter()
        end = began + endpoint.deadline
        for attempt in itertools.count(1):
            outcome = await self._attempt(client, call, min(endpoint.timeout, end - entered))
            if isinstance(outcome, Record):
                self._gate.widen()
                return replace(outcome, attempt=attempt)
            if outcome.stop:
                raise EndpointRefused(outcome.stop)
            if outcome.crowded:
                self._gate.narrow(entered, outcome.wait or 0.0)
            if outcome.code not in TRANSIENT:
                return self._error(call, outcome, attempt)
            if self._stopping:
                break
            # Being told to wait costs nothing, so it is bounded by the deadline alone.
            failures += outcome.code != "rate_limit"
            longest = min(BACKOFF_MOST, BACKOFF * 2 ** min(attempt - 1, 16))
            pause = (outcome.wait or 0.0) + random.uniform(0, longest)
            late = asyncio.get_running_loop().time() + pause >= end
            if failures >= endpoint.max_attempts or late:
                if not outcome.connected and self._last_response < began:
                    raise EndpointUnreachable(unreachable_sentence(endpoint, outcome.message))
                return self._error(call, outcome, attempt)
            await asyncio.sleep(pause)
            entered = await self._gate.enter()
        return None

    async def _attempt(self, client: "AsyncOpenAI", call: Call, timeout: float) -> Record | Fault:
        task = asyncio.current_task()
        assert task is not None
        self._posting.add(task)
        try:
            if timeout <= 0:
                return Fault("timeout", "the deadline passed while the endpoint was overloaded")
            self.usage.attempts += 1
            outcome = await post(client, self.endpoint, call, timeout)
        finally:
            self._posting.discard(task)
            self._gate.leave()
        if outcome.status_code is not None:
            self._last_response = asyncio.get_running_loop().time()
        self.usage.calls += outcome.status_code == 200
        return outcome

    def _error(self, call: Call, fault: Fault, attempt: int) -> Record:
        return Record(
            key=call.key,
            status_code=fault.status_code,
            body=fault.body,
            error={"code": fault.code, "message": fault.message},
            request_id=fault.request_id,
            attempt=attempt,
            model=self.endpoint.model,
            prompt_version=call.prompt_version,
        )

    async def _write(self) -> None:
        """Group commit: all that landed during one write goes to disk with the next."""
        loop = asyncio.get_running_loop()
        more = True
        while more:
            batch = [await self._landed.get()]
            while not self._landed.empty():
                batch.append(self._landed.get_nowait())
            more = batch[-1] is not None
            landings = [landing for landing in batch if landing is not None]
            records = [landing.record for landing in landings]
            if records:
                await loop.run_in_executor(None, self.journal.append, *records)
            for landing in landings:
                self._count(landing.record)
                with self._lock:
                    self._unanswered.pop(landing.record.key, None)
                landing.promise.set_result(landing.record)
                landing.written.set()

    def _count(self, record: Record) -> None:
        self.usage.failed += record.failure is not None
        self.usage.prompt_tokens += _tokens(record, "prompt_tokens")
        self.usage.completion_tokens += _tokens(record, "completion_tokens")


def _tokens(record: Record, kind: str) -> int:
    count = record.usage.get(kind)
    return count if isinstance(count, int) else 0
