"""Open batch, and the time of its next step."""

import math
import time
from dataclasses import dataclass

from persona_assets.generation.batch.batch_files import Batch
from persona_assets.generation.limits.backoff import jitter

FIRST_POLL = 1.0
"""Seconds until the first poll of a batch; each pause doubles, up to the setting batch_poll."""

LONGEST = 60.0
"""Longest pause in seconds between two attempts that the provider did not ask for."""

PATIENCE = 3600.0
"""Longest Retry-After, in seconds, that is obeyed."""


@dataclass(slots=True)
class OpenBatch:
    """Open batch as a run knows it.

    Args:
        batch: State on disk.
        requested: True if this run began the batch or needs all of its requests.
        unverified: True if the provider may have an upload or a batch unknown to the state.
        due: Time of the next step, by time.monotonic; infinite until another event.
        failures: Number of consecutive failures.
        polls: Number of polls.
        done: Number of requests that the provider has processed.
    """

    batch: Batch
    requested: bool = True
    unverified: bool = False
    due: float = 0.0
    failures: int = 0
    polls: int = 0
    done: int = 0

    @property
    def started(self) -> bool:
        """True if the provider has begun the batch, so that it ends without a further step."""
        return self.batch.step in ("created", "finished")

    def poll_later(self, poll: float) -> None:
        """Schedule the next poll, in at most `poll` seconds."""
        pause = min(poll, FIRST_POLL * 2 ** min(self.polls, 16))
        self.polls += 1
        self.due = time.monotonic() + pause

    def back_off(self, wait: float | None) -> None:
        """Schedule the next attempt after a failure, in at least `wait` seconds (Retry-After)."""
        pause = min(wait or 0.0, PATIENCE) + jitter(self.failures, LONGEST)
        self.failures += 1
        self.due = time.monotonic() + pause

    def hold(self) -> None:
        """Suspend the batch until `release`."""
        self.due = math.inf

    def release(self) -> None:
        """Make a suspended batch due."""
        if self.due == math.inf:
            self.due = 0.0
