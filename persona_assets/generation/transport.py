"""What sends calls: the pool of workers (pool.py) or the provider's Batch API (batch/)."""

from collections.abc import Sequence
from queue import SimpleQueue
from typing import Protocol

from persona_assets.generation.calls.call import Call
from persona_assets.generation.journal.call_record import CallRecord


class Transport(Protocol):
    """Takes calls in one thread and lands their records, once they are on disk, in `landed`.

    An exception in `landed` ends the send: nothing comes after it.
    """

    landed: SimpleQueue[Sequence[CallRecord] | BaseException]

    def submit(self, calls: Sequence[Call]) -> None:
        """Takes calls on; each lands as exactly one record with the call's key."""

    def flush(self) -> None:
        """Tells that no more calls come until some have landed."""

    def close(self) -> None:
        """Sends nothing more, lets what is in flight land on disk, and gives everything back."""
