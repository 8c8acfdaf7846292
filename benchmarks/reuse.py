"""Cost of the search for paid keys in all tables of a project.

    python benchmarks/reuse.py --files 1000 --keys 10000

Writes completions files with random keys into a temporary folder and looks keys up in them. Then
the engine sends calls to a server on this machine, without and with the search. Prints a JSON
object per line. CPU seconds are those of all threads.

Figures:
    what: Operation that the line describes.
    files: Number of completions files.
    keys: Number of keys in all files, or number of keys looked up.
    cpu_s: CPU seconds of the operation.
    mb: Growth of the process's own memory (anonymous pages) during the operation, in MB.
    index_mb: Size of the index on disk, mapped and not read, in MB.
    us: CPU microseconds per key.
    calls: Number of calls of a run.
    cpu_ms_per_call: CPU milliseconds per call of a run without the search.
    search_cpu_s: CPU seconds that the run's search takes: all look-ups of its keys, in the project
        of the lines above, with the opening of the index and a refresh.
    share: search_cpu_s over the CPU seconds of the run.
"""

import argparse
import gc
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from figures import print_figures
from generation import serve
from peers.clients import endpoint, requests

from persona_assets.generation import Engine, Journal, complete
from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.completion_row import CompletionRow, completion_schema
from persona_assets.generation.journal.completion_store import GROUP_ROWS
from persona_assets.generation.journal.paid_index import PaidIndex
from persona_assets.generation.journal.paid_records import PaidRecords

ASSETS = 10
"""Number of folders over which the files are spread."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--keys", type=int, default=10_000, help="keys per file")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--shuffled", type=int, default=200, help="keys looked up in random order")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        project = Project(Path(name), options.keys)
        for number in range(options.files):
            project.write(number)
        measure_index(project, options.files)
        measure_look_ups(project, options)
        measure_run(project, options.calls)


class Project:
    """Completions files with random keys below a folder."""

    def __init__(self, root: Path, keys: int) -> None:
        self.folders = root / "paid_keys", root / "journals", root / "completions"
        self.own = root / "journals" / "asset_0" / "own.jsonl"
        self.keys = keys
        body = {
            "choices": [{"message": {"content": "An answer. " * 40}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 90, "completion_tokens": 70},
        }
        record = CallRecord("", 200, body, model="m", run_id="r")
        self._columns = {
            field: pa.repeat(pa.scalar(value, completion_schema().field(field).type), keys)
            for field, value in CompletionRow.from_record(record, b"")._asdict().items()
        }

    def write(self, number: int) -> None:
        path = self.folders[2] / f"asset_{number % ASSETS}" / f"{number}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        keys = pa.array(self.keys_of(number))
        table = pa.table(
            [keys if name == "key" else column for name, column in self._columns.items()],
            schema=completion_schema(),
        )
        pq.write_table(
            table, path, GROUP_ROWS, compression="zstd", use_dictionary=False, store_schema=False
        )

    def keys_of(self, number: int) -> list[str]:
        """Return the keys of a file."""
        digits = random.Random(number).randbytes(16 * self.keys).hex()
        return [digits[start : start + 32] for start in range(0, len(digits), 32)]

    def open(self) -> PaidRecords:
        return PaidRecords(*self.folders, self.own, print)


def measure_index(project: Project, files: int) -> None:
    """Build the index, refresh it with nothing new, and with another file."""
    index = PaidIndex(*project.folders)
    for what in ("build", "refresh", "refresh with another file"):
        if what == "refresh with another file":
            project.write(files)
        with measured(what, files=files, keys=files * project.keys) as figures:
            index.refresh()
            figures["index_mb"] = (
                sum(path.stat().st_size for path in project.folders[0].iterdir()) / 1e6
            )


def measure_look_ups(project: Project, options: argparse.Namespace) -> None:
    """Look up absent keys, the keys of a file in their order, and keys of random files."""
    generator = random.Random(0)
    absent = [f"{generator.getrandbits(128):032x}" for _ in range(options.calls)]
    ordered = project.keys_of(1)
    shuffled = [
        generator.choice(project.keys_of(generator.randrange(options.files)))
        for _ in range(options.shuffled)
    ]
    with project.open() as paid:
        with measured("open", keys=1):
            paid.get(absent[0])
        for what, keys in (("absent", absent), ("in order", ordered), ("shuffled", shuffled)):
            with measured(what, keys=len(keys)):
                found = sum(paid.get(key) is not None for key in keys)
            if found != (0 if what == "absent" else len(keys)):
                raise SystemExit(f"{found} of {len(keys)} keys were found ({what})")


def measure_run(project: Project, calls: int) -> None:
    """Send calls without the search, then search for their keys."""
    with (
        serve(latency_ms=20) as url,
        tempfile.TemporaryDirectory() as name,
        Journal(Path(name) / "a.jsonl") as journal,
    ):
        engine = Engine(endpoint(url, 64), journal)
        start = time.process_time()
        for _ in complete(requests(calls), engine):
            pass
        run = time.process_time() - start
        keys = [record.key for record in journal.records()]
    start = time.process_time()
    with project.open() as paid:
        for key in keys:
            paid.get(key)
    search = time.process_time() - start
    print_figures(
        {
            "what": "run",
            "calls": calls,
            "cpu_ms_per_call": 1000 * run / calls,
            "search_cpu_s": search,
            "share": search / run,
        },
        digits=4,
    )


@contextmanager
def measured(what: str, *, keys: int, **more: Any) -> Iterator[dict[str, Any]]:
    """Print CPU time and memory growth of the block."""
    gc.collect()
    memory, start = anonymous_mb(), time.process_time()
    figures: dict[str, Any] = {}
    yield figures
    cpu_s = time.process_time() - start
    print_figures(
        {
            "what": what,
            **more,
            "keys": keys,
            "cpu_s": cpu_s,
            "us": 1e6 * cpu_s / max(keys, 1),
            "mb": anonymous_mb() - memory,
            **figures,
        },
        digits=4,
    )


def anonymous_mb() -> float:
    """Return the resident memory of the process without mapped files, in MB."""
    resident, shared = map(int, Path("/proc/self/statm").read_text().split()[1:3])
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
