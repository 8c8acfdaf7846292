"""Engines that find all pairs of vectors with a cosine above 0.9, this project's and its peers.

    python cosine_engines.py ENGINE VECTORS OUT [--nlist 2048] [--nprobe 2 4 8]

Runs an engine over the rows of VECTORS (a matrix in numpy's format, mapped) and prints a JSON
object per setting: `cpu_s`, `wall_s`, `rss_mb` (peak memory of the process in MB), and `out`, a
file in the folder OUT that holds the pairs, int64, shape (m, 2), the smaller row first.

    cosine      `cosine_edges`. Kernels are compiled before the clock starts.
    cosine-add  Adds the last 2,000 rows to an index of all others. The clock covers only these.
    brute       float32 matrix products of all pairs.
    faiss-ivf   `IndexIVFFlat.range_search` of all rows: train, add, search. Vectors are converted
                to float32 before the clock starts.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

THRESHOLD = 0.9
ADDED = 2000
TILE = 2048

Line = dict[str, Any]
Matrix = Any
Work = Callable[[], Callable[[], Matrix]]
"""Timed search for pairs. It returns a function that reads the pairs, outside the clock."""


def cosine(vectors: Matrix, _: Path) -> Work:
    from persona_assets.dedup.semantic.cosine_join import cosine_edges
    from persona_assets.dedup.semantic.sign_sketches import choose_parameters

    sample = vectors[:1000]
    cosine_edges(sample, THRESHOLD)
    cosine_edges(
        sample, THRESHOLD, parameters=choose_parameters(10**6, THRESHOLD, vectors.shape[1])
    )

    def work() -> Callable[[], Matrix]:
        edges = cosine_edges(vectors, THRESHOLD)
        return lambda: np.stack([edges.left, edges.right], axis=1)

    return work


def cosine_add(vectors: Matrix, out: Path) -> Work:
    from persona_assets.dedup.index.column_store import ColumnStore
    from persona_assets.dedup.index.vector_index import VectorIndex
    from persona_assets.dedup.semantic.sign_sketches import choose_parameters

    rows, dimensions = vectors.shape
    parameters = choose_parameters(rows, THRESHOLD, dimensions)
    folder = tempfile.TemporaryDirectory(dir=out)
    columns = ColumnStore(Path(folder.name), VectorIndex.shapes(dimensions), "").__enter__()
    index, items = VectorIndex(columns, parameters), []
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


def brute(vectors: Matrix, _: Path) -> Work:
    def work() -> Callable[[], Matrix]:
        units = vectors.astype(np.float32)
        units /= np.linalg.norm(units, axis=1, keepdims=True)
        pairs = []
        for top in range(0, len(units), TILE):
            for start in range(top, len(units), TILE):
                product = units[top : top + TILE] @ units[start : start + TILE].T
                row, other = np.nonzero(product > THRESHOLD)
                tile = np.stack([row + top, other + start], axis=1)
                pairs.append(tile[tile[:, 0] < tile[:, 1]])
        return lambda: np.concatenate(pairs)

    return work


class Faiss:
    """faiss index with a number of lists. `seconds` holds CPU and wall time of its construction."""

    def __init__(self, vectors: Matrix, lists: int) -> None:
        import faiss

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
            pairs = []
            for start in range(0, len(self._units), 1 << 14):
                block = self._units[start : start + (1 << 14)]
                limits, _, other = self._index.range_search(block, THRESHOLD)
                row = np.repeat(np.arange(len(block)) + start, np.diff(limits.astype(np.int64)))
                block_pairs = np.stack([np.minimum(row, other), np.maximum(row, other)], axis=1)
                pairs.append(block_pairs[row != other])
            return lambda: np.unique(np.concatenate(pairs), axis=0)

        return search


def measure(work: Work, out: Path, before: tuple[float, float] = (0.0, 0.0)) -> Line:
    """Run a search, write its pairs to `out` and return its figures.

    Args:
        before: CPU and wall seconds to add, such as those of building an index.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    pairs = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    np.save(out, pairs())
    return {"cpu_s": cpu + before[0], "wall_s": wall + before[1], "rss_mb": peak_memory()}


def peak_memory() -> int:
    """Return the peak memory of this process in MB; getrusage would include that of the parent."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) // 1024


FAISS = "faiss-ivf"
ENGINES = {"cosine": cosine, "cosine-add": cosine_add, "brute": brute}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("engine", choices=(*ENGINES, FAISS))
    parser.add_argument("vectors", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--nlist", type=int, nargs="+", default=[2048])
    parser.add_argument("--nprobe", type=int, nargs="+", default=[2, 4, 8])
    options = parser.parse_args()
    vectors = np.load(options.vectors, mmap_mode="r")
    if options.engine != FAISS:
        work = ENGINES[options.engine](vectors, options.out)
        path = options.out / f"{options.engine}.npy"
        print(json.dumps({**measure(work, path), "out": str(path)}))
        return
    for lists in options.nlist:
        index = Faiss(vectors, lists)
        for probes in options.nprobe:
            path = options.out / f"{lists}-{probes}.npy"
            line = measure(index.work(probes), path, index.seconds)
            print(json.dumps({**line, "nlist": lists, "nprobe": probes, "out": str(path)}))


if __name__ == "__main__":
    main()
