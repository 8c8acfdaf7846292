"""CPU time and memory to open, replay and compact a journal and its completions.

    python benchmarks/journal.py --records 100000 --keys 1000000

Prints a JSON object per line. A record has about 1 kB. CPU seconds are those of all threads.

Figures:
    what: Operation (open, get, compact), or the file or index that the line describes.
    records: Number of records that the operation covers.
    cpu_s: CPU seconds of the operation.
    mb: Growth of the process's memory during the operation, in MB.
    bytes: Size of the file.
    keys: Number of keys in the index.
    bytes_a_key: Growth of the process's memory per key of the index.
    add_us, look_up_us: CPU microseconds per key.
"""

import argparse
import gc
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path

from figures import print_figures

from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.journal import Journal, compact
from persona_assets.generation.journal.key_index import KeyIndex

BATCH = 100
"""Records per write, as the engine groups them."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--keys", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, completions = Path(folder) / "shard.jsonl", Path(folder) / "shard.parquet"
        append(path, completions, range(options.records))
        replay("journal", path, completions, options.records)
        print_figures({"what": "the journal", "bytes": path.stat().st_size})
        with measured("compact", options.records):
            compact(path, completions)
        append(path, completions, range(options.records, options.records + BATCH))
        with measured("compact more", BATCH):
            compact(path, completions)
        replay("completions", path, completions, options.records)
        print_figures({"what": "the completions", "bytes": completions.stat().st_size})
    grow_index(options.keys)


def append(path: Path, completions: Path, numbers: range) -> None:
    with Journal(path, completions) as journal:
        for first in numbers[::BATCH]:
            journal.append(*map(record, range(first, min(first + BATCH, numbers.stop))))


def replay(where: str, path: Path, completions: Path, count: int) -> None:
    """Measure opening a journal, looking up all its keys in order, and looking up absent keys."""
    keys = [key(number) for number in range(count)]
    with ExitStack() as stack:
        with measured(f"open the {where}", count):
            journal = stack.enter_context(Journal(path, completions))
            # The first look-up builds the index of the completions.
            journal.get("")
        with measured(f"get all from the {where}", count):
            hits = sum(journal.get(name) is not None for name in keys)
        with measured(f"get as many others from the {where}", count):
            hits += sum(journal.get(name[::-1]) is not None for name in keys)
    if hits != count:
        raise SystemExit(f"{hits} of {count} records were found")


def grow_index(count: int) -> None:
    """Measure an index that grows key by key, as with a journal."""
    keys = [key(number) for number in range(count)]
    before = resident()
    index = KeyIndex()
    start = time.process_time()
    for place, name in enumerate(keys):
        index.add(name, place)
    added = time.process_time()
    for name in keys:
        index.positions(name)
    looked_up = time.process_time()
    print_figures(
        {
            "what": "index",
            "keys": count,
            "bytes_a_key": round((resident() - before) / count, 1),
            "add_us": round(1e6 * (added - start) / count, 2),
            "look_up_us": round(1e6 * (looked_up - added) / count, 2),
        }
    )


@contextmanager
def measured(what: str, count: int) -> Iterator[None]:
    """Print CPU seconds and memory growth of the block."""
    memory, start = resident(), time.process_time()
    yield
    cpu_s, grown = time.process_time() - start, resident() - memory
    print_figures(
        {"what": what, "records": count, "cpu_s": round(cpu_s, 2), "mb": round(grown / 1e6, 1)}
    )


def resident() -> int:
    """Return the resident memory of the process in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def key(number: int) -> str:
    return f"{random.Random(number).getrandbits(128):032x}"


WORDS = [key(number)[:8] for number in range(5000)]


def record(number: int) -> CallRecord:
    content = " ".join(random.Random(number).choices(WORDS, k=80))
    choice = {"message": {"content": content}, "finish_reason": "stop"}
    body = {"choices": [choice], "usage": {"prompt_tokens": 90, "completion_tokens": 70}}
    return CallRecord(key(number), 200, body, model="m", run_id="r", cost=Decimal("0.00001"))


if __name__ == "__main__":
    main()
