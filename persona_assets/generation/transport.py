"""Interface of the pool of workers (pool.py) and of the provider's Batch API (batch/)."""

from collections.abc import Sequence
from queue import SimpleQueue
from typing import Protocol

from persona_assets.generation.calls.call import Call
from persona_assets.generation.journal.call_record import CallRecord


class Transport(Protocol):
    """Sends calls, and puts their records into `landed` once they are on disk.

    An exception in `landed` ends the send: nothing follows it.
    """

    landed: SimpleQueue[Sequence[CallRecord] | BaseException]

    def submit(self, calls: Sequence[Call]) -> None:
        """Accept calls; each lands as exactly one record with the call's key."""

    def flush(self) -> None:
        """Send all accepted calls: no more will be submitted until some have landed."""

    def close(self) -> None:
        """Send nothing more, let calls in flight land on disk, and release all resources."""
