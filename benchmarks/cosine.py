"""All pairs of vectors with a cosine above 0.9, beside peers; prints one JSON object a line.

    python benchmarks/cosine.py --rows 50000 --engines cosine brute faiss-ivf
    python benchmarks/cosine.py --rows 300000 --engines cosine faiss-ivf --nlist 1024 2048
    python benchmarks/cosine.py --rows 1000000 --engines cosine cosine-add
    python benchmarks/cosine.py --vectors personas.npy --engines cosine brute

Engines run one after the other, each in a process of its own with one thread. Without `--vectors`
(a matrix in numpy's format) they get rows around 5,000 centres, one in ten of them a near-duplicate
of another. What the clock covers begins with the vectors mapped from a file and ends with pairs.

    cosine      `cosine_edges`; compiled before.
    cosine-add  the last 2,000 rows come to an index of all others; the clock covers these alone.
    brute       float32 matrix products of all pairs.
    faiss-ivf   `IndexIVFFlat.range_search` of all rows: training, adding, searching. It is given
                float32 before the clock starts. Installed from PyPI into an environment of its own.

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
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

CACHE = Path.home() / ".cache" / "persona_assets_benchmarks"
THRESHOLD = 0.9
ADDED = 2000
TILE = 2048
ENGINES = ("cosine", "cosine-add", "brute", "faiss-ivf")
LIMITS = ("OMP", "OPENBLAS", "MKL", "NUMBA")

Line = dict[str, Any]
Matrix = Any
Work = Callable[[], Callable[[], Matrix]]
"""Finds pairs of rows; what it returns gives them, shape (m, 2), the smaller one first."""


def synthetic(rows: int, dimensions: int, seed: int) -> Path:
    """A file of float16 vectors, made if it is not there yet.

    Two rows have a median cosine of 0.1; those of one centre one of 0.1 to 0.8; one row in ten has
    a cosine of 0.85 to 0.99 to another.
    """
    path = CACHE / f"vectors-{rows}-{dimensions}-{seed}.npy"
    if path.exists():
        return path
    rng = np.random.default_rng(seed)

    def units(count: int) -> Matrix:
        vectors = rng.standard_normal((count, dimensions), np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def near(origin: Matrix, cosine: Matrix) -> Matrix:
        side = units(len(origin))
        side -= (side * origin).sum(axis=1, keepdims=True) * origin
        side /= np.linalg.norm(side, axis=1, keepdims=True)
        return cosine[:, None] * origin + np.sqrt(1 - cosine[:, None] ** 2) * side

    centres = near(np.repeat(units(1), 5000, axis=0), np.full(5000, 0.32, np.float32))
    tight = rng.uniform(0.32, 0.9, len(centres)).astype(np.float32)
    scratch = path.with_suffix(".tmp.npy")
    CACHE.mkdir(parents=True, exist_ok=True)
    made = np.lib.format.open_memmap(scratch, "w+", np.float16, (rows, dimensions))
    places, first = rng.permutation(rows), rows - rows // 10
    for start in range(0, rows, TILE):
        stop = min(start + TILE, first) if start < first else min(start + TILE, rows)
        count = min(start + TILE, rows) - start
        chosen = rng.integers(0, len(centres), count)
        block = near(centres[chosen], tight[chosen])
        if start >= first or stop < start + count:
            sources = made[places[rng.integers(0, min(start, first), count)]].astype(np.float32)
            sources /= np.linalg.norm(sources, axis=1, keepdims=True)
            cosine = rng.uniform(0.85, 0.99, count).astype(np.float32)
            late = np.arange(start, start + count) >= first
            block[late] = near(sources, cosine)[late]
        made[places[start : start + count]] = block
    made.flush()
    scratch.rename(path)
    return path


def cosine(vectors: Matrix) -> Work:
    from persona_assets.dedup.cosine import cosine_edges
    from persona_assets.dedup.signs import parameters

    some = vectors[:1000]
    cosine_edges(some, THRESHOLD)
    cosine_edges(some, THRESHOLD, parameters=parameters(10**6, THRESHOLD, vectors.shape[1]))

    def work() -> Callable[[], Matrix]:
        edges = cosine_edges(vectors, THRESHOLD)
        return lambda: np.stack([edges.left, edges.right], axis=1)

    return work


def cosine_add(vectors: Matrix) -> Work:
    from persona_assets.dedup.columns import Columns
    from persona_assets.dedup.cosine import Vectors
    from persona_assets.dedup.signs import parameters

    rows, dimensions = vectors.shape
    chosen = parameters(rows, THRESHOLD, dimensions)
    folder = tempfile.TemporaryDirectory(dir=CACHE)
    columns = Columns(Path(folder.name), Vectors.shapes(dimensions), "").__enter__()
    index, items = Vectors(columns, chosen), []
    for start, stop in ((0, ADDED), (ADDED, rows - ADDED)):
        items.append(index.add(vectors[start:stop]))
        columns.commit({})

    def work() -> Callable[[], Matrix]:
        items.append(index.add(vectors[rows - ADDED :]))
        columns.commit({})
        edges = index.edges()

        def pairs() -> Matrix:
            folder.cleanup()
            expanded = edges.expanded(np.concatenate(items))
            return np.stack([expanded.left, expanded.right], axis=1)

        return pairs

    return work


def brute(vectors: Matrix) -> Work:
    def work() -> Callable[[], Matrix]:
        units = vectors.astype(np.float32)
        units /= np.linalg.norm(units, axis=1, keepdims=True)
        found = []
        for top in range(0, len(units), TILE):
            for start in range(top, len(units), TILE):
                product = units[top : top + TILE] @ units[start : start + TILE].T
                row, other = np.nonzero(product > THRESHOLD)
                pairs = np.stack([row + top, other + start], axis=1)
                found.append(pairs[pairs[:, 0] < pairs[:, 1]])
        return lambda: np.concatenate(found)

    return work


class Faiss:
    """An index of its own for each number of lists; `seconds` is what making it took."""

    def __init__(self, vectors: Matrix, lists: int) -> None:
        import faiss  # type: ignore[import-not-found]

        faiss.omp_set_num_threads(1)
        self._units = vectors.astype(np.float32)
        faiss.normalize_L2(self._units)
        start = time.process_time(), time.perf_counter()
        quantizer = faiss.IndexFlatIP(vectors.shape[1])
        self._index = faiss.IndexIVFFlat(
            quantizer, vectors.shape[1], lists, faiss.METRIC_INNER_PRODUCT
        )
        # Less training than the default (10 and 256) costs no recall here, and takes a tenth.
        self._index.cp.niter, self._index.cp.max_points_per_centroid = 4, 40
        self._index.train(self._units)
        self._index.add(self._units)
        self.seconds = time.process_time() - start[0], time.perf_counter() - start[1]

    def work(self, probes: int) -> Work:
        def search() -> Callable[[], Matrix]:
            self._index.nprobe = probes
            found = []
            for start in range(0, len(self._units), 1 << 14):
                block = self._units[start : start + (1 << 14)]
                limits, _, other = self._index.range_search(block, THRESHOLD)
                row = np.repeat(np.arange(len(block)) + start, np.diff(limits.astype(np.int64)))
                pairs = np.stack([np.minimum(row, other), np.maximum(row, other)], axis=1)
                found.append(pairs[row != other])
            return lambda: np.unique(np.concatenate(found), axis=0)

        return search


def measure(work: Work, out: Path, before: tuple[float, float] = (0.0, 0.0)) -> Line:
    """Runs once; `before` is CPU and wall time that was spent on it already."""
    wall, cpu = time.perf_counter(), time.process_time()
    pairs = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    np.save(out, pairs())
    return {"cpu_s": cpu + before[0], "wall_s": wall + before[1], "rss_mb": peak_memory()}


def peak_memory() -> int:
    """The most MB that this process had; getrusage would count those of the parent in."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) // 1024


def child(options: argparse.Namespace) -> None:
    """One engine in this process; a line for each of its settings, pairs into files."""
    vectors, out = np.load(options.vectors, mmap_mode="r"), Path(options.out)
    if options.child == "faiss-ivf":
        for lists in options.nlist:
            index = Faiss(vectors, lists)
            for probes in options.nprobe:
                path = out / f"{lists}-{probes}.npy"
                line = measure(index.work(probes), path, index.seconds)
                print(json.dumps({**line, "nlist": lists, "nprobe": probes, "out": str(path)}))
        return
    engine = {"cosine": cosine, "cosine-add": cosine_add, "brute": brute}[options.child]
    path = out / f"{options.child}.npy"
    print(json.dumps({**measure(engine(vectors), path), "out": str(path)}))


def run(engine: str, vectors: Path, out: Path, options: argparse.Namespace) -> Iterator[Line]:
    """The lines of an engine, medians of `repeat` runs, or an `error`."""
    words = [__file__, "--child", engine, "--vectors", str(vectors), "--out", str(out)]
    words += ["--nlist", *map(str, options.nlist), "--nprobe", *map(str, options.nprobe)]
    limits = {f"{name}_NUM_THREADS": "1" for name in LIMITS}
    runs: list[list[Line]] = []
    try:
        python = environment() if engine == "faiss-ivf" else Path(sys.executable)
        for _ in range(options.repeat):
            done = subprocess.run(
                [str(python), *words],
                env=os.environ | limits,
                check=True,
                capture_output=True,
                text=True,
            )
            runs.append([json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"])
    except subprocess.CalledProcessError as error:
        yield {"error": error.stderr.strip().splitlines()[-1:]}
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
    from persona_assets.dedup.cosine import neighbours

    matrix = np.load(vectors, mmap_mode="r")
    count = len(matrix)
    sample = np.random.default_rng(options.seed).permutation(count)[: options.sample]
    true = neighbours(matrix, sample, THRESHOLD)
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000])
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=["cosine", "brute"])
    parser.add_argument("--nlist", type=int, nargs="+", default=[2048])
    parser.add_argument("--nprobe", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--sample", type=int, default=5000, help="rows to count recall with")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        for rows in [0] if options.vectors else options.rows:
            vectors = options.vectors or synthetic(rows, options.dimensions, options.seed)
            for line in compare(vectors, Path(folder), options):
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
