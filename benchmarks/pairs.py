"""CPU time to draw pairs of personas at given similarities from a whole hub (figure 10).

    python benchmarks/pairs.py --rows 100000
    python benchmarks/pairs.py --rows 1000000 --similarities 0.4 0.6 0.8 0.9 --check 0

Vectors are those of benchmarks/cosine.py, in tables of 5,000 as shards are. `--check` compares the
search with the matrix products of all pairs, over the first rows of the same vectors: all pairs of
each range, as sets. 0 skips it.

Figures:
    rows: Number of vectors.
    cpu_s, wall_s: Seconds to draw the pairs of all buckets, reading the tables included.
    rss_mb: Peak memory of the process in MB, tables included.
    bucket: Cosine of a bucket.
    sampled: Pairs of the bucket among 5,000 sampled personas, of those requested.
    drawn: Pairs drawn.
    checked: Number of rows of the comparison.
    found, true: Pairs of the bucket by the search and by matrix products.
    missing, wrong: Pairs of one and not of the other.
    brute_cpu_s: Seconds of the matrix products. Beside them, `cpu_s` is that of the search.
"""

import argparse
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl
from cosine_data import synthetic
from figures import print_figures

TABLE = 5_000
Pairs = set[tuple[int, int]]


def tables(matrix: Any) -> Iterator[pl.LazyFrame]:
    """Yield tables of embeddings, as `persona_embeddings` has them."""
    for start in range(0, len(matrix), TABLE):
        vectors = matrix[start : start + TABLE].astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        ids = [f"{row:032x}" for row in range(start, start + len(vectors))]
        frame = pl.DataFrame({"persona_id": ids, "vector": vectors})
        yield frame.with_columns(
            pl.col("vector").arr.to_list(), confusion=pl.lit(None, pl.Float64)
        ).lazy()


def draw(matrix: Any, options: argparse.Namespace) -> None:
    """Draw pairs from all rows, and count those that a sample would have given."""
    from persona_assets.ids import uniform
    from persona_assets.steps import persona_pairs

    ids = [f"{row:032x}" for row in range(len(matrix))]
    hub = pl.DataFrame({"persona_id": ids, "persona": ids})
    cpu, wall = time.process_time(), time.perf_counter()
    drawn = persona_pairs.build_persona_pairs(
        hub,
        lambda: tables(matrix),
        similarities=options.similarities,
        tolerance=options.tolerance,
        per_bucket=options.per_bucket,
        threads=options.threads,
    ).rows
    print_figures(
        {
            "rows": len(matrix),
            "cpu_s": time.process_time() - cpu,
            "wall_s": time.perf_counter() - wall,
            "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
    )
    places = {name: uniform("pairs", name) for name in ids}
    sample = set(sorted(ids, key=places.__getitem__)[: persona_pairs.MAX_PERSONAS])
    for bucket in options.similarities:
        pairs = drawn.filter(bucket=bucket).select("left_id", "right_id").rows()
        sampled = sum(left in sample and right in sample for left, right in pairs)
        print_figures({"bucket": bucket, "sampled": sampled, "drawn": len(pairs)})


def check(matrix: Any, options: argparse.Namespace) -> None:
    """Compare the pairs of each range with those of matrix products."""
    from persona_assets.dedup.semantic.cosine_ranges import CosineRange, pairs_in_ranges
    from persona_assets.dedup.semantic.half_precision import unit_vectors

    with ThreadPoolExecutor(1) as pool:
        units = unit_vectors(matrix, pool)
    hashes = np.random.default_rng(0).integers(0, 2**63, len(units)).astype(np.uint64)
    for bucket in options.similarities:
        low, high = bucket - options.tolerance, bucket + options.tolerance
        start = time.process_time()
        ranges = [CosineRange(low, high, len(units) ** 2)]
        [drawn] = pairs_in_ranges(units, hashes, ranges, threads=options.threads)
        middle = time.process_time()
        found = set(zip(drawn.left.tolist(), drawn.right.tolist(), strict=True))
        begin = time.process_time()
        true = brute_force(units, low, high)
        end = time.process_time()
        print_figures(
            {
                "checked": len(units),
                "bucket": bucket,
                "found": len(found),
                "true": len(true),
                "missing": len(true - found),
                "wrong": len(found - true),
                "cpu_s": middle - start,
                "brute_cpu_s": end - begin,
            }
        )


def brute_force(units: Any, low: float, high: float) -> Pairs:
    """Return all pairs of a range by float64 products of the same vectors."""
    exact = units.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    pairs: Pairs = set()
    for start in range(0, len(exact), 1024):
        product = exact[start : start + 1024] @ exact.T
        left, right = np.nonzero((product >= low) & (product <= high))
        left += start
        ordered = left < right
        pairs.update(zip(left[ordered].tolist(), right[ordered].tolist(), strict=True))
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--similarities", type=float, nargs="+", default=[0.4, 0.6, 0.8, 0.9])
    parser.add_argument("--tolerance", type=float, default=0.01)
    parser.add_argument("--per-bucket", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--check", type=int, default=20_000, help="rows of the comparison")
    options = parser.parse_args()
    matrix = np.load(synthetic(options.rows, options.dimensions, options.seed), mmap_mode="r")
    draw(matrix, options)
    if options.check:
        check(matrix[: options.check], options)


if __name__ == "__main__":
    main()
