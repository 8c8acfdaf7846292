"""A batch that has not ended, and when to go on with it."""

import math
import time
from dataclasses import dataclass

from persona_assets.generation.batch.batch_files import Batch
from persona_assets.generation.limits.backoff import jitter

FIRST_LOOK = 1.0
"""Seconds until the first look at a batch; each pause is twice the last, up to batch_poll."""

LONGEST = 60.0
"""The longest pause between tries, in seconds, that the provider did not ask for."""

PATIENCE = 3600.0
"""The longest Retry-After, in seconds, that is taken at its word."""


@dataclass(slots=True)
class OpenBatch:
    """A batch as one run knows it.

    ours: begun by this run, or asked for as a whole. unsure: the provider may have more of it than
    we know. due: when to go on with it, in the time of time.monotonic; infinite until something
    else happens. tries: faults in a row. looks: how often it was looked at. done: requests that the
    provider has done.
    """

    batch: Batch
    ours: bool = True
    unsure: bool = False
    due: float = 0.0
    tries: int = 0
    looks: int = 0
    done: int = 0

    @property
    def under_way(self) -> bool:
        """Whether it will end by itself."""
        return self.batch.step in ("created", "finished")

    def look_later(self, poll: float) -> None:
        """Puts the next look off, by at most `poll` seconds."""
        pause = min(poll, FIRST_LOOK * 2 ** min(self.looks, 16))
        self.looks += 1
        self.due = time.monotonic() + pause

    def back_off(self, wait: float | None) -> None:
        """Puts the next try off, by at least the `wait` seconds that were asked for."""
        pause = min(wait or 0.0, PATIENCE) + jitter(self.tries, LONGEST)
        self.tries += 1
        self.due = time.monotonic() + pause

    def hold(self) -> None:
        """Waits for something to happen."""
        self.due = math.inf

    def release(self) -> None:
        """Something has happened."""
        if self.due == math.inf:
            self.due = 0.0
