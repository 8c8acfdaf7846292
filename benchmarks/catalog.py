"""CPU time to rebuild a catalog of many tables and to add a table.

    python benchmarks/catalog.py --shards 2000

Prints a JSON object. The catalog reads footers, so tables have a single row: for each shard a
table and a second table derived from the first, and a table derived from all shards.

Figures:
    tables: Number of tables in the catalog.
    file_mb: Size of the catalog's file.
    rebuild_cpu_s: CPU seconds to build the catalog from all footers.
    add_cpu_s: CPU seconds to add a table of one shard, median of 5.
    add_made_from_all_cpu_s: CPU seconds to add the table derived from all shards, median of 5.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from figures import print_figures

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
    """Write a table with a single row, derived from other tables.

    Args:
        number: Number of the shard. None for an unpartitioned table.
        upstream: Footers of the tables from which the table was derived.
    """
    rows = pl.DataFrame({"text_id": [f"{number or 0:032x}"], "text": ["words"]}, schema=SCHEMA)
    footer = Footer(
        asset=asset,
        shard=None if number is None else f"{number}.jsonl",
        run_id="",
        code_version="1",
        data_version=data_version(rows),
        upstream=tuple(
            Upstream(asset=source.asset, shard=source.shard, data_version=source.data_version)
            for source in upstream
        ),
        rows=1,
    )
    return storage.write(StepResult(rows), footer), footer


def add_cpu_s(catalog: Catalog, path: Path, footer: Footer) -> float:
    """Measure the CPU seconds to add a table, median of 5."""
    seconds: list[float] = []
    for _ in range(5):
        start = time.process_time()
        catalog.add(path, footer)
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
        seconds = time.process_time() - start
        print_figures(
            {
                "tables": tables,
                "file_mb": round(catalog.path.stat().st_size / 1e6, 1),
                "rebuild_cpu_s": round(seconds, 2),
                "add_cpu_s": add_cpu_s(catalog, *kept[-1]),
                "add_made_from_all_cpu_s": add_cpu_s(catalog, *repeated),
            }
        )


if __name__ == "__main__":
    main()
