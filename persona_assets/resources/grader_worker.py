"""Child program of `Grader`: compares pairs of answers with math-verify, in JSON lines.

Run as `python grader_worker.py SECONDS`. The program writes `ready`. For each line `[gold, answer]`
of its standard input it then writes a line: `true`, `false`, or `null` for a comparison that failed
or timed out. It ends with its standard input. A first line other than `ready` is an error message.
"""

import contextlib
import faulthandler
import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

MEMORY_BYTES = 2 << 30
"""Address space of a worker, so that no answer exhausts the machine's memory."""

ORPHAN_FACTOR = 3
"""Number of time limits after which a worker stuck in C code ends itself, even as an orphan."""


class _Expired(BaseException):
    """Time-out, as an exception that no `except Exception` inside sympy swallows."""


def _expire(signum: int, frame: object) -> None:
    raise _Expired


def main() -> int:
    seconds = float(sys.argv[1])
    try:
        from math_verify import parse, verify  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        print(f"math-verify cannot be imported: {error}", flush=True)
        return 1
    logging.disable(logging.CRITICAL)  # math-verify warns that its own time limits are disabled
    with contextlib.suppress(ValueError, OSError):  # macOS refuses this limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.RLIM_INFINITY))
    parse(r"\boxed{\frac{1}{2}}", parsing_timeout=0)  # builds the parser before the clock starts
    signal.signal(signal.SIGALRM, _expire)
    with open(os.devnull, "w") as nowhere:
        print("ready", flush=True)
        for line in sys.stdin:
            faulthandler.dump_traceback_later(ORPHAN_FACTOR * seconds, exit=True, file=nowhere)
            verdict = _verdict(line, seconds, parse, verify)
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps(verdict), flush=True)
    return 0


def _verdict(
    line: str, seconds: float, parse: Callable[..., list[Any]], verify: Callable[..., bool]
) -> bool | None:
    """Compare the pair in a line; the gold answer is first, because `verify` is not symmetric."""
    gold, answer = json.loads(line)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            expected, given = (
                parse(rf"\boxed{{{text}}}", parsing_timeout=0, raise_on_error=True)
                for text in (gold, answer)
            )
            if not expected:
                return None
            return bool(verify(expected, given, timeout_seconds=None, raise_on_error=True))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (_Expired, Exception):  # sympy raises exceptions of any type on odd input
        return None


if __name__ == "__main__":
    sys.exit(main())
