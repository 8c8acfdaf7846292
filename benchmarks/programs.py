"""Time that a program of a model takes in each sandbox, besides its own computation.

    python benchmarks/programs.py --runs 200

Figures:
    sandbox: where the programs run
    program: what they do
    runs: number of runs
    start_cpu_s: processor time of a sandbox that runs the program once, in seconds
    cpu_ms: processor time per further program, in milliseconds
    ms: wall time per further program
    stopped_ms: wall time until a program that prints without end is stopped
"""

import argparse
import os
import time
from typing import Literal

from figures import print_figures

PROGRAMS: dict[str, tuple[tuple[Literal["light", "isolated"], ...], str]] = {
    "sum": (("light", "isolated"), "answer = sum(range(100))"),
    "fraction": (
        ("light", "isolated"),
        "from fractions import Fraction\nanswer = Fraction(1, 2) + Fraction(1, 3)",
    ),
    "equation": (
        ("isolated",),
        "from sympy import solve, symbols\nx = symbols('x')\nprint(solve(x**2 - 5 * x + 6, x))",
    ),
    "matrix": (("isolated",), "import numpy\nprint(numpy.linalg.det(numpy.eye(3)))"),
}
FLOOD = "while True: print('x' * 1000)"


def main() -> None:
    """Print a line per sandbox and program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    options = parser.parse_args()
    from persona_assets.resources.sandbox import Sandbox

    for name, (kinds, source) in PROGRAMS.items():
        for kind in kinds:
            start, _ = seconds(kind, source, 0)
            cpu, wall = seconds(kind, source, options.runs)
            with Sandbox(kind=kind) as sandbox:
                sandbox.run(source)
                before = time.perf_counter()
                sandbox.run(FLOOD)
                stopped = time.perf_counter() - before
            print_figures(
                {
                    "sandbox": kind,
                    "program": name,
                    "runs": options.runs,
                    "start_cpu_s": start,
                    "cpu_ms": 1000 * (cpu - start) / options.runs,
                    "ms": 1000 * wall / options.runs,
                    "stopped_ms": 1000 * stopped,
                }
            )


def seconds(kind: Literal["light", "isolated"], source: str, runs: int) -> tuple[float, float]:
    """Return processor time of a sandbox from start to end, and wall time of all runs but one."""
    from persona_assets.resources.sandbox import Sandbox

    before = _cpu_seconds()
    with Sandbox(kind=kind) as sandbox:
        if (error := sandbox.run(source).error) is not None:
            raise SystemExit(f"a program of the benchmark fails: {error}")
        start = time.perf_counter()
        for _ in range(runs):
            sandbox.run(source)
        wall = time.perf_counter() - start
    return _cpu_seconds() - before, wall


def _cpu_seconds() -> float:
    """Return the processor time of this process and of its ended children."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
