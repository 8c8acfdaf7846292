"""The transport itself: takes calls, and lets a thread work."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from persona_assets.generation.batch.batch_api import BatchAPI, open_client
from persona_assets.generation.batch.batch_files import (
    BatchFolder,
    InputFile,
    Ticket,
    batch_url,
    inputs,
    request_line,
)
from persona_assets.generation.batch.batch_results import HELD
from persona_assets.generation.batch.batch_steps import BatchSteps
from persona_assets.generation.batch.landing import Landing
from persona_assets.generation.batch.open_batch import OpenBatch
from persona_assets.generation.batch.stop_token import RunStopped, StopToken
from persona_assets.generation.calls.attempt_failure import AttemptFailure
from persona_assets.generation.calls.call import Call
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.journal import Journal
from persona_assets.generation.money.spending import Spending
from persona_assets.generation.money.usage import Usage
from persona_assets.ids import content_id

if TYPE_CHECKING:
    from openai import OpenAI

MOST_REQUESTS = 50_000
MOST_BYTES = 200_000_000
"""Of one input file (Batch API reference, "Create batch": 50,000 requests, 200 MB)."""


class BatchTransport:
    """A transport (see transport.py) over one endpoint's Batch API.

    spending: leave to spend; see landing.py.
    folder: what is under way. By default beside the journal, one for each model, so that no role
        takes another's batches for its own.
    client: makes the HTTP client in place of the default one.
    most_requests, most_bytes: limits of one input file.

    Requests that come back without an answer (expired, cancelled, a transient error) go into a
    further batch, as often as the endpoint's max_attempts says. A batch that is too large for the
    upload, for the account's queue or for the budget is halved. Batches of an earlier run are
    collected; what nobody asks for any more is not sent again.

    What the provider refuses puts EndpointRefused into `landed`; a batch that the budget does not
    allow, once nothing is under way that could make room, BudgetReached. Raises JournalBusy if
    another Batches holds the folder, EndpointRefused if the API key is missing.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Journal,
        usage: Usage,
        spending: Spending,
        *,
        run_id: str = "",
        folder: Path | None = None,
        client: "Callable[[], OpenAI] | None" = None,
        most_requests: int = MOST_REQUESTS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        if client is None:
            endpoint.api_key()
        self.endpoint = endpoint
        self._spending = spending
        self._open_client = client or (lambda: open_client(endpoint))
        self._most_requests = most_requests
        self._most_bytes = most_bytes
        self._folder = BatchFolder(folder or default_folder(journal, endpoint))
        self._landing = Landing(endpoint, journal, usage, spending, run_id)
        self.landed: SimpleQueue[Sequence[CallRecord] | BaseException] = self._landing.landed
        self._turn = StopToken()
        self._steps = BatchSteps(endpoint, usage, spending, self._folder, self._landing, self._turn)
        self._inputs: dict[str, InputFile] = {}
        self._flushing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
        self._thread.start()

    @property
    def open_batches(self) -> int:
        """Batches that have not ended."""
        return len(self._steps.open)

    @property
    def waiting(self) -> int:
        """Requests without a record, in batches or on their way into one."""
        return len(self._landing)

    @property
    def done(self) -> int:
        """Requests in open batches that the provider says it has done."""
        return sum(it.done for it in list(self._steps.open))

    @property
    def ignored(self) -> int:
        """Lines of the provider's that nobody waited for: unknown, repeated or not JSON."""
        return self._steps.ignored

    def submit(self, calls: Sequence[Call]) -> None:
        """Writes calls into an input file, unless they are under way already."""
        with self._landing.lock:
            for call in calls:
                if self._landing.ask(call.key):
                    self._write(call)

    def flush(self) -> None:
        """Sends what was submitted, once the reader has taken what has landed."""
        with self._landing.lock:
            self._flushing = True
        self._wake.set()

    def close(self) -> None:
        """Looks at no batch any more: what is at the provider stays there for the next run."""
        self._turn.stop(self._wake)
        self._thread.join(timeout=0.5)
        for file in self._inputs.values():
            file.discard()
        self._inputs.clear()
        self._folder.close()

    def _write(self, call: Call) -> None:
        line, size = request_line(call, self.endpoint.model), inputs(call)
        ticket = Ticket(1, call.prompt_version, self._spending.most(call))
        if len(line) > self._most_bytes or size > self._most_requests:
            said = f"a request of {len(line)} bytes and {size} inputs fits into no batch"
            self._landing.refuse(call.key, AttemptFailure("bad_request", said), ticket)
            return
        url = batch_url(call)
        file = self._inputs.get(url)
        if file is not None and (
            file.inputs + size > self._most_requests or file.size + len(line) > self._most_bytes
        ):
            self._finish(url)
        if url not in self._inputs:
            self._inputs[url] = InputFile(self._folder, url)
        self._inputs[url].add(call.key, line, ticket, size)

    def _finish(self, url: str) -> None:
        self._steps.open.append(OpenBatch(self._inputs.pop(url).close()))
        self._wake.set()

    def _run(self) -> None:
        with self._turn:
            try:
                with self._open_client() as client:
                    api = BatchAPI(client, self.endpoint, self._turn.stopping)
                    while True:
                        self._steps.advance(api)
                        self._rest()
            except RunStopped:
                pass
            except BaseException as error:
                self.landed.put(error)

    def _rest(self) -> None:
        """Waits until a batch is due. Calls that follow from what has landed go out together."""
        with self._landing.lock:
            if self._flushing and self.landed.empty():
                for url in list(self._inputs):
                    self._finish(url)
                self._flushing = False
                self._steps.asked = True
                self._steps.release()
        due = self._steps.due - time.monotonic()
        pause = min(due, HELD) if self._flushing else due
        if pause > 0:
            with self._turn.away():
                self._wake.wait(None if pause == math.inf else pause)
                self._wake.clear()


def default_folder(journal: Journal, endpoint: Endpoint) -> Path:
    """Where the batches of a model are kept whose answers go into a journal."""
    model = content_id("batches", endpoint.identity)[:8]
    return journal.path.with_suffix(f".{model}.batches")
