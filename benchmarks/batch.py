"""Many requests by way of a Batch API on this machine: input files within the provider's limits,
processor time and memory.

    python benchmarks/batch.py

Prints one JSON object a case:

    requests  120,000 of 3 kB: the limit of 50,000 requests splits them
    bytes     30,000 of 10 kB: the limit of 200 MB does
    one file  of 158 MB
    halved    the same where an upload of more than 100 MB is answered 413

files: [requests, bytes] of each batch. cpu_s: until all answers are in the journal. spooled_mb and
rss_mb: memory at its peak when all is submitted, and in the end.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path

from persona_assets.generation import Call, Endpoint, Journal, Usage, call_key
from persona_assets.generation.batch import MOST_BYTES, MOST_REQUESTS, BatchTransport
from persona_assets.generation.money.usage import Tokens

CASES = {
    "requests": (120_000, 3_000, MOST_BYTES),
    "bytes": (30_000, 10_000, MOST_BYTES),
    "one file": (50_000, 3_160, MOST_BYTES),
    "halved": (50_000, 3_160, 100_000_000),
}


class Free:
    """Leave to spend without end."""

    def most(self, call: Call) -> Decimal:
        return Decimal(0)

    def charge(self, amount: Decimal) -> None:
        pass

    def refund(self, amount: Decimal) -> None:
        pass

    def batch_cost(self, tokens: Tokens | None) -> Decimal | None:
        return None


def calls(number: int, size: int) -> Iterator[Call]:
    """Calls whose lines in the input file have `size` bytes."""
    url = "/chat/completions"
    for row in range(number):
        # 178 bytes of a line are not the message's.
        text = f"{row:>8} ".ljust(size - 178, "x")
        body = {"messages": [{"role": "user", "content": text}], "max_tokens": 512}
        yield Call(call_key("model", url, body), url, body)


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def run(case: str) -> None:
    number, size, largest = CASES[case]
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
        batches = BatchTransport(endpoint, journal, Usage(), Free())
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
    print(
        json.dumps(
            {
                "case": case,
                "requests": number,
                "bytes": sum(size for _, size in seen["files"]),
                "files": seen["files"],
                "cpu_s": round(cpu, 1),
                "spooled_mb": spooled,
                "rss_mb": rss,
            }
        ),
        flush=True,
    )


def main() -> None:
    if sys.argv[1:]:
        run(sys.argv[1])
        return
    for case in CASES:
        # A process each, since the peak of memory is the process's.
        subprocess.run([sys.executable, __file__, case], check=True)


if __name__ == "__main__":
    main()
