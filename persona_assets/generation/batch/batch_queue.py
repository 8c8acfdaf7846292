"""The batches of a run that have not ended: saved, put in each other's place, given back."""

import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from persona_assets.generation.batch.batch_files import Batch, BatchFolder, Ticket
from persona_assets.generation.batch.landing import Landing
from persona_assets.generation.batch.open_batch import OpenBatch
from persona_assets.generation.money.spending import Spending


class BatchQueue(list[OpenBatch]):
    """The open batches, at first those of earlier runs. Others may append to it while it is used by
    the thread, which alone changes it otherwise.
    """

    def __init__(self, folder: BatchFolder, landing: Landing, spending: Spending) -> None:
        super().__init__(OpenBatch(batch, ours=False, unsure=True) for batch in folder.load())
        for it in self:
            landing.expect(folder.tickets(it.batch))
        self._folder = folder
        self._landing = landing
        self._spending = spending

    @property
    def due(self) -> float:
        """When the next batch is to go on, in the time of time.monotonic."""
        return min((it.due for it in self), default=math.inf)

    def release(self) -> None:
        """Lets every batch go on that waits for something to happen."""
        for it in self:
            it.release()

    def save(self, it: OpenBatch, **changes: Any) -> None:
        """Makes changes of a batch's state durable."""
        it.batch = self._folder.save(replace(it.batch, **changes))

    def set_aside(self, it: OpenBatch) -> Path:
        """Ends a batch that the provider refused; returns where its input file is kept."""
        self._landing.forget(self._folder.tickets(it.batch))
        with self._landing.lock:
            self.remove(it)
        kept = self._folder.set_aside(it.batch)
        self._refund(it.batch, Decimal(it.batch.most))
        return kept

    def halve(self, it: OpenBatch) -> None:
        """Puts two batches in a batch's place."""
        tickets = list(self._folder.tickets(it.batch).items())
        half = len(tickets) // 2
        self.split(it, dict(tickets[:half]), dict(tickets[half:]))

    def split(
        self, it: OpenBatch, *parts: Mapping[str, Ticket], refund: Decimal | None = None
    ) -> None:
        """Puts batches of these requests in a batch's place.

        refund: what of its charge was not spent; None if nothing was.
        """
        batch = it.batch
        children = self._folder.split(batch, parts)
        with self._landing.lock:
            place = self.index(it)
            self[place : place + 1] = [OpenBatch(child) for child in children]
        self._refund(batch, Decimal(batch.most) if refund is None else refund)
        self.release()

    def _refund(self, batch: Batch, amount: Decimal) -> None:
        # What another run was charged is not this one's to spend.
        if batch.charged == self._spending.scopes:
            self._spending.refund(amount)
