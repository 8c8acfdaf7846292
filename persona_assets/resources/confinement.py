"""Confinement of a process by Linux, without privileges: no files, sockets, signals or processes.

`confine` takes from the calling process everything but computing and the file descriptors that it
has open. The wall is a filter of system calls (seccomp): an allowlist of calls that compute, wait,
allocate memory, read and write open descriptors, and end. What is not in the list fails with
"operation not permitted", so that no namespace, mount or path has to be arranged. Behind it are
Landlock, where the kernel has it, an empty set of capabilities, and resource limits.

Everything is irreversible and holds for children, of which there can be none.
"""

import ctypes
import errno
import os
import platform
import resource
import struct
import sys

SYSTEM_CALLS = {
    "read": (0, 63),
    "write": (1, 64),
    "writev": (20, 66),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "futex": (202, 98),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "setitimer": (38, 103),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "restart_syscall": (219, 128),
    "sched_yield": (24, 124),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "times": (100, 153),
    "getrandom": (318, 278),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
"""System calls of a confined process, with their numbers on x86-64 and on 64-bit ARM.

Signal handlers and timers reach the process alone; `kill` and its kin are not in the list.
"""

MACHINES = {"x86_64": (0xC000003E, 0, 126), "aarch64": (0xC00000B7, 1, 91)}
"""Machines: architecture of the filter, column of `SYSTEM_CALLS`, and number of `capset`."""

# linux/prctl.h, linux/seccomp.h, linux/filter.h, linux/landlock.h
_SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER_MODE = 38, 22, 2
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_X32 = 0x40000000
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT, _LANDLOCK_VERSION = 444, 446, 1
_FILES = {1: 13, 2: 14, 3: 15, 4: 15}
"""Number of rights on files by version of Landlock; 16 in later versions."""


class ConfinementError(RuntimeError):
    """The system cannot confine a process; the message is the reason."""


class _Program(ctypes.Structure):
    """Program of a filter (struct sock_fprog)."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def check_system() -> None:
    """Check that the system can have what `confine` needs.

    Raises:
        ConfinementError: It is no Linux on a known machine.
    """
    if sys.platform != "linux":
        raise ConfinementError(f"programs are isolated on Linux alone, and this is {sys.platform}")
    if platform.machine() not in MACHINES:
        known = " and ".join(MACHINES)
        raise ConfinementError(f"programs are isolated on {known}, not on {platform.machine()}")


def confine(seconds: int, memory: int) -> None:
    """Confine this process for good.

    Args:
        seconds: CPU time after which the kernel kills it.
        memory: Bytes of address space that it may have, what it has now included.

    Raises:
        ConfinementError: The kernel refuses; the process must then run nothing.
    """
    check_system()
    libc = ctypes.CDLL(None, use_errno=True)
    _drop_capabilities(libc)
    _checked(libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _close_files_and_network(libc)
    _limit(seconds, memory)
    code = _filter()
    program = _Program(len(code) // 8, code)
    _checked(libc.prctl(_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0), "seccomp")


def _limit(seconds: int, memory: int) -> None:
    for kind, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        _, hard = resource.getrlimit(kind)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Give up all capabilities, which root would have."""
    _, _, capset = MACHINES[platform.machine()]
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
    _checked(libc.syscall(capset, header, none), "capset")


def _close_files_and_network(libc: ctypes.CDLL) -> None:
    """Forbid all files, TCP, and signals to other processes by Landlock, as far as there is any.

    Rights that a kernel does not know are an error, so that its version decides which are named.
    """
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    if version < 1:
        return
    files = (1 << _FILES.get(version, 16)) - 1
    network, scopes = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    rules = struct.pack("QQQ", files, network, scopes)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = libc.syscall(_LANDLOCK_CREATE, rules, size, 0)
    _checked(ruleset, "landlock")
    _checked(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0), "landlock")
    os.close(ruleset)


def _filter() -> bytes:
    """Return the program of the filter, in classic BPF."""
    architecture, column, _ = MACHINES[platform.machine()]
    numbers = sorted(call[column] for call in SYSTEM_CALLS.values())
    last = len(numbers)
    instructions = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        # Calls of the x32 ABI have other meanings under the same numbers.
        (_AT_LEAST, last, 0, _X32),
        *((_EQUAL, last - place, 0, number) for place, number in enumerate(numbers)),
        (_RETURN, 0, 0, _FAIL),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)


def _checked(result: int, what: str) -> None:
    if result < 0:
        reason = os.strerror(ctypes.get_errno())
        raise ConfinementError(f"the kernel refuses to isolate programs ({what}: {reason})")
