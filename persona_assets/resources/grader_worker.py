"""Child program of `Grader`: compares pairs of answers with computer algebra, in JSON lines.

Run as `python -m persona_assets.resources.grader_worker SECONDS`. The program writes `ready`. For
each line `[gold, answer]` of its standard input it then writes a line: `true`, `false`, or `null`
for a comparison that failed or timed out. It ends with its standard input. A first line other than
`ready` is an error message.
"""

import contextlib
import faulthandler
import json
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from persona_assets.grading.comparison import Algebra

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
        from persona_assets.grading.algebra import Sympy
    except ImportError as error:
        print(f"sympy cannot be imported: {error}", flush=True)
        return 1
    with contextlib.suppress(ValueError, OSError):  # macOS refuses this limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, _expire)
    with open(os.devnull, "w") as nowhere:
        print("ready", flush=True)
        for line in sys.stdin:
            faulthandler.dump_traceback_later(ORPHAN_FACTOR * seconds, exit=True, file=nowhere)
            verdict = _verdict(line, seconds, Sympy())
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps(verdict), flush=True)
    return 0


def _verdict(line: str, seconds: float, algebra: "Algebra") -> bool | None:
    """Compare the pair in a line; the gold answer is first."""
    from persona_assets.grading.comparison import Comparison

    gold, answer = json.loads(line)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            return Comparison(algebra).answers(gold, answer)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (_Expired, Exception):  # sympy raises exceptions of any type on odd input
        return None


if __name__ == "__main__":
    sys.exit(main())
