"""How a batch goes on from where it is: found, adopted, uploaded, created, looked at, collected.

Whatever costs money is written down before it is asked for (files.py), so these steps may end
anywhere and begin anew over the same folder.
"""

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from persona_assets.generation.batch.batch_api import BatchAPI, provider_code
from persona_assets.generation.batch.batch_files import BatchFolder
from persona_assets.generation.batch.batch_queue import BatchQueue
from persona_assets.generation.batch.batch_results import collect_results
from persona_assets.generation.batch.landing import Landing
from persona_assets.generation.batch.open_batch import OpenBatch
from persona_assets.generation.batch.stop_token import StopToken
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
from persona_assets.generation.journal.call_record import as_list, as_object
from persona_assets.generation.money.spending import Spending
from persona_assets.generation.money.usage import Usage

CROWDED = frozenset({"token_limit_exceeded"})
"""Codes of a batch that failed only because too much of the account's is under way already."""


class BatchSteps:
    """The open batches of one run, each taken on step by step. Belongs to the thread.

    asked: whether all calls were submitted that are known so far.
    ignored: lines of the provider's that nobody waited for: unknown, repeated or not JSON.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        usage: Usage,
        spending: Spending,
        folder: BatchFolder,
        landing: Landing,
        turn: StopToken,
    ) -> None:
        self.open = BatchQueue(folder, landing, spending)
        self.asked = False
        self.ignored = 0
        self._endpoint = endpoint
        self._usage = usage
        self._spending = spending
        self._folder = folder
        self._landing = landing
        self._turn = turn
        # Too much is under way for the account's queue; for the budget.
        self._crowded = self._short = False

    def advance(self, api: BatchAPI) -> None:
        """Takes every batch that is due one step further.

        Raises EndpointRefused, EndpointUnreachable, BudgetReached or OSError, and Stopped.
        """
        for it in list(self.open):
            self._turn.check()
            if it.due <= time.monotonic():
                match it.batch.step:
                    case "created":
                        self._look(api, it)
                    case "finished":
                        self._collect(it)
                    case _:
                        self._send(api, it)

    @property
    def due(self) -> float:
        """When the next batch is to go on, in the time of time.monotonic."""
        return self.open.due

    def release(self) -> None:
        """Lets every batch go on that waits for something to happen."""
        self.open.release()

    def _fail(self, api: BatchAPI, it: OpenBatch, fault: AttemptFailure) -> None:
        """Has a request tried again, unless that is in vain."""
        last = it.tries + 1 >= self._endpoint.max_attempts
        if fault.stop and (last or fault.code != "gone"):
            raise EndpointRefused(fault.stop)
        if last and not api.heard:
            raise EndpointUnreachable(unreachable_sentence(self._endpoint, fault.message))
        it.back_off(fault.wait)

    def _send(self, api: BatchAPI, it: OpenBatch) -> None:
        """Finds, uploads or creates a batch."""
        if it.unsure:
            self._find(api, it)
        elif not it.ours:
            self._adopt(it)
        elif self._may_go(it):
            if it.batch.step == "prepared":
                self._upload(api, it)
            else:
                self._create(api, it)

    def _find(self, api: BatchAPI, it: OpenBatch) -> None:
        """Looks for what the provider has of a batch that it may have more of than we know."""
        with self._turn.away():
            prepared = it.batch.step == "prepared"
            found = api.find_upload(it.batch) if prepared else api.find(it.batch)
        if isinstance(found, AttemptFailure):
            self._fail(api, it, found)
        elif not found:
            it.unsure = False
        elif prepared:
            self.open.save(it, step="uploaded", file_id=str(found.get("id")))
        else:
            self.open.save(it, step="created", batch_id=str(found.get("id")))
            it.unsure = False

    def _adopt(self, it: OpenBatch) -> None:
        """Of an earlier run's batch that was not sent, only what is asked for goes."""
        if not self.asked:
            it.hold()
            return
        tickets = self._folder.tickets(it.batch)
        kept = self._landing.keep_asked(tickets)
        if len(kept) == len(tickets):
            it.ours = True
            if it.batch.step == "uploaded":
                # Uploads do not live for ever, and the API key may be that of another account.
                self.open.save(it, step="prepared", file_id="")
                it.unsure = True
        else:
            self.open.split(it, kept)

    def _may_go(self, it: OpenBatch) -> bool:
        """Whether there is room for a batch, and leave to spend what it may cost."""
        batch = it.batch
        # Whatever is charged will cost less than its worst case and so make room in the budget.
        charged = any(other.batch.charged is not None for other in self.open)
        if self._crowded and any(other.under_way for other in self.open):
            it.hold()
        elif batch.charged == self._spending.scopes:
            return True
        elif self._short and charged:
            it.hold()
        else:
            try:
                self._spending.charge(Decimal(batch.most))
            except BudgetReached:
                if batch.requests > 1:
                    self.open.halve(it)
                elif charged:
                    self._short = True
                    it.hold()
                else:
                    raise
            else:
                self.open.save(it, charged=self._spending.scopes)
                return True
        return False

    def _upload(self, api: BatchAPI, it: OpenBatch) -> None:
        with self._turn.away():
            said = api.upload(it.batch, self._folder.file(it.batch, "requests"))
        if not isinstance(said, AttemptFailure):
            it.tries = 0
            self.open.save(it, step="uploaded", file_id=str(said.get("id")))
        elif said.code == "too_large" and it.batch.requests > 1:
            self.open.halve(it)
        else:
            it.unsure = True
            self._fail(api, it, said)

    def _create(self, api: BatchAPI, it: OpenBatch) -> None:
        # `close` waits for this: nobody may look for a batch while it is being created.
        said = api.create(it.batch)
        if isinstance(said, AttemptFailure):
            it.unsure = True
            self._fail(api, it, said)
        else:
            it.tries = 0
            self._usage.attempts += it.batch.requests
            self.open.save(it, step="created", batch_id=str(said.get("id")))
            it.look_later(self._endpoint.batch_poll)

    def _look(self, api: BatchAPI, it: OpenBatch) -> None:
        with self._turn.away():
            said = api.retrieve(it.batch)
        if isinstance(said, AttemptFailure):
            self._fail(api, it, said)
            return
        counts = as_object(said.get("request_counts"))
        done = [counts.get("completed"), counts.get("failed")]
        it.done = sum(number for number in done if isinstance(number, int))
        match said.get("status"):
            case "failed" if not said.get("output_file_id"):
                self._failed(it, said)
            case "completed" | "expired" | "cancelled" | "failed":
                self._download(api, it, said)
            case _:
                it.tries = 0
                it.look_later(self._endpoint.batch_poll)

    def _download(self, api: BatchAPI, it: OpenBatch, said: Mapping[str, Any]) -> None:
        for kind, member in (("output", "output_file_id"), ("errors", "error_file_id")):
            file_id = said.get(member)
            # Some providers send an empty string where there is no file.
            if isinstance(file_id, str) and file_id:
                with self._turn.away():
                    fault = api.download(it.batch, file_id, self._folder.file(it.batch, "scratch"))
                if fault is not None:
                    self._fail(api, it, fault)
                    return
                self._folder.keep(it.batch, kind)
        lines = sum(1 for _ in self._folder.results(it.batch))
        if lines < it.done and it.tries + 1 < self._endpoint.max_attempts:
            # What a connection lost was paid for.
            self._fail(api, it, AttemptFailure("malformed", f"{lines} of {it.done} results came"))
            return
        self.open.save(it, step="finished")
        self._crowded = False
        self.open.release()

    def _failed(self, it: OpenBatch, said: Mapping[str, Any]) -> None:
        """The provider would not begin a batch, so it cost nothing."""
        errors = [as_object(error) for error in as_list(as_object(said.get("errors")).get("data"))]
        codes = {provider_code(error.get("code")) for error in errors} - {""}
        after = it.batch.round + 1
        if not it.ours:
            # Whoever ran before was told; things may have been put right since.
            self.open.save(it, step="prepared", file_id="", batch_id="", round=after)
            it.unsure = False
            self.open.release()
        elif codes & CROWDED:
            self._crowded = True
            self.open.save(it, step="uploaded", batch_id="", round=after)
            if any(other.under_way for other in self.open):
                it.hold()
            elif it.batch.requests > 1:
                self.open.halve(it)
            else:
                it.look_later(self._endpoint.batch_poll)
        else:
            kept = self.open.set_aside(it)
            where = [f"line {line}" for e in errors[:1] if isinstance(line := e.get("line"), int)]
            what = ", ".join([*sorted(codes)[:3], *where]) or "it does not say why"
            raise EndpointRefused(
                stop_sentence(self._endpoint, 0, codes)
                or f"{self._endpoint.host} refuses a batch ({what}): correct the role's settings "
                "(model, sampling), then run again; nothing of it was billed, and its input file "
                f"is kept as {kept}."
            )

    def _collect(self, it: OpenBatch) -> None:
        """Lands a batch's results and sends what has none again."""
        got = collect_results(self._endpoint, self._folder, self._landing, it.batch, self._turn)
        self.ignored += got.ignored
        self._usage.uncertain += got.uncertain
        if got.stop:
            self._landing.forget(got.left)
            self.open.split(it, refund=got.unspent)
            raise EndpointRefused(got.stop)
        again = self._landing.keep_asked(got.left)
        self.open.split(
            it,
            {key: ticket._replace(attempt=ticket.attempt + 1) for key, ticket in again.items()},
            refund=got.unspent,
        )
        self._short = False
