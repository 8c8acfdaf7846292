"""Program that runs a server's command and ends all its processes together with its parent.

Run by file name as the leader of a session, and imports nothing of this package:
`python command_guard.py SECONDS COMMAND...`. Standard input closes with the parent. The only line
on standard output is the exit status of a command that ended by itself; the command writes to
standard error.
"""

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

POLL = 0.2
"""Seconds between two looks at the command and the parent."""


def guard(command: list[str], seconds: float) -> None:
    """Run a command until it ends, standard input closes or the parent process changes.

    All processes of the group are then terminated and, after a time, killed, this one included.

    Args:
        command: Words of the command.
        seconds: Seconds that the command has to end.
    """
    parent = os.getppid()
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    # The parent is watched too, because a process forked from it can hold the pipe open.
    while server.poll() is None and os.getppid() == parent:
        if select.select([sys.stdin], [], [], POLL)[0]:
            break
    if server.returncode is not None:
        print(server.returncode, flush=True)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(seconds)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    guard(sys.argv[2:], float(sys.argv[1]))
