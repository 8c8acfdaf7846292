"""One engine over the benchmark's texts.

    python dedup_run.py ENGINE TEXTS OUT [--threads 1] [--repeat 3]

loads the texts of the Arrow file TEXTS as the engine takes them, lets it find near-duplicates among
them, writes what it found to OUT (an .npz) and prints one JSON object:

    cpu_s, wall_s   from texts in memory to what was found, medians of `--repeat` runs, before
                    which there was one that does not count.
    rss_mb          the most memory in that first run beyond what the process had before. A run over
                    a tenth of the texts comes still earlier, for all that is imported and compiled.
    rss_text_mb     what the texts themselves take.
    version, note   of the engine.

It keeps to as many cores as it has threads, where the system lets it. Needs numpy, pyarrow, and
whatever the engine is made of.
"""

import argparse
import gc
import json
import os
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from dedup_engines import ENGINES, Engine, Found

WARM_UP = 20_000
"""Most rows of the run that imports and compiles."""


def load(path: Path, as_array: bool) -> Any:
    """The texts, all in memory: an Arrow array mapped from its file, or a list of strings."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        texts = pa.ipc.open_file(file).read_all()["text"].chunk(0)
    if not as_array:
        return texts.to_pylist()
    for buffer in texts.buffers():
        if buffer is not None:
            sum(memoryview(buffer)[::4096])
    return texts


def memory_mb(peak: bool = False) -> float:
    """What this process has now, or the most since `forget_peak`; elsewhere the most ever."""
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (2**20 if sys.platform == "darwin" else 2**10)
    name = "VmHWM" if peak else "VmRSS"
    return int(status.split(f"{name}:")[1].split()[0]) / 1024


def forget_peak() -> None:
    memory = Path("/proc/self/clear_refs")
    if memory.exists():
        memory.write_text("5")


def timed(find: Engine, texts: Any) -> tuple[float, float, Found]:
    """CPU and wall seconds of a run, and what it found."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    found = find(texts)
    return time.process_time() - cpu, time.perf_counter() - wall, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("texts", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))[-options.threads :]
        os.sched_setaffinity(0, cores)
    import numpy as np
    import pyarrow  # noqa: F401

    prepare, distribution, as_array = ENGINES[options.engine]
    find = prepare(options.threads)
    before = memory_mb()
    texts = load(options.texts, as_array)
    rss_text_mb = memory_mb() - before
    find(texts[: min(WARM_UP, len(texts) // 10)])
    gc.collect()
    forget_peak()
    before = memory_mb()
    find(texts)
    rss_mb = memory_mb(peak=True) - before
    cpus, walls = [], []
    found: Found = {}
    for _ in range(options.repeat):
        cpu, wall, found = timed(find, texts)
        cpus.append(cpu)
        walls.append(wall)
    told = {
        "cpu_s": median(cpus),
        "wall_s": median(walls),
        "rss_mb": rss_mb,
        "rss_text_mb": rss_text_mb,
        "version": version(distribution),
        "note": found.pop("note", ""),
    }
    arrays: Found = {name: np.asarray(rows, np.int64) for name, rows in found.items()}
    np.savez(options.out, **arrays)
    # On a line of its own, whatever else an engine may print.
    print("\n" + json.dumps(told))


if __name__ == "__main__":
    main()
