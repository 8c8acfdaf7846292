"""Stop token of the batch thread, so that `close` does not wait for a slow response."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class RunStopped(Exception):
    """The run was closed while the thread was at work."""


class StopToken:
    """Permission of a thread to write to disk and to create batches, until `stop` revokes it.

    The thread holds the token as a lock while it works, and releases the lock around slow requests
    that may be abandoned.

    Attributes:
        stopping: Event that is set once the permission is revoked.

    Example:
        >>> token = StopToken()
        >>> with token:
        ...     with token.released():
        ...         pass  # a slow request
        ...     token.raise_if_stopped()
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._busy = threading.Lock()

    def __enter__(self) -> None:
        self._busy.acquire()

    def __exit__(self, *_: object) -> None:
        self._busy.release()

    def stop(self, wake: threading.Event) -> None:
        """Revoke the permission, wake the thread, and wait for the end of its current write."""
        self.stopping.set()
        wake.set()
        with self:
            pass

    def raise_if_stopped(self) -> None:
        """Raise RunStopped if the permission has been revoked."""
        if self.stopping.is_set():
            raise RunStopped

    @contextmanager
    def released(self) -> Iterator[None]:
        """Release the lock around a slow request that may be abandoned, such as a poll.

        Raises:
            RunStopped: On leaving: the permission has been revoked meanwhile.
        """
        self._busy.release()
        try:
            yield
        finally:
            self._busy.acquire()
        self.raise_if_stopped()
