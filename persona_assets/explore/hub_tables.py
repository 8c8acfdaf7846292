"""The tables behind a hub: personas, verdicts, places, vectors and duplicates, shard by shard."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from persona_assets.explore.hub import FACETS, KEPT, UNDECIDED, Duplicates, Facet, Hub
from persona_assets.explore.meaning_index import MeaningIndex
from persona_assets.explore.word_index import WordIndex
from persona_assets.project import Project
from persona_assets.steps.clusters import CLUSTERS
from persona_assets.steps.persona_map import FIT_PERSONAS, growth
from persona_assets.storage.storage import Storage

PERSONAS = "persona_candidates"
"""Asset whose rows are searched: all personas, with those that did not get into the hub."""

MADE_FROM = (
    PERSONAS,
    "lexical_survivors",
    "persona_hub",
    "persona_embeddings",
    "persona_map",
    "lexical_duplicates",
    "semantic_duplicates",
    "persona_clusters",
    "map_landmarks",
)
"""Assets that are read at the start."""

_READ = ["persona_id", "persona", "hop", "relation", "language", "licence", "source"]
_DUPLICATES = {"lexical_duplicates": "words", "semantic_duplicates": "meaning"}


def tables_version(storage: Storage) -> tuple[int, ...]:
    """Return a number per table that is read at the start, which changes with the table."""
    root = storage.data_dir / "tables"
    return tuple(
        _modified(path) for name in MADE_FROM for path in (root / name, root / f"{name}.parquet")
    )


def load_hub(project: Project) -> Hub:
    """Read the personas of a project.

    Raises:
        ValueError: A table is damaged.
    """
    storage = project.storage
    version = tables_version(storage)
    threshold = project.settings.semantic_threshold
    frames = [pl.DataFrame(schema=_PERSONAS)]
    meaning = MeaningIndex()
    first = 0
    for shard in storage.shards(PERSONAS):
        frame = _read_shard(storage, shard)
        meaning.add(frame["persona_id"], _vectors(storage, shard, threshold), first)
        frames.append(frame)
        first += len(frame)
    rows = pl.concat(frames).rechunk()
    clusters = _one_table(storage, "persona_clusters", CLUSTERS)
    return Hub(
        ids=rows["persona_id"],
        texts=rows["persona"],
        facets={name: _facet(rows[name]) for name in FACETS},
        places=rows.select("x", "y").to_numpy(),
        words=WordIndex(rows["persona"]),
        meaning=meaning.finished(len(rows)),
        duplicates=_duplicates(storage, rows["persona_id"]),
        clusters=clusters,
        notes=tuple(_map_notes(storage, rows, meaning)),
        version=version,
    )


_PERSONAS = pl.Schema(
    {
        **{name: pl.String() for name in _READ},
        "shard": pl.String(),
        "verdict": pl.String(),
        "x": pl.Float32(),
        "y": pl.Float32(),
        "cluster": pl.String(),
    }
)


def _read_shard(storage: Storage, shard: str) -> pl.DataFrame:
    """Return the personas of a shard with verdict and place."""
    rows = storage.scan(PERSONAS, shard).select(_READ).collect()
    dropped = [
        storage.quarantine(asset, shard).select(persona_id="id", dropped="reason")
        for asset in ("persona_hub", "lexical_survivors")
    ]
    reasons = pl.concat(dropped).unique("persona_id", keep="first")
    kept = _ids(storage, "persona_hub", shard).with_columns(kept=pl.lit(KEPT))
    placed = pl.DataFrame(schema={"persona_id": pl.String, "x": float, "y": float, "cluster": int})
    if storage.footer("persona_map", shard) is not None:
        placed = storage.scan("persona_map", shard).select(placed.columns).collect()
    for table in (reasons, kept, placed):
        rows = rows.join(table, on="persona_id", how="left", maintain_order="left")
    verdict = pl.coalesce("kept", "dropped", pl.lit(UNDECIDED))
    return rows.select(
        *_READ[:2],
        pl.col("hop").cast(pl.String),
        *_READ[3:],
        pl.lit(shard).alias("shard"),
        verdict.alias("verdict"),
        pl.col("x", "y").cast(pl.Float32),
        pl.col("cluster").cast(pl.String),
    )


def _ids(storage: Storage, asset: str, shard: str) -> pl.DataFrame:
    if storage.footer(asset, shard) is None:
        return pl.DataFrame(schema={"persona_id": pl.String})
    return storage.scan(asset, shard).select("persona_id").collect()


def _vectors(storage: Storage, shard: str, threshold: float) -> pl.DataFrame:
    """Return the vectors of a shard that have a meaning; see `landmarks.readable`."""
    if storage.footer("persona_embeddings", shard) is None:
        return pl.DataFrame(schema={"persona_id": pl.String, "vector": pl.List(pl.Float32)})
    is_unread = (pl.col("confusion") >= threshold).fill_null(value=False)
    rows = storage.scan("persona_embeddings", shard).filter(~is_unread)
    return rows.select("persona_id", "vector").collect()


def _one_table(storage: Storage, asset: str, schema: pl.Schema) -> pl.DataFrame:
    """Return an unpartitioned table; an empty one if it does not exist."""
    if storage.footer(asset, None) is None:
        return pl.DataFrame(schema=schema)
    return storage.scan(asset, None).collect()


def _facet(values: pl.Series) -> Facet:
    filled = values.fill_null("")
    different = filled.unique().sort()
    codes = filled.cast(pl.Enum(different)).to_physical().to_numpy()
    return Facet(codes.astype(np.min_scalar_type(len(different))), different.to_list())


def _duplicates(storage: Storage, ids: pl.Series) -> Duplicates:
    """Return the duplicates of both stages whose survivor is there, most similar first."""
    schema = {"persona_id": pl.String, "survivor_id": pl.String, "similarity": float}
    found = pl.concat(
        _one_table(storage, asset, pl.Schema(schema))
        .select(*schema)
        .with_columns(stage=pl.lit(stage))
        for asset, stage in _DUPLICATES.items()
    )
    if found.is_empty():
        nothing = np.empty(0, np.int64)
        return Duplicates(nothing, nothing, np.empty(0), [])
    numbered = ids.to_frame().with_row_index("row")
    found = (
        found.join(numbered, on="persona_id")
        .join(numbered.rename({"persona_id": "survivor_id"}), on="survivor_id", suffix="_survivor")
        .sort("similarity", descending=True)
    )
    return Duplicates(
        found["row"].to_numpy(),
        found["row_survivor"].to_numpy(),
        found["similarity"].to_numpy(),
        found["stage"].to_list(),
    )


def _map_notes(storage: Storage, rows: pl.DataFrame, meaning: MeaningIndex) -> Iterator[str]:
    fit = storage.footer("map_landmarks", None)
    if fit is None:
        yield "There is no map yet: materialize persona_map and persona_clusters."
        return
    in_hub = rows["verdict"] == KEPT
    on_map = rows["x"].is_not_null()
    if left_off := int((in_hub & ~on_map).sum()):
        yield (
            f"{left_off:,} of {int(in_hub.sum()):,} personas of the hub have no place: the "
            "embedding model cannot read them, or they came after the map."
        )
    if FIT_PERSONAS in fit.decisions:
        readable = int((in_hub.to_numpy() & meaning.has_vector(len(rows))).sum())
        advice = str(growth(fit.decisions, {FIT_PERSONAS: readable})["advice"])
        if advice.startswith("refit"):
            yield f"{advice[0].upper()}{advice[1:]}. Start again with --refit to do so."


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
