"""Open batches of a run: changes of their states, and splits into smaller batches."""

import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from persona_assets.generation.batch.batch_files import Batch, BatchFolder, Ticket
from persona_assets.generation.batch.open_batch import OpenBatch
from persona_assets.generation.batch.pending_requests import PendingRequests
from persona_assets.generation.money.spending import Spending


class BatchQueue(list[OpenBatch]):
    """Open batches, at first those of earlier runs.

    Any thread may append a batch. All other changes belong to the batch thread.

    Args:
        folder: Folder with the states on disk.
        pending: Requests without a record; the requests of earlier runs are added.
        spending: Spending that refunds the charges of batches without a result.
    """

    def __init__(self, folder: BatchFolder, pending: PendingRequests, spending: Spending) -> None:
        super().__init__(
            OpenBatch(batch, requested=False, unverified=True) for batch in folder.load()
        )
        for open_batch in self:
            pending.expect(folder.tickets(open_batch.batch))
        self._folder = folder
        self._pending = pending
        self._spending = spending

    @property
    def due(self) -> float:
        """Time of the next step of any batch, by time.monotonic."""
        return min((open_batch.due for open_batch in self), default=math.inf)

    def release(self) -> None:
        """Make all suspended batches due."""
        for open_batch in self:
            open_batch.release()

    def save(self, open_batch: OpenBatch, **changes: Any) -> None:
        """Change members of a batch's state and write the state to disk."""
        open_batch.batch = self._folder.save(replace(open_batch.batch, **changes))

    def set_aside(self, open_batch: OpenBatch) -> Path:
        """End a batch that the provider refused; return the path of its input file."""
        self._pending.forget(self._folder.tickets(open_batch.batch))
        with self._pending.lock:
            self.remove(open_batch)
        input_file = self._folder.set_aside(open_batch.batch)
        self._refund(open_batch.batch, Decimal(open_batch.batch.most))
        return input_file

    def halve(self, open_batch: OpenBatch) -> None:
        """Replace a batch by two batches of half the requests."""
        tickets = list(self._folder.tickets(open_batch.batch).items())
        half = len(tickets) // 2
        self.split(open_batch, dict(tickets[:half]), dict(tickets[half:]))

    def split(
        self, open_batch: OpenBatch, *parts: Mapping[str, Ticket], refund: Decimal | None = None
    ) -> None:
        """Replace a batch by batches of the given requests.

        Args:
            open_batch: Batch to end.
            parts: Requests of each new batch, as tickets by key.
            refund: Unspent part of the batch's charge; None for the whole charge.
        """
        batch = open_batch.batch
        children = self._folder.split(batch, parts)
        with self._pending.lock:
            position = self.index(open_batch)
            self[position : position + 1] = [OpenBatch(child) for child in children]
        self._refund(batch, Decimal(batch.most) if refund is None else refund)
        self.release()

    def _refund(self, batch: Batch, amount: Decimal) -> None:
        # A charge of another run is not refunded to the caps of this run.
        if batch.charged == self._spending.scopes:
            self._spending.refund(amount)
