"""Project of any size for benchmarks/explore.py: personas recombined from others, with all tables.

A persona is the first half of one text and the second half of another. Its vector is the mean of
both vectors with noise, and its place is near that of the first.
"""

import json
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from persona_assets.assets.graph import project_assets, table_contracts
from persona_assets.catalog.catalog import Catalog
from persona_assets.generation import CallRecord
from persona_assets.generation.journal.completion_row import CompletionRow, to_table
from persona_assets.ids import content_id
from persona_assets.project import Project
from persona_assets.settings import Settings
from persona_assets.steps.clusters import build_clusters
from persona_assets.steps.landmarks import LANDMARKS, fit_landmarks
from persona_assets.steps.persona_map import FIT_PERSONAS
from persona_assets.storage.footer import Footer, Upstream
from persona_assets.storage.step_result import StepResult, quarantine

SHARD_ROWS = 10_000
"""Number of personas of a shard."""

RELATIONS = ("reads", "writes", "colleague", "patient", "teacher", "neighbour", "rival")
LICENCES = ("CC0-1.0", "CC-BY-4.0", "ODC-By-1.0")
SOURCES = ("forum", "letters", "encyclopedia", "lectures")

Base = tuple[Sequence[str], np.ndarray]
"""Texts and their unit vectors."""


class MadeUpProject:
    """Writer of the tables of a project, shard by shard.

    Args:
        folder: Data folder.
        base: Texts that are recombined, and their vectors.
        shard_rows: Number of personas of a shard.
    """

    def __init__(self, folder: Path, base: Base, shard_rows: int = SHARD_ROWS) -> None:
        self.project = Project(Settings.load(profile="demo", data_dir=folder))
        self._texts, self._vectors = base
        self._shard_rows = shard_rows
        self._contracts = table_contracts(project_assets(self.project))
        self._footers: dict[tuple[str, str | None], Footer] = {}
        ids = [content_id("landmark", str(row)) for row in range(len(self._texts))]
        table = pl.DataFrame({"persona_id": ids, "vector": self._vectors.tolist()})
        self._landmarks = fit_landmarks(table.cast({"vector": pl.List(pl.Float32)}))
        halves = [text.split() for text in self._texts]
        self._first = [" ".join(words[: len(words) // 2]) for words in halves]
        self._second = [" ".join(words[len(words) // 2 :]) for words in halves]

    def write(self, rows: int) -> None:
        """Write all tables of a project of `rows` personas, and the catalog."""
        numbers = range(-(-rows // self._shard_rows))
        sizes = {
            f"{n:04}.jsonl": min(self._shard_rows, rows - n * self._shard_rows) for n in numbers
        }
        duplicates: list[pl.DataFrame] = []
        described: list[tuple[pl.DataFrame, pl.DataFrame]] = []
        for number, (shard, size) in enumerate(sizes.items()):
            survivors, hub, placed = self._write_shard(number, shard, size)
            duplicates.append(survivors)
            described.append((placed, hub))
        gone = pl.concat(duplicates)
        for stage, name in (("lexical", "lexical_duplicates"), ("semantic", "semantic_duplicates")):
            self._publish(name, None, gone.filter(pl.col("stage") == stage))
        fit = {FIT_PERSONAS: float(rows)}
        self._publish("map_landmarks", None, self._landmarks.match_to_schema(LANDMARKS), fit=fit)
        # The words of the first shards are those of all.
        self._publish("persona_clusters", None, build_clusters(described[:2]).rows)
        Catalog(self.project.storage, self._contracts).rebuild()

    def _write_shard(
        self, number: int, shard: str, size: int
    ) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        rng = np.random.default_rng(number)
        draw = random.Random(number)
        first, second = rng.integers(0, len(self._texts), (2, size)).tolist()
        texts = [f"{self._first[a]} {self._second[b]}" for a, b in zip(first, second, strict=True)]
        ids = [content_id(shard, str(row)) for row in range(size)]
        of_text = max(1, size // 4)
        text_ids = [content_id(shard, "text", str(row)) for row in range(max(1, size // 8))]
        source = SOURCES[number % len(SOURCES)]
        corpus = {
            "text_id": text_ids,
            "text": [f"{draw.choice(self._texts)} " * 20 for _ in text_ids],
            "source": source,
            "licence": LICENCES[number % len(LICENCES)],
            "language": "en",
        }
        self._publish("raw_corpus", shard, corpus, arrival=number + 1)
        personas = pl.DataFrame(
            {
                "persona_id": ids,
                "parent_id": [
                    draw.choice(text_ids) if row < of_text else ids[draw.randrange(of_text)]
                    for row in range(size)
                ],
                "persona": texts,
                "relation": [
                    draw.choice(RELATIONS[: 2 if r < of_text else 7]) for r in range(size)
                ],
                "hop": [0 if row < of_text else 1 for row in range(size)],
                "licence": LICENCES[number % len(LICENCES)],
                "source": source,
                "language": [draw.choices(("en", "de", "zh"), (95, 4, 1))[0] for _ in range(size)],
                "model": "writer",
                "completion_id": [content_id("call", row_id) for row_id in ids],
            }
        )
        fates = rng.choice(4, size, p=(0.8, 0.1, 0.07, 0.03))
        by_hop = {"text_personas": personas[:of_text], "hop_1_personas": personas[of_text:]}
        for asset, made in by_hop.items():
            self._publish(asset, shard, made.with_columns(perspective="relation"), ["raw_corpus"])
            self._pay(asset, shard, made)
        short = pl.when(pl.Series(fates) == 3).then(pl.lit("too_short"))
        judged = personas.with_columns(kept=pl.Series(fates != 3), reason=short)
        self._publish("persona_candidates", shard, judged, list(by_hop))
        lexical = personas.filter(pl.Series((fates == 0) | (fates == 2)))
        reasons = {1: "lexical_duplicate", 3: "quality:too_short"}
        dropped = [(ids[row], reasons[fates[row]]) for row in np.flatnonzero(fates % 2)]
        upstream = ["persona_candidates", "lexical_duplicates"]
        self._publish("lexical_survivors", shard, lexical, upstream, dropped)
        hub = personas.filter(pl.Series(fates == 0))
        dropped = [(ids[row], "semantic_duplicate") for row in np.flatnonzero(fates == 2)]
        self._publish(
            "persona_hub", shard, hub, ["lexical_survivors", "semantic_duplicates"], dropped
        )
        mean = self._vectors[first] + self._vectors[second]
        mean += rng.normal(0, 0.02, mean.shape).astype(np.float32)
        mean /= np.linalg.norm(mean, axis=1, keepdims=True)
        has_vector = (fates == 0) | (fates == 2)
        vectors = {
            "persona_id": lexical["persona_id"],
            "vector": pl.Series(mean[has_vector]).arr.to_list(),
            "script": "Latin",
            "confusion": 0.2,
        }
        self._publish("persona_embeddings", shard, vectors, ["lexical_survivors"])
        xy = self._landmarks.select("x", "y").to_numpy()[np.array(first)[fates == 0]]
        spread = xy + rng.normal(0, 0.01 * np.ptp(xy), xy.shape)
        cluster = self._landmarks["cluster"].to_numpy()[np.array(first)[fates == 0]]
        placed = pl.DataFrame(
            {
                "persona_id": hub["persona_id"],
                "x": spread[:, 0],
                "y": spread[:, 1],
                "cluster": cluster,
                "cosine": 0.5,
            }
        )
        self._publish("persona_map", shard, placed, ["persona_hub", "persona_embeddings"])
        self._write_samples(shard, hub)
        kept = np.flatnonzero(fates == 0)
        gone = np.flatnonzero((fates == 1) | (fates == 2)).tolist() if len(kept) else []
        duplicates = pl.DataFrame(
            {
                "persona_id": [ids[row] for row in gone],
                "survivor_id": [ids[kept[row % len(kept)]] for row in gone],
                "similarity": [0.9 + 0.1 * draw.random() for _ in gone],
                "stage": ["lexical" if fates[row] == 1 else "semantic" for row in gone],
            },
            schema_overrides={"similarity": pl.Float64},
        )
        return duplicates, hub, placed

    def _write_samples(self, shard: str, hub: pl.DataFrame) -> None:
        """Write a sample for a persona in twenty, of which a few repeat another."""
        of_hub = hub.gather_every(20)
        samples = of_hub.select(
            pl.col("persona_id", "licence", "source", "language", "model"),
            sample_id=pl.col("persona_id").map_elements(
                lambda row_id: content_id("sample", row_id), pl.String
            ),
            name=pl.format("Planner for {}", "persona"),
            completion_id=pl.format("call-{}", "persona_id"),
        )
        self._publish("tools", shard, samples, ["persona_hub"])
        self._pay("tools", shard, samples)
        dropped = [(row_id, "lexical_duplicate") for row_id in samples["sample_id"][::10]]
        unique = samples.filter(~pl.col("sample_id").is_in([row_id for row_id, _ in dropped]))
        self._publish("unique_tools", shard, unique, ["tools"], dropped)

    def _publish(
        self,
        asset: str,
        shard: str | None,
        rows: pl.DataFrame | Mapping[str, Any],
        upstream: Sequence[str] = (),
        dropped: Sequence[tuple[str, str]] = (),
        arrival: int | None = None,
        fit: Mapping[str, float] | None = None,
    ) -> None:
        """Write a table by its contract; columns that are not given are null."""
        schema = self._contracts[asset].schema
        frame = pl.DataFrame(rows)
        table = frame.select(name for name in schema if name in frame.columns).match_to_schema(
            schema, missing_columns="insert", integer_cast="upcast", float_cast="upcast"
        )
        result = StepResult(table, quarantine(asset, dropped))
        footer = Footer(
            asset=asset,
            shard=shard,
            run_id="benchmark",
            code_version="1",
            data_version=content_id(asset, shard or "", str(len(table))),
            upstream=tuple(self._upstream(name, shard) for name in upstream),
            rows=len(table),
            dropped=result.reasons(),
            arrival=arrival,
            decisions=dict(fit or {}),
        )
        self.project.storage.write(result, footer)

    def _upstream(self, asset: str, shard: str | None) -> Upstream:
        by_shard = not asset.endswith("_duplicates")
        return Upstream(asset=asset, shard=shard if by_shard else None, data_version="1")

    def _pay(self, asset: str, shard: str, rows: pl.DataFrame) -> None:
        """Write the completions of rows, all with the same response."""
        import pyarrow.parquet as pq

        answer = {"choices": [{"message": {"content": "An answer of a model. " * 20}}]}
        record = CallRecord("", 200, answer, model="writer", cost=Decimal("0.00012"))
        row = CompletionRow.from_record(record, b"")
        path = self.project.storage.completions(asset, shard)
        path.parent.mkdir(parents=True, exist_ok=True)
        keys = rows["completion_id"].to_list()
        pq.write_table(to_table([row._replace(key=key, id=key) for key in keys] or [row]), path)


def read_base(path: Path, field: str, limit: int | None = None) -> Base:
    """Return texts of JSON lines and their vectors by the embedded model, which reads them all."""
    from persona_assets.local_models.embedder import MINILM, LocalEmbedder

    with path.open(encoding="utf-8") as lines:
        texts = list(dict.fromkeys(json.loads(line)[field] for line in lines))[:limit]
    vectors = LocalEmbedder(MINILM, "int8").embed(texts)
    read = np.flatnonzero(vectors.any(axis=1))
    return [texts[row] for row in read], vectors[read]


def made_up_base(number: int, dimensions: int = 384) -> Base:
    """Return sentences of made-up words, and random unit vectors."""
    draw, rng = random.Random(0), np.random.default_rng(0)
    words = ["".join(draw.choices("aeioulmnrst", k=draw.randint(3, 9))) for _ in range(2_000)]
    texts = [f"A {' '.join(draw.choices(words, k=12))}." for _ in range(number)]
    vectors = rng.normal(size=(number, dimensions)).astype(np.float32)
    return texts, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
