"""The catalog over many tables: CPU seconds to make it anew and to add one table.

    python benchmarks/catalog.py --shards 2000

Prints one JSON object. Tables are small; what is measured is the number of footers: two for each
shard, the second made from the first, and one that was made from all shards.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from persona_assets.catalog.catalog import Catalog
from persona_assets.storage.footer import Footer, Upstream, data_version
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import Storage
from persona_assets.tables import Table

SCHEMA = pl.Schema({"text_id": pl.String(), "text": pl.String()})
TABLES = {
    "raw_corpus": Table(SCHEMA, "text_id", makes=True),
    "kept": Table(SCHEMA, "text_id"),
    "repeated": Table(SCHEMA, "text_id"),
}


def write(
    storage: Storage, asset: str, number: int | None, upstream: Sequence[Footer] = ()
) -> tuple[Path, Footer]:
    """A table of one row, made from others."""
    rows = pl.DataFrame({"text_id": [f"{number or 0:032x}"], "text": ["words"]}, schema=SCHEMA)
    footer = Footer(
        asset=asset,
        shard=None if number is None else f"{number}.jsonl",
        run_id="",
        code_version="1",
        data_version=data_version(rows),
        upstream=tuple(
            Upstream(asset=it.asset, shard=it.shard, data_version=it.data_version)
            for it in upstream
        ),
        rows=1,
    )
    return storage.write(StepResult(rows), footer), footer


def added(catalog: Catalog, path: Path, footer: Footer) -> float:
    """CPU seconds of adding one table: the median of five times."""
    took: list[float] = []
    for _ in range(5):
        start = time.process_time()
        catalog.add(path, footer)
        took.append(time.process_time() - start)
    return round(statistics.median(took), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=2000)
    shards = parser.parse_args().shards
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(Path(folder))
        kept: list[tuple[Path, Footer]] = []
        for number in range(shards):
            _, text = write(storage, "raw_corpus", number)
            kept.append(write(storage, "kept", number, [text]))
        repeated = write(storage, "repeated", None, [footer for _, footer in kept])
        catalog = Catalog(storage, TABLES)
        start = time.process_time()
        tables = catalog.rebuild()
        rebuilt = time.process_time() - start
        size = catalog.path.stat().st_size
        print(
            json.dumps(
                {
                    "tables": tables,
                    "file_mb": round(size / 1e6, 1),
                    "rebuild_cpu_s": round(rebuilt, 2),
                    "add_cpu_s": added(catalog, *kept[-1]),
                    "add_made_from_all_cpu_s": added(catalog, *repeated),
                }
            )
        )


if __name__ == "__main__":
    main()
