"""Time that a program of a model takes in each sandbox, besides its own computation.

    python benchmarks/programs.py --runs 200

Figures:
    sandbox: where the programs run
    program: what they do
    runs: number of runs
    start_ms: wall time of the first program, which starts the sandbox, in milliseconds
    ms: wall time per program after that
    stopped_ms: wall time until a program that prints without end is stopped
"""

import argparse
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
            with Sandbox(kind=kind) as sandbox:
                start = time.perf_counter()
                if sandbox.run(source).error is not None:
                    raise SystemExit(f"the program {name} fails: {sandbox.run(source).error}")
                first = time.perf_counter() - start
                start = time.perf_counter()
                for _ in range(options.runs):
                    sandbox.run(source)
                each = (time.perf_counter() - start) / options.runs
                start = time.perf_counter()
                sandbox.run(FLOOD)
                print_figures(
                    {
                        "sandbox": kind,
                        "program": name,
                        "runs": options.runs,
                        "start_ms": 1000 * first,
                        "ms": 1000 * each,
                        "stopped_ms": 1000 * (time.perf_counter() - start),
                    }
                )


if __name__ == "__main__":
    main()
