"""Locks of files: whether a file system keeps two writers apart, and whether a holder lives.

Journals, the catalog and the index of paid keys rely on `flock`. Some network file systems grant
the same lock twice, and two runs would then pay for the same calls.
"""

import fcntl
import math
import os
import re
import socket
from pathlib import Path

from persona_assets.storage.files import make_folder

SHARED_BY_MACHINES = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3"}
)
"""File systems, by the name before the first dot, that several machines can mount."""


CLOCK_TOLERANCE = 5.0
"""Seconds by which a process may seem to have started after it was seen."""


class LocksIgnored(OSError):
    """The file system grants a lock that another handle holds."""


def require_locks(folder: Path) -> None:
    """Make sure that a lock in a folder excludes a second handle.

    Raises:
        LocksIgnored: Both handles acquired the lock, or the file system has no locks.
    """
    make_folder(folder)
    path = folder / f".lock-test.{os.getpid()}"
    try:
        with path.open("w") as first, path.open("w") as second:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
    except OSError as error:
        raise LocksIgnored(_sentence(folder, f"it refuses locks ({error.strerror})")) from None
    finally:
        path.unlink(missing_ok=True)
    raise LocksIgnored(_sentence(folder, "it grants a lock that another handle holds"))


def file_system(folder: Path) -> str:
    """Return the type of the file system of a folder, such as `ext4` or `fuse.sshfs`.

    Returns:
        "" where the machine does not list its mounts.
    """
    try:
        lines = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    place, found, longest = str(folder.resolve()), "", -1
    for line in lines:
        _, mount, kind, *_ = line.split(" ")
        # Blanks are written as octal escapes.
        mount = mount.replace("\\040", " ")
        below = mount.rstrip("/") + "/"
        # The last of several mounts at a place hides the others.
        if (place == mount or place.startswith(below)) and len(mount) >= longest:
            found, longest = kind, len(mount)
    return found


def is_shared(kind: str) -> bool:
    """Return True for a file system that several machines can mount.

    Example:
        >>> is_shared("nfs4"), is_shared("fuse.sshfs"), is_shared("ext4")
        (True, True, False)
    """
    return kind.partition(".")[0] in SHARED_BY_MACHINES


def process_lives(host: str, pid: str, seen: float | None = None) -> bool | None:
    """Return True for a process that exists; None if it is of another machine, or no number.

    Args:
        host: Name of its machine.
        pid: Its number, as a text from a file or tag.
        seen: Unix time at which it existed: after a restart of the machine, another process may
            have its number.
    """
    if host != socket.gethostname() or not pid.isdigit():
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # It belongs to another user.
    return seen is None or _start_of(pid) <= seen + CLOCK_TOLERANCE


def _start_of(pid: str) -> float:
    """Return the Unix time at which a process started: infinite once it has ended, 0 if unknown."""
    try:
        state, *numbers = (
            Path("/proc", pid, "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        )
        boot = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.M)
    except OSError:
        return 0.0
    if state == "Z":
        # Ended, and not yet read by its parent.
        return math.inf
    return int(boot[1]) + int(numbers[18]) / os.sysconf("SC_CLK_TCK") if boot else 0.0


def _sentence(folder: Path, reason: str) -> str:
    return (
        f"the file system of {folder} ({file_system(folder) or 'of unknown type'}) does not keep "
        f"two writers apart: {reason}. Two runs could pay for the same calls, so none is made: set "
        "PERSONA_DATA_DIR to a local disk, or mount the folder with locks"
    )
