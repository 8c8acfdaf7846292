"""CPU time to fit the map of a hub and to place personas, and the neighbours that the map keeps.

    python benchmarks/persona_map.py --rows 5000 100000
    python benchmarks/persona_map.py --personas hub.jsonl --field persona
    python benchmarks/persona_map.py --vectors personas.npy

`--personas` names JSON lines whose texts the embedded model embeds, `--vectors` a matrix in numpy's
format. Without either, rows are those of cosine_data.py: scattered around 5,000 centres. At most
50,000 rows are landmarks, as in a run, unless `--landmarks` sets a lower number; all are placed.
Libraries use as many threads as they find processors; CPU time is that of all threads. A fit of few
rows runs before the clock starts, as PaCMAP is compiled once per machine.

Prints a JSON object per number of rows.

Figures:
    rows, landmarks, clusters: Numbers of vectors with a meaning, of landmarks and of clusters.
    fit_cpu_s: Seconds to lay out and cluster the landmarks.
    place_cpu_s: Seconds to place all rows, index included.
    place_cpu_s_per_100k: The same for 100,000 rows.
    near50: Share of the 50 nearest rows by cosine that are among the 50 nearest on the map, mean of
        a sample. Of few rows, half of them in place of 50.
    near50_cluster: Share of the 50 nearest rows by cosine that are of the row's cluster.
    rss_mb: Peak memory of the process in MB.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
import polars as pl
from cosine_data import synthetic
from figures import print_figures

from persona_assets.steps.landmarks import LEAST_PACMAP, MOST_LANDMARKS, fit_landmarks
from persona_assets.steps.placement import Landmarks, Placed

NEAREST = 50


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000])
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--personas", type=Path, help="JSON lines")
    parser.add_argument("--field", default="persona")
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--landmarks", type=int)
    parser.add_argument("--sample", type=int, default=1_000, help="rows of near50")
    options = parser.parse_args()
    for rows in [0] if options.personas or options.vectors else options.rows:
        measure(read(rows, options), options)


def read(rows: int, options: argparse.Namespace) -> np.ndarray:
    """Return unit vectors, float32, without rows of zeros."""
    if options.personas:
        from persona_assets.local_models.embedder import MINILM, LocalEmbedder

        with options.personas.open(encoding="utf-8") as lines:
            texts = list(dict.fromkeys(json.loads(line)[options.field] for line in lines))
        vectors = LocalEmbedder(MINILM, "fp32").embed(texts)
    else:
        path = options.vectors or synthetic(rows, options.dimensions, options.seed)
        vectors = np.load(path).astype(np.float32)
    vectors = vectors[vectors.any(axis=1)]
    units: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units


def measure(vectors: np.ndarray, options: argparse.Namespace) -> None:
    """Fit and place, and print the figures."""
    rows = len(vectors)
    landmarks = min(options.landmarks or rows, MOST_LANDMARKS, rows)
    rng = np.random.default_rng(options.seed)
    drawn = vectors[np.sort(rng.permutation(rows)[:landmarks])]
    table = pl.DataFrame(
        {"persona_id": [str(row) for row in range(landmarks)], "vector": drawn.tolist()},
        schema={"persona_id": pl.String, "vector": pl.List(pl.Float32)},
    )
    if landmarks >= LEAST_PACMAP:
        fit_landmarks(table.head(LEAST_PACMAP))
    start = time.process_time()
    fitted = fit_landmarks(table)
    fit = time.process_time() - start
    start = time.process_time()
    placed = Landmarks(fitted).place(vectors)
    place = time.process_time() - start
    sample = rng.permutation(rows)[: options.sample]
    on_map, in_cluster = kept_neighbours(vectors, placed, sample)
    print_figures(
        {
            "rows": rows,
            "landmarks": landmarks,
            "clusters": fitted["cluster"].n_unique(),
            "fit_cpu_s": fit,
            "place_cpu_s": place,
            "place_cpu_s_per_100k": place / rows * 100_000,
            "near50": on_map,
            "near50_cluster": in_cluster,
            "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
    )


def kept_neighbours(vectors: np.ndarray, placed: Placed, sample: np.ndarray) -> tuple[float, float]:
    """Return the shares of the nearest rows that are near on the map, and of the same cluster."""
    nearest = min(NEAREST, max(1, len(vectors) // 2))
    near, same = [], []
    for row in sample:
        cosines = vectors @ vectors[row]
        distances = ((placed.xy - placed.xy[row]) ** 2).sum(axis=1)
        cosines[row], distances[row] = -np.inf, np.inf
        by_meaning = np.argpartition(-cosines, nearest - 1)[:nearest]
        by_place = np.argpartition(distances, nearest - 1)[:nearest]
        near.append(len(np.intersect1d(by_meaning, by_place)) / nearest)
        same.append((placed.clusters[by_meaning] == placed.clusters[row]).mean())
    return float(np.mean(near)), float(np.mean(same))


if __name__ == "__main__":
    main()
