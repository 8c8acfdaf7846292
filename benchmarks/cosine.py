"""All pairs of vectors with a cosine above 0.9, beside peers; prints one JSON object a line.

    python benchmarks/cosine.py --rows 50000 --engines cosine brute faiss-ivf
    python benchmarks/cosine.py --rows 300000 --engines cosine faiss-ivf --nlist 1024 2048
    python benchmarks/cosine.py --rows 1000000 --engines cosine cosine-add
    python benchmarks/cosine.py --rows 20000 --cone 0.88 --engines cosine brute
    python benchmarks/cosine.py --vectors personas.npy --engines cosine brute

Engines run one after the other, each in a process of its own with one thread:
peers/cosine_engines.py says what each does. Without `--vectors` (a matrix in numpy's format) they
get rows around 5,000 centres, one in ten of them a near-duplicate of another; with `--cone`, rows
that all have about that cosine to each other. What the clock covers begins with the vectors mapped
from a file and ends with pairs. faiss comes from PyPI, into an environment of its own.

    recall      against all pairs that some rows are in; `true` is how many these are.
    over        the last line: CPU time of the others over that of `cosine`; of the settings of
                faiss the fastest that finds as much, if one does.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
from cosine_data import cone, synthetic
from peers.compare import CACHE, last_words
from peers.cosine_engines import ADDED, ENGINES, FAISS, THRESHOLD, Line

SCRIPT = Path(__file__).parent / "peers" / "cosine_engines.py"
LIMITS = ("OMP", "OPENBLAS", "MKL", "NUMBA")


def run(engine: str, vectors: Path, out: Path, options: argparse.Namespace) -> Iterator[Line]:
    """The lines of an engine, medians of `repeat` runs, or an `error`."""
    words = [str(SCRIPT), engine, str(vectors), str(out)]
    words += ["--nlist", *map(str, options.nlist), "--nprobe", *map(str, options.nprobe)]
    limits = {f"{name}_NUM_THREADS": "1" for name in LIMITS}
    runs: list[list[Line]] = []
    try:
        python = environment() if engine == FAISS else Path(sys.executable)
        for _ in range(options.repeat):
            done = subprocess.run(
                [str(python), *words],
                env=os.environ | limits | {"PYTHONPATH": str(SCRIPT.parents[2])},
                check=True,
                capture_output=True,
                text=True,
            )
            runs.append([json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"])
    except subprocess.CalledProcessError as error:
        yield {"error": last_words(error.stderr)}
        return
    for lines in zip(*runs, strict=True):
        times = {key: median(line[key] for line in lines) for key in ("cpu_s", "wall_s", "rss_mb")}
        yield {**lines[0], **times}


def environment() -> Path:
    """The interpreter of an environment with faiss, which is made if it is not there yet."""
    home = CACHE / "faiss"
    python, installed = home / "bin" / "python", home / "installed"
    if not installed.exists():
        venv.create(home, with_pip=True, clear=True)
        words = ["-m", "pip", "install", "--quiet", "faiss-cpu", "numpy"]
        subprocess.run([python, *words], check=True, capture_output=True, text=True)
        installed.touch()
    return python


def compare(vectors: Path, out: Path, options: argparse.Namespace) -> Iterator[Line]:
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
                found = np.isin(codes, pairs[:, 0] * count + pairs[:, 1]).sum()
                line |= {"recall": round(found / max(len(codes), 1), 5), "true": len(codes)}
                line["pairs"] = len(pairs)
            line = {"engine": engine, "rows": count, **line}
            lines.append(line)
            yield {key: round(v, 3) if isinstance(v, float) else v for key, v in line.items()}
    measured = [line for line in lines if "error" not in line]
    ours = next((line for line in measured if line["engine"] == "cosine"), None)
    if ours:
        others = sorted(measured, key=lambda x: (x["recall"] < ours["recall"], x["cpu_s"]))
        best = {line["engine"]: line["cpu_s"] for line in reversed(others) if line is not ours}
        yield {"over": {name: round(cpu / ours["cpu_s"], 3) for name, cpu in best.items()}}


def data(rows: int, options: argparse.Namespace) -> Path:
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
    parser.add_argument("--sample", type=int, default=5000, help="rows to count recall with")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        for rows in [0] if options.vectors else options.rows:
            for line in compare(data(rows, options), Path(folder), options):
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
