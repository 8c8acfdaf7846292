"""Time of the rules on personas, and their verdicts beside those of another version.

    python benchmarks/rules.py --personas FILE --other CHECKOUT --mutations

FILE has a JSON object per line with the field `input persona`. CHECKOUT is a folder with another
version of this package, whose filter runs in a process of its own, right before.

Figures:
    rows: descriptions, mutations included
    rules_us: processor time of the persona rules per description, in microseconds
    protection_us: the same for personal data and unsafe content
    other_us: the same for the filter of the other version
    ratio: other_us over the sum of rules_us and protection_us
    rejected: rows that a rule rejects
    different: rows on which the two versions differ
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from figures import print_figures
from rules_data import mutations, personas

OTHER = """
import json, sys, time
import persona_assets.steps.quality as quality
reason = getattr(quality, "rejection_reason", None) or quality.reason
texts = json.load(sys.stdin)
for text in texts[:200]:
    reason(text)
start = time.process_time()
reasons = [reason(text) for text in texts]
json.dump([(time.process_time() - start) / len(texts) * 1e6, reasons], sys.stdout)
"""


def main() -> None:
    """Print one line on the descriptions, and one on their mutations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--personas", type=Path, help="JSON lines; invented ones unless given")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--other", type=Path, help="folder with another version of the package")
    parser.add_argument("--mutations", action="store_true", help="measure 19 mutations of each too")
    options = parser.parse_args()
    texts = personas(options.rows)
    if options.personas:
        lines = options.personas.read_text("utf-8").splitlines()[: options.rows]
        texts = [json.loads(line)["input persona"] for line in lines]
    print_figures(measure(texts, options.other))
    if options.mutations:
        print_figures(measure(list(mutations(texts)), options.other))


def measure(texts: list[str], other: Path | None) -> dict[str, Any]:
    """Return the figures of some descriptions."""
    from persona_assets.rules.protection import DROP
    from persona_assets.steps.quality import rejection_reason

    other_us, theirs = _other(texts, other) if other else (None, None)
    for text in texts[:200]:
        rejection_reason(text)
        DROP.apply(text, "persona")
    start = time.process_time()
    reasons = [rejection_reason(text) for text in texts]
    middle = time.process_time()
    for text in texts:
        DROP.apply(text, "persona")
    end = time.process_time()
    rules_us, protection_us = (
        seconds / len(texts) * 1e6 for seconds in (middle - start, end - middle)
    )
    return {
        "rows": len(texts),
        "rules_us": rules_us,
        "protection_us": protection_us,
        "other_us": other_us,
        "ratio": other_us / (rules_us + protection_us) if other_us else None,
        "rejected": sum(reason is not None for reason in reasons),
        "different": sum(a != b for a, b in zip(reasons, theirs, strict=True)) if theirs else None,
    }


def _other(texts: list[str], checkout: Path) -> tuple[float, list[str | None]]:
    process = subprocess.run(
        [sys.executable, "-c", OTHER],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
    )
    micros, reasons = json.loads(process.stdout)
    return micros, reasons


if __name__ == "__main__":
    main()
