"""Run of an engine over the benchmark's texts.

    python dedup_run.py ENGINE TEXTS OUT [--threads 1] [--repeat 3]

Loads the texts of the Arrow file TEXTS, runs the engine over them, writes its duplicates to OUT (an
.npz) and prints a JSON object:

    cpu_s, wall_s   Seconds from texts in memory to duplicates, medians of `--repeat` runs.
    rss_mb          Peak memory of a run before these, beyond the memory before that run, in MB.
                    An earlier run over a tenth of the texts imports and compiles everything.
    rss_text_mb     Memory of the texts, in MB.
    version, note   Version of the engine, and its remark.

The process uses as many cores as threads, where the system allows it. Needs numpy, pyarrow and the
packages of the engine.
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

from dedup_engines import ENGINES, Duplicates, Engine

WARM_UP = 20_000
"""Most rows of the run that imports and compiles everything."""


def load(path: Path, as_array: bool) -> Any:
    """Load the texts into memory: an Arrow array mapped from its file, or a list of strings."""
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
    """Return the memory of this process, or its peak since `reset_peak`, in MB.

    Without /proc it is the peak since the process started.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        peak_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak_rss / (2**20 if sys.platform == "darwin" else 2**10)
    name = "VmHWM" if peak else "VmRSS"
    return int(status.split(f"{name}:")[1].split()[0]) / 1024


def reset_peak() -> None:
    memory = Path("/proc/self/clear_refs")
    if memory.exists():
        memory.write_text("5")


def timed(find: Engine, texts: Any) -> tuple[float, float, Duplicates]:
    """Run an engine and return CPU seconds, wall seconds and duplicates."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    duplicates = find(texts)
    return time.process_time() - cpu, time.perf_counter() - wall, duplicates


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
    reset_peak()
    before = memory_mb()
    find(texts)
    rss_mb = memory_mb(peak=True) - before
    cpus, walls = [], []
    duplicates: Duplicates = {}
    for _ in range(options.repeat):
        cpu, wall, duplicates = timed(find, texts)
        cpus.append(cpu)
        walls.append(wall)
    figures = {
        "cpu_s": median(cpus),
        "wall_s": median(walls),
        "rss_mb": rss_mb,
        "rss_text_mb": rss_text_mb,
        "version": version(distribution),
        "note": duplicates.pop("note", ""),
    }
    arrays: dict[str, Any] = {name: np.asarray(rows, np.int64) for name, rows in duplicates.items()}
    np.savez(options.out, **arrays)
    # An engine may have printed part of a line.
    print("\n" + json.dumps(figures))


if __name__ == "__main__":
    main()
