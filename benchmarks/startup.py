"""Start-up of a Dagster process: importing the code location against importing dagster alone.

Prints one JSON object: CPU milliseconds of both imports (medians of fresh interpreters, taken in
turn) and their ratio, which should stay below 1.6.
"""

import json
import resource
import statistics
import subprocess
import sys

RUNS = 7


def cpu_ms(statement: str) -> float:
    """CPU time of a fresh interpreter that runs one statement."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return 1000 * used


def main() -> None:
    ours, dagster = [], []
    for _ in range(RUNS):
        dagster.append(cpu_ms("import dagster"))
        ours.append(cpu_ms("import persona_assets.definitions"))
    a, b = statistics.median(ours), statistics.median(dagster)
    print(
        json.dumps({"definitions_ms": round(a), "dagster_ms": round(b), "ratio": round(a / b, 2)})
    )


if __name__ == "__main__":
    main()
