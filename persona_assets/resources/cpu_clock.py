"""CPU time of another process, by which both sandboxes limit programs."""

import time

WALL_FACTOR = 10
"""Wall time after which a program is stopped, in limits of CPU time: a sleep costs no CPU time."""


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, from the clock that `clock_getcpuclockid` names on Linux.

    Raises:
        OSError: There is no such process, or no such clock.

    Example:
        >>> import os, sys
        >>> sys.platform != "linux" or cpu_seconds(os.getpid()) > 0
        True
    """
    return time.clock_gettime((~pid << 3) | 2)
