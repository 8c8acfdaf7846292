"""CPU time to find all pairs of vectors with a cosine above 0.9, compared with peers.

    python benchmarks/cosine.py --rows 50000 --engines cosine brute faiss-ivf
    python benchmarks/cosine.py --rows 300000 --engines cosine faiss-ivf --nlist 1024 2048
    python benchmarks/cosine.py --rows 1000000 --engines cosine cosine-add
    python benchmarks/cosine.py --rows 20000 --cone 0.88 --engines cosine brute
    python benchmarks/cosine.py --vectors personas.npy --engines cosine brute

Engines run in turn, each in a process of its own single-threaded; peers/cosine_engines.py describes
them. `--vectors` names a matrix in numpy's format. Without it rows are scattered around 5,000
centres, and one row in ten is a near-duplicate of another. `--cone 0.88` makes rows whose cosine to
each other is about 0.88. The clock starts with the vectors mapped from a file and stops with the
pairs. faiss is installed from PyPI, into an environment of its own.

Prints a JSON object per engine and setting, and a last line that compares them.

Figures:
    engine: Name of the engine.
    rows: Number of vectors.
    nlist, nprobe: Settings of faiss.
    cpu_s, wall_s, rss_mb: Seconds, and peak memory of the process in MB, medians of `--repeat`.
    rows_per_cpu_s: Rows per CPU second.
    pairs: Number of pairs that the engine found.
    recall: Share of `true` that the engine found.
    true: Number of all pairs with a row of a random sample, from a search without an index.
    error: Message of an engine that failed. It has no figures.
    over: In the last line: CPU time of each engine over that of `cosine`. For faiss, of its fastest
        setting that reaches the recall of `cosine`, or else of its fastest.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
from cosine_data import cone, synthetic
from figures import print_figures
from peers.cosine_engines import ADDED, ENGINES, FAISS, THRESHOLD, Line
from peers.environments import CACHE, error_message, peer_python

SCRIPT = Path(__file__).parent / "peers" / "cosine_engines.py"
LIMITS = ("OMP", "OPENBLAS", "MKL", "NUMBA")


def run(engine: str, vectors: Path, out: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Run an engine and yield a line per setting, medians of `--repeat` runs, or an `error`."""
    words = [str(SCRIPT), engine, str(vectors), str(out)]
    words += ["--nlist", *map(str, options.nlist), "--nprobe", *map(str, options.nprobe)]
    limits = {f"{name}_NUM_THREADS": "1" for name in LIMITS}
    runs: list[list[Line]] = []
    try:
        python = Path(sys.executable)
        if engine == FAISS:
            python = peer_python(CACHE / "faiss", ("faiss-cpu", "numpy"))
        for _ in range(options.repeat):
            process = subprocess.run(
                [str(python), *words],
                env=os.environ | limits | {"PYTHONPATH": str(SCRIPT.parents[2])},
                check=True,
                capture_output=True,
                text=True,
            )
            lines = process.stdout.splitlines()
            runs.append([json.loads(line) for line in lines if line[:1] == "{"])
    except subprocess.CalledProcessError as error:
        yield {"error": error_message(error.stderr)}
        return
    for same in zip(*runs, strict=True):
        times = {key: median(line[key] for line in same) for key in ("cpu_s", "wall_s", "rss_mb")}
        yield {**same[0], **times}


def compare(vectors: Path, out: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Yield the lines of all engines over the same vectors, and the comparison."""
    from persona_assets.dedup.semantic.cosine_join import vector_neighbours

    matrix = np.load(vectors, mmap_mode="r")
    count = len(matrix)
    sample = np.random.default_rng(options.seed).permutation(count)[: options.sample]
    true = vector_neighbours(matrix, sample, THRESHOLD)
    codes = true.left * count + true.right
    lines: list[Line] = []
    for engine in options.engines:
        for line in run(engine, vectors, out, options):
            if "error" not in line:
                pairs = np.load(line.pop("out"))
                rows = ADDED if engine == "cosine-add" else count
                line["rows_per_cpu_s"] = round(rows / line["cpu_s"])
                hits = np.isin(codes, pairs[:, 0] * count + pairs[:, 1]).sum()
                line |= {"recall": round(hits / max(len(codes), 1), 5), "true": len(codes)}
                line["pairs"] = len(pairs)
            line = {"engine": engine, "rows": count, **line}
            lines.append(line)
            yield line
    measured = [line for line in lines if "error" not in line]
    ours = next((line for line in measured if line["engine"] == "cosine"), None)
    if ours:
        others = sorted(measured, key=lambda x: (x["recall"] < ours["recall"], x["cpu_s"]))
        best = {line["engine"]: line["cpu_s"] for line in reversed(others) if line is not ours}
        yield {"over": {name: cpu / ours["cpu_s"] for name, cpu in best.items()}}


def data(rows: int, options: argparse.Namespace) -> Path:
    """Return the file of vectors that the options name."""
    if options.vectors:
        return Path(options.vectors)
    shape = rows, options.dimensions, options.seed
    return cone(*shape, options.cone) if options.cone else synthetic(*shape)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000])
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--cone", type=float, help="the cosine of any two rows")
    parser.add_argument(
        "--engines", nargs="+", choices=(*ENGINES, FAISS), default=["cosine", "brute"]
    )
    parser.add_argument("--nlist", type=int, nargs="+", default=[2048])
    parser.add_argument("--nprobe", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--sample", type=int, default=5000, help="rows that recall is counted over")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        for rows in [0] if options.vectors else options.rows:
            for line in compare(data(rows, options), Path(folder), options):
                print_figures(line)


if __name__ == "__main__":
    main()
