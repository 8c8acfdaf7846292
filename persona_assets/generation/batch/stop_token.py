"""The thread's leave to act, so that `close` need not wait for a slow answer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class RunStopped(Exception):
    """The run was closed."""


class StopToken:
    """The thread's leave to write to disk and to create batches, until `stop` takes it away."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._busy = threading.Lock()

    def __enter__(self) -> None:
        self._busy.acquire()

    def __exit__(self, *_: object) -> None:
        self._busy.release()

    def stop(self, wake: threading.Event) -> None:
        """Wakes the thread and returns when it has ended what it was writing and may not go on."""
        self.stopping.set()
        wake.set()
        with self:
            pass

    def check(self) -> None:
        """Raises Stopped once the leave is gone."""
        if self.stopping.is_set():
            raise RunStopped

    @contextmanager
    def away(self) -> Iterator[None]:
        """Around what may take long and can be left behind, such as a look at a batch."""
        self._busy.release()
        try:
            yield
        finally:
            self._busy.acquire()
        self.check()
