"""Landmarks: the personas on which the map of the hub is fitted, their places and clusters.

The map is fitted on a sample and kept, so that a persona's place depends on its own vector and the
landmarks alone. numpy, faiss and pacmap are imported inside functions: Dagster loads this module at
every start.
"""

import logging
from collections.abc import Callable, Iterable
from math import isqrt
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.ids import uniform

if TYPE_CHECKING:
    import numpy as np

VERSION = "1"

LANDMARKS = pl.Schema(
    {
        "persona_id": pl.String(),
        "vector": pl.List(pl.Float32()),
        "x": pl.Float64(),
        "y": pl.Float64(),
        "cluster": pl.Int64(),
    }
)
"""Columns of the landmarks. Clusters are numbered by size, the largest is 0."""

MOST_LANDMARKS = 50_000
"""Largest number of landmarks: the hub is sampled beyond it."""

MOST_CLUSTERS = 256
"""Largest number of clusters, unless a refit asks for another."""

LEAST_PACMAP = 36
"""Number of landmarks from which PaCMAP lays them out: each has 10 near, 5 mid-near and 20 further
partners. Below, the layout is the first two principal components."""

FURTHER = 8.0
"""Further partners per near one of a thousand landmarks and more. PaCMAP's own 2 keeps 0.22 of the
50 nearest of 5,000 personas, 8 keeps 0.30 in twice the time (benchmarks/persona_map.py)."""

SAMPLED = 2_000
"""Number of personas on which growth is measured."""

_SEED = 0
_ROUNDS = 25

Tables = Callable[[], Iterable[tuple[pl.LazyFrame, pl.LazyFrame]]]
"""Function that opens the rows of `persona_hub` and of `persona_embeddings`, shard by shard."""


def readable(hub: pl.LazyFrame, embeddings: pl.LazyFrame, threshold: float) -> pl.LazyFrame:
    """Return the personas of a shard whose vector has a meaning, with the columns of both tables.

    Args:
        hub: Rows of `persona_hub`.
        embeddings: Rows of `persona_embeddings`.
        threshold: Cosine above which two personas are duplicates: a text is unread if the model
            gives unrelated texts of its script such a cosine; a text without a vector is, too.
    """
    is_unread = (pl.col("confusion") >= threshold).fill_null(value=False)
    return hub.join(embeddings.filter(~is_unread), on="persona_id", maintain_order="left")


def draw_personas(tables: Tables, threshold: float, number: int, salt: str) -> pl.DataFrame:
    """Draw readable personas of all shards by a hash of their words.

    Args:
        tables: Hub and embeddings.
        threshold: See `readable`.
        number: Number of personas; all, if there are fewer.
        salt: Name of the draw.

    Returns:
        Columns `persona_id` and `vector` in the order of the hash, whatever the order of shards.
    """

    def ranked(hub: pl.LazyFrame, embeddings: pl.LazyFrame) -> pl.DataFrame:
        # Without the vectors: those of a million personas need gigabytes.
        rows = readable(hub, embeddings.drop("vector"), threshold)
        rank = pl.col("persona").map_elements(lambda text: uniform(salt, text), pl.Float64())
        return rows.select("persona_id", rank=rank).collect()

    ranks = [ranked(*shard) for shard in tables()]
    if not ranks:
        return pl.DataFrame(schema=[("persona_id", pl.String), ("vector", pl.List(pl.Float32))])
    drawn = pl.concat(ranks).sort("rank", "persona_id").head(number).select("persona_id")
    wanted = drawn.lazy()
    vectors = [
        embeddings.select("persona_id", "vector").join(wanted, on="persona_id", how="semi")
        for _, embeddings in tables()
    ]
    found = pl.concat([rows.collect() for rows in vectors])
    return drawn.join(found, on="persona_id", maintain_order="left")


def count_readable(tables: Tables, threshold: float) -> int:
    """Return the number of personas of all shards whose vector has a meaning."""
    return sum(
        readable(hub, embeddings.drop("vector"), threshold).select(pl.len()).collect().item()
        for hub, embeddings in tables()
    )


def number_of_clusters(landmarks: int) -> int:
    """Return the whole number above sqrt(n / 2), at most MOST_CLUSTERS.

    Source of the rule of thumb: Mardia, Kent and Bibby, "Multivariate Analysis", 1979, section
    13.2.

    Example:
        >>> [number_of_clusters(n) for n in (0, 1, 15, 100, 5_000, 50_000)]
        [0, 1, 3, 8, 51, 159]
    """
    return min(MOST_CLUSTERS, landmarks, isqrt(landmarks // 2) + 1)


def fit_landmarks(drawn: pl.DataFrame, clusters: int | None = None) -> pl.DataFrame:
    """Lay landmarks out in two dimensions, and cluster them by the cosine of their vectors.

    The layout is that of PaCMAP (Wang et al., JMLR 22, 2021), the clusters are those of spherical
    k-means (Dhillon and Modha, Machine Learning 42, 2001).

    Args:
        drawn: Personas with a `vector`; see `draw_personas`.
        clusters: Number of clusters; None for that of `number_of_clusters`.

    Returns:
        Rows of LANDMARKS.
    """
    from persona_assets.dedup.index.vector_index import to_matrix

    matrix = to_matrix(drawn["vector"])
    wanted = number_of_clusters(len(drawn)) if clusters is None else min(clusters, len(drawn))
    places = _layout(matrix).round(4)
    return drawn.select("persona_id", "vector").with_columns(
        pl.Series("x", places[:, 0], pl.Float64),
        pl.Series("y", places[:, 1], pl.Float64),
        pl.Series("cluster", _clusters(matrix, wanted), pl.Int64),
    )


def _layout(matrix: "np.ndarray") -> "np.ndarray":
    import numpy as np

    # PaCMAP scales by the range of the values.
    if len(matrix) < LEAST_PACMAP or not np.ptp(matrix, axis=0).any():
        return _principal_components(matrix)
    from pacmap import PaCMAP

    # It logs its seed and each parameter as a warning.
    logging.getLogger("pacmap").setLevel(logging.ERROR)
    further = FURTHER if len(matrix) >= 1_000 else 2.0
    places: np.ndarray = PaCMAP(random_state=_SEED, FP_ratio=further).fit_transform(matrix)
    places = places.astype(np.float64)
    return places if np.isfinite(places).all() else _principal_components(matrix)


def _principal_components(matrix: "np.ndarray") -> "np.ndarray":
    """Return the first two principal components of rows, 0 where there are fewer."""
    import numpy as np

    places = np.zeros((len(matrix), 2))
    if len(matrix) > 1:
        centred = matrix.astype(np.float64) - matrix.mean(axis=0, dtype=np.float64)
        left, scales, _ = np.linalg.svd(centred, full_matrices=False)
        components = (left * scales)[:, :2]
        # The sign of a component is arbitrary: the value of largest size is positive.
        largest = np.abs(components).argmax(axis=0)
        signs = np.where(components[largest, range(components.shape[1])] < 0, -1.0, 1.0)
        places[:, : components.shape[1]] = components * signs
    return places


def _clusters(matrix: "np.ndarray", wanted: int) -> "np.ndarray":
    """Return the cluster of each row, numbered by size; no number is without rows."""
    import numpy as np

    if wanted < 2:
        return np.zeros(len(matrix), np.int64)
    import faiss

    kmeans = faiss.Kmeans(
        matrix.shape[1],
        wanted,
        niter=_ROUNDS,
        seed=_SEED,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=len(matrix),
    )
    kmeans.train(matrix)
    _, found = kmeans.index.search(matrix, 1)
    names, first, sizes = np.unique(found[:, 0], return_index=True, return_counts=True)
    number = np.empty(wanted, np.int64)
    number[names[np.lexsort((first, -sizes))]] = np.arange(len(names))
    renumbered: np.ndarray = number[found[:, 0]]
    return renumbered
