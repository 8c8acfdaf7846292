"""CPU time and memory of many requests sent through a Batch API on this machine.

    python benchmarks/batch.py

Input files must stay within the provider's limits of requests and bytes. Each case runs in a
process of its own, since peak memory is that of a process. Prints a JSON object per case:

    requests  120,000 requests of 3 kB, split by the limit of 50,000 requests per file.
    bytes     30,000 requests of 10 kB, split by the limit of 200 MB per file.
    one file  50,000 requests in a file of 158 MB.
    halved    The same, where the server answers uploads of more than 100 MB with 413.

Figures:
    case: Name of the case.
    requests, bytes: Number of requests, and bytes of all input files.
    files: [requests, bytes] of each input file.
    cpu_s: CPU seconds until all answers are in the journal.
    spooled_mb: Peak memory in MB once all requests are submitted.
    rss_mb: Peak memory in MB in the end.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from figures import print_figures

from persona_assets.generation import Call, Endpoint, Journal, Usage, call_key
from persona_assets.generation.batch import MOST_BYTES, MOST_REQUESTS, BatchTransport
from persona_assets.generation.money.spending import Spending

CASES = {
    "requests": (120_000, 3_000, MOST_BYTES),
    "bytes": (30_000, 10_000, MOST_BYTES),
    "one file": (50_000, 3_160, MOST_BYTES),
    "halved": (50_000, 3_160, 100_000_000),
}
"""Number of requests, bytes per request, and most bytes of an upload."""


def calls(number: int, size: int) -> Iterator[Call]:
    """Make calls whose lines in the input file have `size` bytes."""
    url = "/chat/completions"
    for row in range(number):
        # 178 bytes of a line surround the message.
        text = f"{row:>8} ".ljust(size - 178, "x")
        body = {"messages": [{"role": "user", "content": text}], "max_tokens": 512}
        yield Call(call_key("model", url, body), url, body)


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def run(case: str, scale: float) -> None:
    """Send the requests of a case and print its figures.

    Args:
        scale: Factor of the number of requests and of the server's limit of an upload.
    """
    requests, size, largest = CASES[case]
    number, largest = int(requests * scale), int(largest * scale)
    module = "persona_assets_tests.generation.batch_server"
    server = subprocess.Popen(
        [sys.executable, "-m", module, str(largest)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    endpoint = Endpoint(model="model", base_url=url, api_key_env=None, batch_poll=1.0)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "j.jsonl") as journal:
        batches = BatchTransport(endpoint, journal, Usage(), Spending(endpoint))
        stream = calls(number, size)
        while group := list(islice(stream, 64)):
            batches.submit(group)
        spooled = peak_mb()
        batches.flush()
        landed = 0
        while landed < number:
            records = batches.landed.get()
            if isinstance(records, BaseException):
                raise records
            landed += len(records)
        batches.close()
        cpu, rss = time.process_time() - began, peak_mb()
    seen = json.loads(server.communicate()[0])
    assert seen["keys"] == seen["sent"] == number
    assert all(count <= MOST_REQUESTS and size <= largest for count, size in seen["files"])
    print_figures(
        {
            "case": case,
            "requests": number,
            "bytes": sum(size for _, size in seen["files"]),
            "files": seen["files"],
            "cpu_s": round(cpu, 1),
            "spooled_mb": spooled,
            "rss_mb": rss,
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="factor of each case's requests")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        run(options.case, options.scale)
        return
    for case in CASES:
        command = [sys.executable, __file__, "--case", case, "--scale", str(options.scale)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
