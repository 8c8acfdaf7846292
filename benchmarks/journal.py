"""The journal and its completions: opened, replayed and compacted; and the memory of an index.

    python benchmarks/journal.py --records 100000 --keys 1000000

Prints one JSON object a line. Records have a kilobyte; CPU is in seconds, of all threads; memory is
by how much the process has grown.
"""

import argparse
import gc
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path

from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.journal import Journal, compact
from persona_assets.generation.journal.key_index import KeyIndex

BATCH = 100
"""Records in one write, as the engine groups them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--keys", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, completions = Path(folder) / "shard.jsonl", Path(folder) / "shard.parquet"
        append(path, completions, range(options.records))
        replay("journal", path, completions, options.records)
        tell(what="the journal", bytes=path.stat().st_size)
        with measured("compact", options.records):
            compact(path, completions)
        append(path, completions, range(options.records, options.records + BATCH))
        with measured("compact more", BATCH):
            compact(path, completions)
        replay("completions", path, completions, options.records)
        tell(what="the completions", bytes=completions.stat().st_size)
    remember(options.keys)


def append(path: Path, completions: Path, numbers: range) -> None:
    with Journal(path, completions) as journal:
        for first in numbers[::BATCH]:
            journal.append(*map(record, range(first, min(first + BATCH, numbers.stop))))


def replay(where: str, path: Path, completions: Path, count: int) -> None:
    """Opens a journal and asks it for everything in order, and then for what it does not have."""
    keys = [key(number) for number in range(count)]
    with ExitStack() as stack:
        with measured(f"open the {where}", count):
            journal = stack.enter_context(Journal(path, completions))
            # The completions are indexed when they are first asked.
            journal.get("")
        with measured(f"get all from the {where}", count):
            found = sum(journal.get(name) is not None for name in keys)
        with measured(f"get as many others from the {where}", count):
            found += sum(journal.get(name[::-1]) is not None for name in keys)
    if found != count:
        raise SystemExit(f"{found} of {count} records were found")


def remember(count: int) -> None:
    """The index as a journal grows by one record after another."""
    keys = [key(number) for number in range(count)]
    before = resident()
    index = KeyIndex()
    start = time.process_time()
    for place, name in enumerate(keys):
        index.add(name, place)
    added = time.process_time()
    for name in keys:
        index.positions(name)
    found = time.process_time()
    tell(
        what="index",
        keys=count,
        bytes_a_key=round((resident() - before) / count, 1),
        add_us=round(1e6 * (added - start) / count, 2),
        look_up_us=round(1e6 * (found - added) / count, 2),
    )


@contextmanager
def measured(what: str, count: int) -> Iterator[None]:
    memory, start = resident(), time.process_time()
    yield
    cpu = time.process_time() - start
    tell(what=what, records=count, cpu_s=round(cpu, 2), mb=round((resident() - memory) / 1e6, 1))


def tell(**figures: object) -> None:
    print(json.dumps(figures), flush=True)


def resident() -> int:
    """Bytes of memory that the process holds."""
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
