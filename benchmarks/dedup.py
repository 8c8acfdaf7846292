"""CPU time of lexical deduplication, compared with peers.

    python benchmarks/dedup.py --rows 100000 --personas personahub_tool.jsonl
    python benchmarks/dedup.py --rows 1000000 --engines exact,tokenize,rensa,rensa-hashed
    python benchmarks/dedup.py --rows 1000000 --engines exact,minhash --threads 2
    python benchmarks/dedup.py --scaling            # 100,000, 1,000,000 and 5,000,000 rows

Engines run in turn, each in a process of its own: peers/dedup_run.py describes the span of the
clock, peers/dedup_engines.py the engines. Peers are installed from PyPI, into an environment of
their own. Slow peers have fewer rows, see `rows`.

Prints a JSON object per data set, a JSON object per engine, and a last line that compares engines.

The true pairs come from comparing all pairs of up to 100,000 rows. For more rows they are the pairs
found by `exact`, provided that its pairs of 100,000 rows are the true pairs.

Figures:
    data: Number of rows of a data set.
    bytes_per_row: Size of the data set's file per row, or rss_mb per row.
    engine: Name of the engine.
    rows, threads: Number of rows and of threads.
    cpu_s, wall_s: Seconds from texts in memory to duplicates, medians of `--repeat` runs.
    rss_mb, rss_text_mb: Memory of a run beyond the texts, and memory of the texts, in MB.
    version, note: Version of the engine, and a remark on its run.
    rows_per_cpu_s, cpu_us_per_row: Rows per CPU second, and CPU microseconds per row.
    wall_ratio: Wall time with one thread over wall time with `--threads`.
    measure: Unit of recall and precision. "pairs": pairs of rows. "F": removed rows, against rows
        similar to an earlier row. "any": flagged rows, against rows similar to any other row.
    pairs, documents: Number of pairs, or of rows, that the engine found.
    recall, precision: Shares of the true pairs or rows.
    unknown: Reason why the true pairs are unknown.
    error: Message of an engine that failed. It has no figures.
    exact_over: In the last line: rows per CPU second of `exact` over those of each engine, whatever
        the number of rows of each.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from dedup_data import dataset
from figures import print_figures
from peers.dedup_engines import ENGINES
from peers.dedup_truth import BRUTE_FORCE, Pairs, expanded, score, truth
from peers.environments import CACHE, error_message, peer_python

SCRIPT = Path(__file__).parent / "peers" / "dedup_run.py"
OURS = ("exact", "minhash", "tokenize")
THREADED = ("exact", "minhash")
MOST = {
    **dict.fromkeys(("rensa", "rensa-rho", "rensa-hashed", "rensa-dedup"), 1_000_000),
    **dict.fromkeys(("datasketch", "text-dedup"), 100_000),
    "datatrove": 20_000,
}
"""Most rows of a peer. More rows need gigabytes, or minutes."""

SCALES = (100_000, 1_000_000, 5_000_000)
LONGEST = 1800
"""Seconds after which an engine is stopped."""

PEERS = (
    "rensa==0.5.0",
    "datasketch==2.0.0",
    "text-dedup==0.4.0",
    "datatrove==0.10.1",
    "spacy==3.8.18",
    "tokenizers",
)
SHARED = ("numba", "numpy", "polars", "pyarrow", "regex")
"""Packages that the peers' environment has in the versions of this environment."""

LIMITS = ("OMP", "OPENBLAS", "MKL", "RAYON", "NUMBA")

Line = dict[str, Any]
Task = tuple[str, int, int]
"""Name of an engine, number of rows, number of threads."""


class Benchmark:
    """Runner of engines. Texts and the peers' environment are stored in `--cache`."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options, self._folder = options, folder
        self._pairs: dict[int, Pairs] = {}

    def texts(self, rows: int) -> Path:
        options = self._options
        return dataset(rows, options.seed, options.personas, options.cache)

    def run(self, task: Task) -> Line:
        """Run an engine and return its figures, or an `error`."""
        engine, rows, threads = task
        words = [SCRIPT, engine, self.texts(rows), self._out(task)]
        words += ["--threads", threads, "--repeat", self._options.repeat]
        try:
            python = Path(sys.executable) if engine in OURS else self._peer_python()
            process = subprocess.run(
                [str(python), *map(str, words)],
                env=os.environ
                | {f"{name}_NUM_THREADS": str(threads) for name in LIMITS}
                | {"PYTHONPATH": str(SCRIPT.parents[2])},
                check=True,
                capture_output=True,
                text=True,
                timeout=LONGEST,
            )
        except subprocess.CalledProcessError as error:
            return {"error": error_message(error.stderr)}
        except subprocess.TimeoutExpired:
            return {"error": f"not done after {LONGEST} s"}
        return dict(json.loads(process.stdout.splitlines()[-1]))

    def duplicates(self, task: Task) -> dict[str, Any]:
        """Return the arrays that an engine wrote, by name."""
        with np.load(self._out(task)) as arrays:
            return dict(arrays)

    def pairs(self, rows: int) -> Pairs:
        """Return the true pairs of near-duplicate rows."""
        if rows not in self._pairs:
            few = rows <= BRUTE_FORCE
            self._pairs[rows] = expanded(truth(self.texts(rows))) if few else self._trusted(rows)
        return self._pairs[rows]

    def _trusted(self, rows: int) -> Pairs:
        """Return the pairs of `exact`, if it finds the true pairs of fewer rows."""
        pairs, true = self._exact(BRUTE_FORCE), self.pairs(BRUTE_FORCE)
        if isinstance(pairs, str) or isinstance(true, str):
            return f"exact failed at {BRUTE_FORCE} rows: {pairs}"
        if not pairs.equals(true):
            return f"exact is wrong at {BRUTE_FORCE} rows"
        return self._exact(rows)

    def _exact(self, rows: int) -> Pairs:
        task = ("exact", rows, 1)
        if not self._out(task).exists() and (error := self.run(task).get("error")):
            return str(error)
        return expanded(self.duplicates(task))

    def _peer_python(self) -> Path:
        shared = (f"{name}=={version(name)}" for name in SHARED)
        return peer_python(self._options.cache / "peers", [*PEERS, *shared])

    def _out(self, task: Task) -> Path:
        return self._folder / ("-".join(map(str, task)) + ".npz")


def lines(benchmark: Benchmark, engines: Sequence[str], rows: int, threads: int) -> Iterator[Line]:
    """Yield the figures of the data sets and of each engine, and the comparison with `exact`."""
    tasks: list[Task] = [
        (engine, min(rows, MOST.get(engine, rows)), number)
        for engine in engines
        for number in sorted({1, threads} if engine in THREADED else {1})
    ]
    # Texts are generated before any clock starts.
    for number in sorted({number for _, number, _ in tasks}):
        size = benchmark.texts(number).stat().st_size
        yield {"data": number, "bytes_per_row": size / number}
    speed: dict[str, float] = {}
    serial: dict[str, float] = {}
    for task, figures in [(task, benchmark.run(task)) for task in tasks]:
        engine, number, threads = task
        line: Line = {"engine": engine, "rows": number, "threads": threads}
        if "error" in figures:
            yield line | figures
            continue
        line |= figures | {
            "rows_per_cpu_s": number / figures["cpu_s"],
            "cpu_us_per_row": 1e6 * figures["cpu_s"] / number,
            "bytes_per_row": 2**20 * figures["rss_mb"] / number,
        }
        if threads == 1:
            speed[engine], serial[engine] = line["rows_per_cpu_s"], figures["wall_s"]
        elif engine in serial:
            line["wall_ratio"] = serial[engine] / figures["wall_s"]
        reference = engine == "exact" and number > BRUTE_FORCE
        true = "the reference of the other engines" if reference else benchmark.pairs(number)
        yield line | score(benchmark.duplicates(task), true)
    if "exact" in speed:
        yield {"exact_over": {name: speed["exact"] / value for name, value in speed.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument(
        "--engines", help="comma-separated; default: all, with --scaling only those of this project"
    )
    parser.add_argument("--personas", type=Path, help='JSONL with an "input persona" in each row')
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=CACHE / "dedup")
    parser.add_argument("--scaling", action="store_true")
    options = parser.parse_args()
    engines = (options.engines or ",".join(OURS if options.scaling else ENGINES)).split(",")
    if unknown := set(engines) - set(ENGINES):
        parser.error(f"unknown engine: {', '.join(unknown)}; choose from {', '.join(ENGINES)}")
    with tempfile.TemporaryDirectory() as folder:
        benchmark = Benchmark(options, Path(folder))
        for rows in SCALES if options.scaling else (options.rows,):
            for line in lines(benchmark, engines, rows, options.threads):
                print_figures(line)


if __name__ == "__main__":
    main()
