"""Which requests are under way in batches, who waits for them, and how their records land."""

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
from persona_assets.generation.money.spending import NOTHING, Spending
from persona_assets.generation.money.usage import Usage

BILLED = frozenset({"timeout", "malformed"})
"""Codes of requests that may have been billed without an answer."""


class RequestResult(NamedTuple):
    """What came of one request: a bare record, or the fault that ends it."""

    key: str
    outcome: CallRecord | AttemptFailure
    ticket: Ticket


class Landing:
    """Every key is under way, in the journal, or neither, and changes under `lock` alone: so none
    is sent while its answer is on the way, or after it came.

    landed: records of keys that somebody asked for, once they are on disk; or what ended it all.
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
        # Whether anybody has asked for a key in this run.
        self._asked: dict[str, bool] = {}

    def __len__(self) -> int:
        """Number of keys under way."""
        return len(self._asked)

    def expect(self, keys: Iterable[str]) -> None:
        """These are under way, though nobody has asked for them."""
        self._asked.update(dict.fromkeys(keys, False))

    def ask(self, key: str) -> bool:
        """Whether a key that is asked for has to be sent. Called with the lock held."""
        sent = key in self._asked
        if not sent and (record := self._journal.get(key)) is not None:
            self.landed.put([record])
            return False
        self._asked[key] = True
        return not sent

    def forget(self, keys: Iterable[str]) -> None:
        """These are not under way any more."""
        with self.lock:
            for key in keys:
                del self._asked[key]

    def keep_asked(self, tickets: Mapping[str, Ticket]) -> dict[str, Ticket]:
        """Those that somebody asks for; the others are not under way any more."""
        with self.lock:
            kept = {key: ticket for key, ticket in tickets.items() if self._asked[key]}
            for key in tickets.keys() - kept.keys():
                del self._asked[key]
        return kept

    def refuse(self, key: str, fault: AttemptFailure, ticket: Ticket) -> None:
        """Lands a request that cannot be sent. Called with the lock held."""
        del self._asked[key]
        record = self._record("batch", RequestResult(key, fault, ticket))
        self._journal.append(record)
        self._usage.count(record.failure, None, None)
        self.landed.put([record])

    def land(self, batch: Batch, results: Sequence[RequestResult]) -> None:
        """Makes results durable as records, then hands those out that somebody asked for.

        Results that the journal got before a crash are not added again.
        """
        records = [self._record(batch.batch_id, result) for result in results]
        # Of what failed for the moment the journal does not say that it has it.
        passing = not all(record.answered for record in records)
        known = {old.id for old in self._journal.live()} if passing else set()
        unspent = NOTHING
        with self.lock:
            kept = [self._journal.get(record.key) for record in records]
            new = [
                (record, ticket)
                for record, old, (_, _, ticket) in zip(records, kept, results, strict=True)
                if (old is None or old.id != record.id) and record.id not in known
            ]
            if new:
                self._journal.append(*(record for record, _ in new))
            asked = [
                old or record
                for record, old in zip(records, kept, strict=True)
                if self._asked.pop(record.key)
            ]
        for record, ticket in new:
            self._usage.calls += record.status_code == 200
            self._usage.count(record.failure, record.tokens, record.cost)
            self._usage.uncertain += record.uncertain
            if record.status_code != 200 and not record.uncertain:
                unspent += ticket.most
            elif record.cost is not None:
                unspent += ticket.most - record.cost
        if batch.charged == self._spending.scopes:
            self._spending.refund(unspent)
        if asked:
            self.landed.put(asked)

    def _record(self, batch_id: str, result: RequestResult) -> CallRecord:
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
        )
