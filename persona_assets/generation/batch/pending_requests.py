"""Requests without a record: pending in batches, until their records reach journal and reader."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import NamedTuple

from persona_assets.generation.batch.batch_files import Batch, Ticket
from persona_assets.generation.calls.attempt_failure import AttemptFailure
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.journal import Journal
from persona_assets.generation.money.spending import ZERO, Spending
from persona_assets.generation.money.usage import Usage

BILLED = frozenset({"timeout", "malformed"})
"""Error codes of requests that may have been billed without a response."""


class RequestResult(NamedTuple):
    """Result of a request: a record without its context, or the failure that ends it."""

    key: str
    outcome: CallRecord | AttemptFailure
    ticket: Ticket


class PendingRequests:
    """Keys of the requests in batches, and the delivery of their records.

    A key is pending, in the journal, or neither, and changes its state under `lock` alone. So no
    request is sent while its response is pending or after its response has arrived.

    Attributes:
        landed: Queue of records that this run requested and that are on disk, or the exception that
            ended the run.
        lock: Lock that guards all changes.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Journal,
        usage: Usage,
        spending: Spending,
        run_id: str,
    ) -> None:
        self.landed: SimpleQueue[Sequence[CallRecord] | BaseException] = SimpleQueue()
        self.lock = threading.Lock()
        self._endpoint = endpoint
        self._journal = journal
        self._usage = usage
        self._spending = spending
        self._run_id = run_id
        # Pending keys; True if this run has requested the key.
        self._requested: dict[str, bool] = {}

    def __len__(self) -> int:
        """Return the number of pending keys."""
        return len(self._requested)

    def expect(self, keys: Iterable[str]) -> None:
        """Mark keys as pending that this run has not requested."""
        self._requested.update(dict.fromkeys(keys, False))

    def request(self, key: str) -> bool:
        """Request a key; return True if it has to be sent. The caller holds the lock."""
        pending = key in self._requested
        if not pending and (record := self._journal.get(key)) is not None:
            self.landed.put([record])
            return False
        self._requested[key] = True
        return not pending

    def forget(self, keys: Iterable[str]) -> None:
        """Mark keys as no longer pending."""
        with self.lock:
            for key in keys:
                del self._requested[key]

    def keep_requested(self, tickets: Mapping[str, Ticket]) -> dict[str, Ticket]:
        """Return the requests that this run needs; mark all others as no longer pending."""
        with self.lock:
            kept = {key: ticket for key, ticket in tickets.items() if self._requested[key]}
            for key in tickets.keys() - kept.keys():
                del self._requested[key]
        return kept

    def refuse(self, key: str, failure: AttemptFailure, ticket: Ticket) -> None:
        """Record the failure of a request that cannot be sent. The caller holds the lock."""
        del self._requested[key]
        record = self._record("batch", RequestResult(key, failure, ticket))
        self._journal.append(record)
        self._usage.count(record.failure, None, None)
        self.landed.put([record])

    def land(self, batch: Batch, results: Sequence[RequestResult], *, final: bool = True) -> None:
        """Append results to the journal, then deliver the requested records to `landed`.

        Results that the journal received before a crash are not appended again. The worst cases of
        the requests are refunded up to their costs, unless another run was charged. Results that
        are not final are written down for the accounts alone: their requests stay pending.
        """
        records = [self._record(batch.batch_id, result) for result in results]
        # `Journal.get` returns no unsettled errors, so their ids are read from the journal itself.
        unsettled = not all(record.answered for record in records)
        known = {old.id for old in self._journal.live()} if unsettled else set()
        unspent = ZERO
        with self.lock:
            kept = [self._journal.get(record.key) for record in records]
            new = [
                (record, ticket)
                for record, old, (_, _, ticket) in zip(records, kept, results, strict=True)
                if (old is None or old.id != record.id) and record.id not in known
            ]
            if new:
                self._journal.append(*(record for record, _ in new))
            requested = [
                old or record
                for record, old in zip(records, kept, strict=True)
                if final and self._requested.pop(record.key)
            ]
        for record, ticket in new:
            self._usage.calls += record.status_code == 200
            self._usage.count(record.failure if final else None, record.tokens, record.cost)
            self._usage.uncertain += record.uncertain
            if record.status_code != 200 and not record.uncertain:
                unspent += ticket.most
            elif record.cost is not None:
                unspent += ticket.most - record.cost
        if batch.charged == self._spending.scopes:
            self._spending.refund(unspent)
        if requested:
            self.landed.put(requested)

    def _record(self, batch_id: str, result: RequestResult) -> CallRecord:
        """Complete a result to a record."""
        key, outcome, ticket = result
        if isinstance(outcome, AttemptFailure):
            outcome = CallRecord(
                key=key,
                status_code=outcome.status_code,
                body=outcome.body,
                error={"code": outcome.code, "message": outcome.message},
                request_id=outcome.request_id,
                batch=True,
            )
        return replace(
            outcome,
            id=f"{batch_id}.{key}",
            attempt=ticket.attempt,
            model=self._endpoint.model,
            prompt_version=ticket.prompt_version,
            run_id=self._run_id,
            uncertain=int(outcome.failure in BILLED),
            cost=self._spending.batch_cost(outcome.tokens) if outcome.error is None else None,
            sent=ticket.sent,
        )
