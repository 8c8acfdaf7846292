"""A large project of tables without a run, for the benchmark of lineage."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from persona_assets.storage.footer import Footer, Upstream, data_version
from persona_assets.storage.step_result import StepResult, quarantine
from persona_assets.storage.storage import Storage
from persona_assets.tables import Table


def ids(kind: str, shard: int, count: int) -> list[str]:
    """Return `count` 128-bit ids as hexadecimal digits."""
    stream = hashlib.shake_128(f"{kind}/{shard}".encode()).hexdigest(16 * count)
    return [stream[start : start + 32] for start in range(0, 32 * count, 32)]


class LineageProject:
    """Tables of the assets from texts to trained models, by the project's own contracts.

    Args:
        storage: Where the tables are written.
        tables: Contract of each table, by asset.
        shards: Number of shards.
        personas: Number of personas of a shard, half of them from texts and half from these.
        samples: Number of problems of a shard, each with a solution.
    """

    def __init__(
        self,
        storage: Storage,
        tables: Mapping[str, Table],
        shards: int,
        personas: int,
        samples: int,
    ) -> None:
        self._storage = storage
        self._tables = tables
        self._shards = shards
        self._personas = personas
        self._samples = samples
        self._published: dict[tuple[str, str | None], Footer] = {}
        self._solved: list[str] = []
        self.example: dict[str, str] = {}
        """Ids of a text, a persona made from a persona, a problem and a dropped persona."""

    def write(self) -> Iterator[tuple[Path, Footer]]:
        """Write all tables, each after its upstream tables, and yield their paths and footers."""
        for number in range(self._shards):
            yield from self._write_shard(number, f"{number}.jsonl")
        yield from self._write_global()

    def _write_shard(self, number: int, shard: str) -> Iterator[tuple[Path, Footer]]:
        half = max(1, self._personas // 2)
        texts = ids("text", number, max(1, half // 2))
        first, second = ids("persona", number, half), ids("hop", number, half)
        problems = ids("problem", number, self._samples)
        solutions = ids("solution", number, self._samples)
        lost, kept = second[:1], [*first, *second[1:]]
        yield self._publish("raw_corpus", shard, texts)
        of_text = [texts[row // 2 % len(texts)] for row in range(half)]
        yield self._publish("text_personas", shard, first, of_text, "raw_corpus")
        yield self._publish("hop_1_personas", shard, second, first, "text_personas")
        upstream = ("text_personas", "hop_1_personas")
        both = [*first, *second]
        parents = [*of_text, *first]
        yield self._publish("persona_candidates", shard, both, parents, *upstream)
        yield self._publish(
            "lexical_survivors", shard, kept, None, "persona_candidates", dropped=lost
        )
        yield self._publish("persona_embeddings", shard, kept, None, "lexical_survivors")
        yield self._publish("persona_hub", shard, kept, None, "lexical_survivors")
        yield self._publish("persona_map", shard, kept, None, "persona_hub")
        makers = second[1 : self._samples + 1]
        yield self._publish("math_problems", shard, problems, makers, "persona_hub")
        yield self._publish("unique_math_problems", shard, problems, None, "math_problems")
        yield self._publish("math_solutions", shard, solutions, problems, "unique_math_problems")
        self._solved += problems
        self.example = {
            "text": texts[0],
            "persona": second[1],
            "problem": problems[0],
            "dropped": lost[0],
        }

    def _write_global(self) -> Iterator[tuple[Path, Footer]]:
        lost = [ids("hop", number, 1)[0] for number in range(self._shards)]
        survivors = [ids("persona", number, 1)[0] for number in range(self._shards)]
        pairs: dict[str, Any] = {
            "survivor_id": survivors,
            "similarity": [0.95] * len(lost),
            "stage": ["lexical"] * len(lost),
        }
        yield self._publish("lexical_duplicates", None, lost, None, "persona_candidates", **pairs)
        yield self._publish("semantic_duplicates", None, [], None, "lexical_survivors")
        yield self._publish("map_landmarks", None, survivors, None, "persona_hub")
        yield self._publish("duplicate_math_problems", None, [], None, "math_problems")
        yield self._publish("math_train", None, self._solved, None, "math_solutions")
        yield self._publish("fine_tuned_model", "100", ["0" * 64], None, "math_train")
        yield self._publish("math_accuracy", "100", ["100"], None, "fine_tuned_model")
        yield self._publish("scaling_curve", None, ["100"], None, "math_accuracy")

    def _publish(
        self,
        asset: str,
        shard: str | None,
        row_ids: list[str],
        parents: list[str] | None = None,
        *upstream: str,
        dropped: list[str] | None = None,
        **columns: Sequence[object],
    ) -> tuple[Path, Footer]:
        table = self._tables[asset]
        values: dict[str, Sequence[object]] = {table.row_id: row_ids, **columns}
        if table.parent and parents is not None:
            values[table.parent] = parents
        if table.text:
            values[table.text] = [f"A beekeeper of {row_id} who sings." for row_id in row_ids]
        if table.verdicts:
            values["kept"] = [True] * len(row_ids)
        given = pl.DataFrame({name: pl.Series(value) for name, value in values.items()})
        rows = given.select(
            (pl.col(name) if name in values else pl.lit(None)).cast(kind).alias(name)
            for name, kind in table.schema.items()
        )
        sources = [
            footer
            for (name, of), footer in self._published.items()
            if name in upstream and (shard is None or of in (shard, None))
        ]
        lost = quarantine(asset, [(row_id, "lexical_duplicate") for row_id in dropped or []])
        footer = Footer(
            asset=asset,
            shard=shard,
            run_id="run",
            code_version="1",
            data_version=data_version(rows),
            upstream=tuple(
                Upstream(asset=f.asset, shard=f.shard, data_version=f.data_version) for f in sources
            ),
            rows=len(rows),
            dropped={"lexical_duplicate": len(lost)} if len(lost) else {},
        )
        self._published[asset, shard] = footer
        return self._storage.write(StepResult(rows, lost), footer), footer
