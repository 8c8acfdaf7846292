"""Transport over the Batch API: writes calls into input files and runs the batch thread."""

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
    count_inputs,
    request_line,
)
from persona_assets.generation.batch.batch_results import READER_POLL
from persona_assets.generation.batch.batch_steps import BatchSteps
from persona_assets.generation.batch.open_batch import OpenBatch
from persona_assets.generation.batch.pending_requests import PendingRequests
from persona_assets.generation.batch.stop_token import RunStopped, StopToken
from persona_assets.generation.calls.adaptation import difference
from persona_assets.generation.calls.adaptation_file import Adaptations
from persona_assets.generation.calls.attempt_failure import AttemptFailure
from persona_assets.generation.calls.call import Call
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.refusals import Refusals
from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.journal import Journal
from persona_assets.generation.money.spending import Spending
from persona_assets.generation.money.usage import Usage
from persona_assets.generation.providers import provider_of
from persona_assets.ids import content_id

if TYPE_CHECKING:
    from openai import OpenAI

MOST_REQUESTS = 50_000
MOST_BYTES = 200_000_000
"""Limits of an input file (Batch API reference, "Create batch": 50,000 requests, 200 MB)."""


class BatchTransport:
    """Transport (see transport.py) over an endpoint's Batch API.

    Requests without a response (expired, cancelled, a transient error) go into a further batch,
    up to the endpoint's max_attempts. A batch that is too large for the upload, for the account's
    queue or for the budget is halved. Batches of earlier runs are collected; requests that this run
    does not need are not sent again.

    A refusal by the provider puts EndpointRefused into `landed`. A batch that exceeds the budget
    puts BudgetReached into `landed`, once no open batch can make room.

    Args:
        usage: Counters to update.
        spending: Worst cases, costs and caps of the endpoint.
        run_id: Run to note in the records.
        folder: Folder of open batches. By default beside the journal, a folder per model, so that
            roles do not confuse their batches.
        client: Function that makes the HTTP client in place of the default client.
        most_requests: Limit of an input file, in requests.
        most_bytes: Limit of an input file, in bytes.
        adaptations: Known adaptations of the endpoint.
        refusals: Refusals of the run.

    Raises:
        JournalBusy: Another transport holds the folder.
        EndpointRefused: The API key is missing.
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
        adaptations: Adaptations | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        if client is None:
            endpoint.api_key()
        self.endpoint = endpoint
        self._spending = spending
        self._adaptations = adaptations or Adaptations(endpoint)
        self._open_client = client or (lambda: open_client(endpoint))
        self._most_requests = most_requests
        self._most_bytes = most_bytes
        self._folder = BatchFolder(folder or default_folder(journal, endpoint))
        self._pending = PendingRequests(endpoint, journal, usage, spending, run_id)
        self.landed: SimpleQueue[Sequence[CallRecord] | BaseException] = self._pending.landed
        self._stop_token = StopToken()
        self._steps = BatchSteps(
            endpoint,
            usage,
            spending,
            self._folder,
            self._pending,
            self._stop_token,
            self._adaptations,
            refusals or Refusals(),
        )
        self._inputs: dict[str, InputFile] = {}
        self._flushing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
        self._thread.start()

    @property
    def open_batches(self) -> int:
        """Number of open batches."""
        return len(self._steps.queue)

    @property
    def waiting(self) -> int:
        """Number of requests without a record, in batches or in input files."""
        return len(self._pending)

    @property
    def done(self) -> int:
        """Number of requests in open batches that the provider has processed."""
        return sum(open_batch.done for open_batch in list(self._steps.queue))

    @property
    def ignored(self) -> int:
        """Number of result lines without a pending request: unknown, repeated or not JSON."""
        return self._steps.ignored

    def submit(self, calls: Sequence[Call]) -> None:
        """Write calls into input files, except calls that are pending already."""
        with self._pending.lock:
            for call in calls:
                if self._pending.request(call.key):
                    self._write(call)

    def flush(self) -> None:
        """Send the submitted calls, once the reader has taken all landed records."""
        with self._pending.lock:
            self._flushing = True
        self._wake.set()

    def close(self) -> None:
        """Stop the thread; batches at the provider stay there for the next run."""
        self._stop_token.stop(self._wake)
        self._thread.join(timeout=0.5)
        for file in self._inputs.values():
            file.discard()
        self._inputs.clear()
        self._folder.close()

    def _write(self, call: Call) -> None:
        sent = None
        if self._adaptations.changes:
            adapted = self._adaptations.apply(call.body)
            sent = difference(call.body, adapted)
            call = Call(call.key, call.url, adapted, call.prompt_version)
        body = {"model": self.endpoint.model, **provider_of(self.endpoint).request_body(call)}
        line, size = request_line(call, body), count_inputs(call)
        ticket = Ticket(1, call.prompt_version, self._spending.most(call), sent)
        if len(line) > self._most_bytes or size > self._most_requests:
            message = f"a request of {len(line)} bytes and {size} inputs fits into no batch"
            self._pending.refuse(call.key, AttemptFailure("bad_request", message), ticket)
            return
        url = batch_url(call)
        file = self._inputs.get(url)
        if file is not None and (
            file.inputs + size > self._most_requests or file.size + len(line) > self._most_bytes
        ):
            self._close_file(url)
        if url not in self._inputs:
            self._inputs[url] = InputFile(self._folder, url)
        self._inputs[url].add(call.key, line, ticket, size)

    def _close_file(self, url: str) -> None:
        self._steps.queue.append(OpenBatch(self._inputs.pop(url).close()))
        self._wake.set()

    def _run(self) -> None:
        with self._stop_token:
            try:
                with self._open_client() as client:
                    api = BatchAPI(client, self.endpoint, self._stop_token.stopping)
                    while True:
                        self._steps.advance(api)
                        self._wait_until_due()
            except RunStopped:
                pass
            except BaseException as error:
                self.landed.put(error)

    def _wait_until_due(self) -> None:
        """Wait until a batch is due; send calls that follow from landed records together."""
        with self._pending.lock:
            if self._flushing and self.landed.empty():
                for url in list(self._inputs):
                    self._close_file(url)
                self._flushing = False
                self._steps.all_submitted = True
                self._steps.release()
        due = self._steps.due - time.monotonic()
        pause = min(due, READER_POLL) if self._flushing else due
        if pause > 0:
            with self._stop_token.released():
                self._wake.wait(None if pause == math.inf else pause)
                self._wake.clear()


def default_folder(journal: Journal, endpoint: Endpoint) -> Path:
    """Return the folder of the open batches of a journal and a model."""
    model = content_id("batches", endpoint.identity)[:8]
    return journal.path.with_suffix(f".{model}.batches")
