"""Lexical deduplication beside its peers; prints one JSON object a line.

    python benchmarks/dedup.py --rows 100000 --personas personahub_tool.jsonl
    python benchmarks/dedup.py --rows 1000000 --engines exact,tokenize,rensa,rensa-hashed
    python benchmarks/dedup.py --rows 1000000 --engines exact,minhash --threads 2
    python benchmarks/dedup.py --scaling            # 100,000, 1,000,000 and 5,000,000 rows

Engines run one after the other, each in a process of its own: peers/dedup_run.py says what its
clock covers, peers/dedup_engines.py what each engine does. Peers come from PyPI, into an
environment of their own; slow ones get fewer rows, see `rows`.

    measure     what recall and precision count. "pairs": pairs of rows. "F": rows that go, against
                rows like an earlier one. "any": rows that are flagged, against rows like another.
    truth       up to 100,000 rows, all pairs compared; beyond, what `exact` finds, if at 100,000
                rows that was just the truth. `unknown` says why there is none.
    pairs       pairs of rows that were found; `documents` is the number of rows.
    wall_ratio  wall time with one thread over that with `--threads`.
    exact_over  the last line: rows for each second of CPU time, those of `exact` over the others',
                whatever number of rows each was given.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from dedup_data import dataset
from peers.compare import CACHE, last_words
from peers.dedup_engines import ENGINES
from peers.dedup_truth import BRUTE_FORCE, Pairs, expanded, score, truth

SCRIPT = Path(__file__).parent / "peers" / "dedup_run.py"
OURS = ("exact", "minhash", "tokenize")
THREADED = ("exact", "minhash")
MOST = {
    **dict.fromkeys(("rensa", "rensa-rho", "rensa-hashed", "rensa-dedup"), 1_000_000),
    **dict.fromkeys(("datasketch", "text-dedup"), 100_000),
    "datatrove": 20_000,
}
"""Most rows for a peer: more take gigabytes, or minutes."""

SCALES = (100_000, 1_000_000, 5_000_000)
LONGEST = 1800
"""Seconds after which an engine is given up."""

PEERS = (
    "rensa==0.5.0",
    "datasketch==2.0.0",
    "text-dedup==0.4.0",
    "datatrove==0.10.1",
    "spacy==3.8.18",
    "tokenizers",
)
SHARED = ("numba", "numpy", "polars", "pyarrow", "regex")
"""What the peers' environment has in the same version as this one."""

LIMITS = ("OMP", "OPENBLAS", "MKL", "RAYON", "NUMBA")

Line = dict[str, Any]
Task = tuple[str, int, int]
"""An engine, the rows and the threads that it gets."""


class Benchmark:
    """Runs engines; the texts and the peers' environment are kept in `cache`."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options, self._folder = options, folder
        self._pairs: dict[int, Pairs] = {}

    def texts(self, rows: int) -> Path:
        options = self._options
        return dataset(rows, options.seed, options.personas, options.cache)

    def run(self, task: Task) -> Line:
        """The figures of an engine, or why there are none."""
        engine, rows, threads = task
        peers, repeat = self._options.cache / "peers", self._options.repeat
        words = [SCRIPT, engine, self.texts(rows), self._out(task)]
        words += ["--threads", threads, "--repeat", repeat]
        try:
            python = Path(sys.executable) if engine in OURS else environment(peers)
            done = subprocess.run(
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
            return {"error": last_words(error.stderr)}
        except subprocess.TimeoutExpired:
            return {"error": f"not done after {LONGEST} s"}
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def found(self, task: Task) -> dict[str, Any]:
        with np.load(self._out(task)) as found:
            return dict(found)

    def pairs(self, rows: int) -> Pairs:
        """All pairs of near-duplicate rows."""
        if rows not in self._pairs:
            known = rows <= BRUTE_FORCE
            self._pairs[rows] = expanded(truth(self.texts(rows))) if known else self._trusted(rows)
        return self._pairs[rows]

    def _trusted(self, rows: int) -> Pairs:
        """What `exact` finds, if it finds just the truth where that is known."""
        found, known = self._exact(BRUTE_FORCE), self.pairs(BRUTE_FORCE)
        if isinstance(found, str) or isinstance(known, str):
            return f"exact failed at {BRUTE_FORCE} rows: {found}"
        if not found.equals(known):
            return f"exact is wrong at {BRUTE_FORCE} rows"
        return self._exact(rows)

    def _exact(self, rows: int) -> Pairs:
        task = ("exact", rows, 1)
        if not self._out(task).exists() and (error := self.run(task).get("error")):
            return str(error)
        return expanded(self.found(task))

    def _out(self, task: Task) -> Path:
        return self._folder / ("-".join(map(str, task)) + ".npz")


def environment(home: Path) -> Path:
    """The interpreter of the peers' environment, which is made if it is not there yet.

    Raises CalledProcessError if pip fails.
    """
    wanted = [*PEERS, *(f"{name}=={version(name)}" for name in SHARED)]
    python, installed = home / "bin" / "python", home / "installed"
    if not installed.exists() or installed.read_text().split() != wanted:
        venv.create(home, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *wanted], check=True, capture_output=True, text=True)
        installed.write_text("\n".join(wanted))
    return python


def lines(benchmark: Benchmark, engines: Sequence[str], rows: int, threads: int) -> Iterator[Line]:
    """The figures of each engine, and how `exact` compares."""
    tasks: list[Task] = [
        (engine, min(rows, MOST.get(engine, rows)), number)
        for engine in engines
        for number in sorted({1, threads} if engine in THREADED else {1})
    ]
    # Made before any clock runs.
    for number in sorted({number for _, number, _ in tasks}):
        size = benchmark.texts(number).stat().st_size
        yield {"data": number, "bytes_per_row": size / number}
    speed: dict[str, float] = {}
    alone: dict[str, float] = {}
    for task, told in [(task, benchmark.run(task)) for task in tasks]:
        engine, number, threads = task
        line: Line = {"engine": engine, "rows": number, "threads": threads}
        if "error" in told:
            yield line | told
            continue
        line |= told | {
            "rows_per_cpu_s": number / told["cpu_s"],
            "cpu_us_per_row": 1e6 * told["cpu_s"] / number,
            "bytes_per_row": 2**20 * told["rss_mb"] / number,
        }
        if threads == 1:
            speed[engine], alone[engine] = line["rows_per_cpu_s"], told["wall_s"]
        elif engine in alone:
            line["wall_ratio"] = alone[engine] / told["wall_s"]
        itself = engine == "exact" and number > BRUTE_FORCE
        known = "the truth for the others" if itself else benchmark.pairs(number)
        yield line | score(benchmark.found(task), known)
    if "exact" in speed:
        yield {"exact_over": {name: speed["exact"] / value for name, value in speed.items()}}


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rounded(member) for name, member in value.items()}
    return round(value, 3) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--engines", help="with commas between; default: all, or ours to scale")
    parser.add_argument("--personas", type=Path, help='JSONL with an "input persona" in each row')
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=CACHE / "dedup")
    parser.add_argument("--scaling", action="store_true")
    options = parser.parse_args()
    engines = (options.engines or ",".join(OURS if options.scaling else ENGINES)).split(",")
    if unknown := set(engines) - set(ENGINES):
        parser.error(f"no such engine: {', '.join(unknown)}; there are {', '.join(ENGINES)}")
    with tempfile.TemporaryDirectory() as folder:
        benchmark = Benchmark(options, Path(folder))
        for rows in SCALES if options.scaling else (options.rows,):
            for line in lines(benchmark, engines, rows, options.threads):
                print(json.dumps(rounded(line)), flush=True)


if __name__ == "__main__":
    main()
