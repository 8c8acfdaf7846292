"""CPU time to import the code location, compared with importing dagster alone.

    python benchmarks/startup.py

Prints a JSON object. Each import runs in fresh interpreters, the two imports in turn. The ratio
should stay below 1.6.

Figures:
    definitions_ms: CPU milliseconds to import `persona_assets.definitions`, median of `--runs`.
    dagster_ms: CPU milliseconds to import dagster, median of `--runs`.
    ratio: definitions_ms / dagster_ms.
"""

import argparse
import resource
import statistics
import subprocess
import sys

from figures import print_figures


def cpu_ms(statement: str) -> float:
    """Measure the CPU milliseconds of a fresh interpreter that runs a statement."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return 1000 * seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7, help="interpreters per import")
    options = parser.parse_args()
    definitions, dagster = [], []
    for _ in range(options.runs):
        dagster.append(cpu_ms("import dagster"))
        definitions.append(cpu_ms("import persona_assets.definitions"))
    ours, theirs = statistics.median(definitions), statistics.median(dagster)
    print_figures(
        {
            "definitions_ms": round(ours),
            "dagster_ms": round(theirs),
            "ratio": round(ours / theirs, 2),
        }
    )


if __name__ == "__main__":
    main()
