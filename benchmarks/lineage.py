"""CPU time of the lineage index: building it, adding a table, and following rows.

    python benchmarks/lineage.py --shards 100 --personas 10000

Writes a project with the contracts of the real assets, and prints JSON objects.

Figures:
    tables, entries: Number of tables, and of entries of the index.
    rebuild_cpu_s: CPU seconds to build the catalog with its index from the tables.
    index_mb: Size of the index.
    add_cpu_ms: CPU ms to add a table of one shard again with other rows, median of 5.
    call: A method of `Catalog`, or an SQL macro in one connection.
    p50_ms, p95_ms: CPU ms of the call in a warm process.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import polars as pl
from figures import print_figures
from lineage_project import LineageProject

from persona_assets.assets.graph import load_assets, table_contracts
from persona_assets.catalog.catalog import Catalog
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.storage.storage import Storage

PROMPTS = Path(__file__).parents[1] / "prompts"


def cpu_ms(call: Callable[[], object]) -> float:
    """Return the CPU ms of a call."""
    start = time.process_time()
    call()
    return (time.process_time() - start) * 1000


def print_times(name: str, call: Callable[[], object], calls: int) -> None:
    """Print the times of a call, after a first that is not counted."""
    call()
    times = sorted(cpu_ms(call) for _ in range(calls))
    p50, p95 = statistics.median(times), times[int(0.95 * len(times))]
    print_figures({"call": name, "p50_ms": p50, "p95_ms": p95}, 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=int, default=100)
    parser.add_argument("--personas", type=int, default=10_000, help="personas of a shard")
    parser.add_argument("--samples", type=int, default=10, help="problems of a shard")
    parser.add_argument("--calls", type=int, default=20)
    options = parser.parse_args()
    tables = table_contracts(load_assets(Prompts(PROMPTS)))
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(Path(folder))
        sizes = (options.shards, options.personas, options.samples)
        project = LineageProject(storage, tables, *sizes)
        written = list(project.write())
        catalog = Catalog(storage, tables)
        rebuild = cpu_ms(catalog.rebuild) / 1000
        entries = catalog.query("SELECT sum(entries)::BIGINT AS n FROM lineage_tables")["n"].item()
        files = (Path(folder) / "lineage").rglob("*.parquet")
        path, footer = next(it for it in written if it[1].asset == "persona_hub")
        runs = [footer.model_copy(update={"run_id": f"run {number}"}) for number in range(5)]
        print_figures(
            {
                "tables": len(written),
                "entries": entries,
                "rebuild_cpu_s": rebuild,
                "index_mb": sum(file.stat().st_size for file in files) / 1e6,
                "add_cpu_ms": statistics.median(
                    cpu_ms(partial(catalog.add, path, run)) for run in runs
                ),
            },
            1,
        )
        catalog.add(path, footer)
        examples = {
            "trace": project.example["problem"],
            "affected_by": project.example["text"],
            "why": project.example["dropped"],
        }
        for name, row_id in examples.items():
            print_times(f"Catalog.{name}", partial(getattr(catalog, name), row_id), options.calls)
        with duckdb.connect(catalog.path, read_only=True) as connection:

            def ask(query: str) -> pl.DataFrame:
                rows: pl.DataFrame = connection.sql(query).pl()
                return rows

            for name, row_id in examples.items():
                print_times(name, partial(ask, f"FROM {name}('{row_id}')"), options.calls)


if __name__ == "__main__":
    main()
