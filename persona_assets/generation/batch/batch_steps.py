"""Steps of a batch from its present state: find, adopt, upload, create, poll, download, collect.

The state on disk (batch_files.py) precedes each request that costs money, so the steps may end
anywhere and start again from the same folder.
"""

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from persona_assets.generation.batch.batch_api import BatchAPI, provider_code
from persona_assets.generation.batch.batch_files import BatchFolder
from persona_assets.generation.batch.batch_queue import BatchQueue
from persona_assets.generation.batch.batch_results import collect_results
from persona_assets.generation.batch.open_batch import OpenBatch
from persona_assets.generation.batch.pending_requests import PendingRequests
from persona_assets.generation.batch.stop_token import StopToken
from persona_assets.generation.calls.adaptation_file import Adaptations
from persona_assets.generation.calls.attempt_failure import (
    AttemptFailure,
    stop_sentence,
    unreachable_sentence,
)
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.errors import (
    BudgetReached,
    EndpointRefused,
    EndpointUnreachable,
)
from persona_assets.generation.calls.refusals import Refusals
from persona_assets.generation.journal.call_record import as_list, as_object
from persona_assets.generation.money.spending import Spending
from persona_assets.generation.money.usage import Usage
from persona_assets.generation.providers import Meaning, provider_of
from persona_assets.generation.providers.error_rules import find_rule

QUEUE_FULL = frozenset({"token_limit_exceeded"})
"""Error codes of a batch that failed because the account's queue is full."""


class BatchSteps:
    """State machine of the open batches of a run; belongs to the batch thread.

    Attributes:
        queue: Open batches.
        all_submitted: True if all calls known so far were submitted.
        ignored: Number of result lines without a pending request: unknown, repeated or not JSON.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        usage: Usage,
        spending: Spending,
        folder: BatchFolder,
        pending: PendingRequests,
        stop_token: StopToken,
        adaptations: Adaptations,
        refusals: Refusals,
    ) -> None:
        self.queue = BatchQueue(folder, pending, spending)
        self.all_submitted = False
        self.ignored = 0
        self._endpoint = endpoint
        self._usage = usage
        self._spending = spending
        self._folder = folder
        self._pending = pending
        self._stop_token = stop_token
        self._adaptations = adaptations
        self._refusals = refusals
        # True if open batches fill the account's queue, or the budget.
        self._queue_full = self._budget_full = False

    def advance(self, api: BatchAPI) -> None:
        """Perform the next step of every batch that is due.

        Raises:
            EndpointRefused: The provider refuses a request for good.
            EndpointUnreachable: The provider has never responded.
            BudgetReached: The caps leave no room for a batch, and no open batch can make room.
            OSError: The disk is full, or another error of the file system.
            RunStopped: The run was closed.
        """
        for open_batch in list(self.queue):
            self._stop_token.raise_if_stopped()
            if open_batch.due <= time.monotonic():
                match open_batch.batch.step:
                    case "created":
                        self._poll(api, open_batch)
                    case "finished":
                        self._collect(open_batch)
                    case _:
                        self._send(api, open_batch)

    @property
    def due(self) -> float:
        """Time of the next step of any batch, by time.monotonic."""
        return self.queue.due

    def release(self) -> None:
        """Make all suspended batches due."""
        self.queue.release()

    def _retry_or_raise(
        self, api: BatchAPI, open_batch: OpenBatch, failure: AttemptFailure
    ) -> None:
        """Schedule another attempt of a request, or raise if no attempt can succeed."""
        last = open_batch.failures + 1 >= self._endpoint.max_attempts
        if failure.stop and (last or failure.code != "gone"):
            raise EndpointRefused(failure.stop)
        if last and not api.reached:
            raise EndpointUnreachable(unreachable_sentence(self._endpoint, failure.message))
        open_batch.back_off(failure.wait)

    def _send(self, api: BatchAPI, open_batch: OpenBatch) -> None:
        """Perform the next step of a batch that the provider has not begun."""
        if open_batch.unverified:
            self._find(api, open_batch)
        elif not open_batch.requested:
            self._adopt(open_batch)
        elif self._has_room(open_batch):
            if open_batch.batch.step == "prepared":
                self._upload(api, open_batch)
            else:
                self._create(api, open_batch)

    def _find(self, api: BatchAPI, open_batch: OpenBatch) -> None:
        """Look for an upload or a batch at the provider that the state does not contain."""
        with self._stop_token.released():
            prepared = open_batch.batch.step == "prepared"
            match = api.find_upload(open_batch.batch) if prepared else api.find(open_batch.batch)
        if isinstance(match, AttemptFailure):
            self._retry_or_raise(api, open_batch, match)
        elif not match:
            open_batch.unverified = False
        elif prepared:
            self.queue.save(open_batch, step="uploaded", file_id=str(match.get("id")))
        else:
            self.queue.save(open_batch, step="created", batch_id=str(match.get("id")))
            open_batch.unverified = False

    def _adopt(self, open_batch: OpenBatch) -> None:
        """Reduce an unsent batch of an earlier run to the requests that this run needs."""
        if not self.all_submitted:
            open_batch.hold()
            return
        tickets = self._folder.tickets(open_batch.batch)
        needed = self._pending.keep_requested(tickets)
        if len(needed) == len(tickets):
            open_batch.requested = True
            if open_batch.batch.step == "uploaded":
                # Uploads expire, and the API key may belong to another account by now.
                self.queue.save(open_batch, step="prepared", file_id="")
                open_batch.unverified = True
        else:
            self.queue.split(open_batch, needed)

    def _has_room(self, open_batch: OpenBatch) -> bool:
        """Return True if queue and budget have room for a batch; charge its worst case."""
        batch = open_batch.batch
        # A charged batch will cost less than its worst case and so make room in the budget.
        charged = any(other.batch.charged is not None for other in self.queue)
        if self._queue_full and any(other.started for other in self.queue):
            open_batch.hold()
        elif batch.charged == self._spending.scopes:
            return True
        elif self._budget_full and charged:
            open_batch.hold()
        else:
            try:
                self._spending.charge(Decimal(batch.most))
            except BudgetReached:
                if batch.requests > 1:
                    self.queue.halve(open_batch)
                elif charged:
                    self._budget_full = True
                    open_batch.hold()
                else:
                    raise
            else:
                self.queue.save(open_batch, charged=self._spending.scopes)
                return True
        return False

    def _upload(self, api: BatchAPI, open_batch: OpenBatch) -> None:
        with self._stop_token.released():
            response = api.upload(open_batch.batch, self._folder.file(open_batch.batch, "requests"))
        if not isinstance(response, AttemptFailure):
            open_batch.failures = 0
            self.queue.save(open_batch, step="uploaded", file_id=str(response.get("id")))
        elif response.code == "too_large" and open_batch.batch.requests > 1:
            self.queue.halve(open_batch)
        else:
            open_batch.unverified = True
            self._retry_or_raise(api, open_batch, response)

    def _create(self, api: BatchAPI, open_batch: OpenBatch) -> None:
        # The token stays locked, so that `close` waits: no run may look for a batch while another
        # run creates the batch.
        response = api.create(open_batch.batch)
        if isinstance(response, AttemptFailure):
            open_batch.unverified = True
            self._retry_or_raise(api, open_batch, response)
        else:
            open_batch.failures = 0
            self._usage.attempts += open_batch.batch.requests
            self.queue.save(open_batch, step="created", batch_id=str(response.get("id")))
            open_batch.poll_later(self._endpoint.batch_poll)

    def _poll(self, api: BatchAPI, open_batch: OpenBatch) -> None:
        with self._stop_token.released():
            response = api.retrieve(open_batch.batch)
        if isinstance(response, AttemptFailure):
            self._retry_or_raise(api, open_batch, response)
            return
        counts = as_object(response.get("request_counts"))
        done = [counts.get("completed"), counts.get("failed")]
        open_batch.done = sum(number for number in done if isinstance(number, int))
        match response.get("status"):
            case "failed" if not response.get("output_file_id"):
                self._handle_failed_batch(open_batch, response)
            case "completed" | "expired" | "cancelled" | "failed":
                self._download(api, open_batch, response)
            case _:
                open_batch.failures = 0
                open_batch.poll_later(self._endpoint.batch_poll)

    def _download(self, api: BatchAPI, open_batch: OpenBatch, response: Mapping[str, Any]) -> None:
        for kind, member in (("output", "output_file_id"), ("errors", "error_file_id")):
            file_id = response.get(member)
            # Some providers send an empty string in place of a missing file.
            if isinstance(file_id, str) and file_id:
                with self._stop_token.released():
                    failure = api.download(
                        open_batch.batch, file_id, self._folder.file(open_batch.batch, "scratch")
                    )
                if failure is not None:
                    self._retry_or_raise(api, open_batch, failure)
                    return
                self._folder.publish_scratch(open_batch.batch, kind)
        lines = sum(1 for _ in self._folder.results(open_batch.batch))
        if lines < open_batch.done and open_batch.failures + 1 < self._endpoint.max_attempts:
            # A broken connection may have lost results that were paid for.
            self._retry_or_raise(
                api,
                open_batch,
                AttemptFailure("malformed", f"{lines} of {open_batch.done} results came"),
            )
            return
        self.queue.save(open_batch, step="finished")
        self._queue_full = False
        self.queue.release()

    def _handle_failed_batch(self, open_batch: OpenBatch, response: Mapping[str, Any]) -> None:
        """Handle a batch that the provider refused to begin and did not bill."""
        errors = [
            as_object(error) for error in as_list(as_object(response.get("errors")).get("data"))
        ]
        codes = {provider_code(error.get("code")) for error in errors} - {""}
        next_round = open_batch.batch.round + 1
        if not open_batch.requested:
            # The earlier run reported the failure; its cause may have been removed since.
            self.queue.save(open_batch, step="prepared", file_id="", batch_id="", round=next_round)
            open_batch.unverified = False
            self.queue.release()
        elif codes & QUEUE_FULL:
            self._queue_full = True
            self.queue.save(open_batch, step="uploaded", batch_id="", round=next_round)
            if any(other.started for other in self.queue):
                open_batch.hold()
            elif open_batch.batch.requests > 1:
                self.queue.halve(open_batch)
            else:
                open_batch.poll_later(self._endpoint.batch_poll)
        else:
            input_file = self.queue.set_aside(open_batch)
            first_line = [
                f"line {line}" for e in errors[:1] if isinstance(line := e.get("line"), int)
            ]
            reason = ", ".join([*sorted(codes)[:3], *first_line]) or "it does not say why"
            rule = find_rule(provider_of(self._endpoint).error_rules, 0, codes, "")
            if rule.meaning in (Meaning.QUOTA, Meaning.KEY, Meaning.MODEL, Meaning.PERMISSION):
                raise EndpointRefused(stop_sentence(self._endpoint, rule.meaning, 0))
            raise EndpointRefused(
                f"{self._endpoint.host} refuses a batch ({reason}): correct the role's settings "
                "(model, sampling), then run again; nothing of it was billed, and its input file "
                f"is kept as {input_file}."
            )

    def _collect(self, open_batch: OpenBatch) -> None:
        """Write a batch's results to the journal and send requests without a result again."""
        collected = collect_results(
            self._endpoint,
            self._folder,
            self._pending,
            open_batch.batch,
            self._stop_token,
            self._adaptations,
            self._refusals,
        )
        self.ignored += collected.ignored
        self._usage.uncertain += collected.uncertain
        if collected.stop:
            self._pending.forget(collected.left)
            self.queue.split(open_batch, refund=collected.unspent)
            raise EndpointRefused(collected.stop)
        unanswered = self._pending.keep_requested(collected.left)
        self.queue.split(
            open_batch,
            {
                key: ticket._replace(attempt=ticket.attempt + 1)
                for key, ticket in unanswered.items()
            },
            refund=collected.unspent,
        )
        self._budget_full = False
