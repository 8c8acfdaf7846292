"""Cost of the asset `lexical_duplicates` over many shards, and of an additional shard.

    python benchmarks/shards.py --shards 200 --rows 5000 --personas personahub_tool.jsonl

Each run of the asset is a process of its own over the same project. Prints a JSON object per run:
`full` joins all shards, `again` has nothing new, `one_more` has an additional shard.

Figures:
    run: full, again or one_more.
    shards: Number of shards in `full`.
    load_cpu_s: CPU seconds to load the compiled kernels into the process.
    join_cpu_s: CPU seconds of the join: read and join new shards, write the index.
    join_share: join_cpu_s over that of `full`.
    step_cpu_s, step_wall_s: Seconds from the start of the join until the table, its picture and its
        entry in the catalog are written.
    rss_mb, rss_before_mb: Peak memory of the process, and its peak before the join, in MB.
    duplicates: Number of rows in the table.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from dedup_data import dataset
from figures import print_figures
from peers.environments import CACHE

from persona_assets.ids import content_id
from persona_assets.steps.personas import CANDIDATES
from persona_assets.storage.footer import Footer, data_version
from persona_assets.storage.step_result import StepResult, typed_frame
from persona_assets.storage.storage import Storage

LICENCE = "CC0-1.0"


def write(storage: Storage, number: int, personas: list[str]) -> None:
    """Write the two tables of a shard: `raw_corpus`, with its arrival, and `persona_candidates`."""
    rows = pl.DataFrame(
        {
            "persona_id": [content_id(str(number), str(row)) for row in range(len(personas))],
            "persona": personas,
        }
    )
    filled = typed_frame([], CANDIDATES).match_to_schema(CANDIDATES)
    rows = pl.concat([filled, rows], how="diagonal").with_columns(
        kept=pl.lit(True), licence=pl.lit(LICENCE), hop=pl.lit(0, pl.Int64())
    )
    corpus = pl.DataFrame({"text_id": [str(number)]})
    for asset, table in (("raw_corpus", corpus), ("persona_candidates", rows)):
        footer = Footer(
            asset=asset,
            shard=f"{number}.jsonl",
            run_id="",
            code_version="",
            data_version=data_version(table),
            rows=len(table),
            arrival=number + 1,
        )
        storage.write(StepResult(table), footer)


def load() -> None:
    """Load all kernels: join two small shards in turn, in a project of their own."""
    import dagster as dg

    from persona_assets.resources.deduplicator import Deduplicator
    from persona_assets.settings import Settings

    with tempfile.TemporaryDirectory() as name:
        storage = Storage(Path(name))
        deduplicator = Deduplicator(Settings.load(data_dir=Path(name)), storage)
        for number in range(2):
            varied = [row % 40 + number for row in range(99)]
            personas = [f"A persona of several words that ends with {word}" for word in varied]
            write(storage, number, personas)
            tables = storage.shard_tables("persona_candidates", storage.shards("raw_corpus"))
            with deduplicator.lexical(tables, dg.build_asset_context()):
                pass


def materialize(folder: Path) -> dict[str, Any]:
    """Materialize the asset over the shards of a project, in this process."""
    import dagster as dg

    from persona_assets.definitions import build_defs
    from persona_assets.resources.deduplicator import Deduplicator, DuplicateJoin
    from persona_assets.settings import Settings

    start = time.process_time()
    load()
    marks: dict[str, float] = {"load": time.process_time() - start}

    class Clocked(Deduplicator):
        @contextmanager
        def lexical(self, *args: Any) -> Iterator[DuplicateJoin]:
            marks["rss"] = peak_mb()
            marks["cpu"], marks["wall"] = time.process_time(), time.perf_counter()
            with super().lexical(*args) as joined:
                marks["join"] = time.process_time() - marks["cpu"]
                yield joined

    settings = Settings.load(data_dir=folder, dedup_threads=1)
    storage = Storage(folder)
    defs = build_defs(settings, deduplicator=Clocked(settings, storage))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("shards", storage.shards("raw_corpus"))
        job = defs.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection={dg.AssetKey("lexical_duplicates")}, asset_check_selection=set()
        )
        run = job.execute_in_process(instance=instance)
    cpu, wall = time.process_time() - marks["cpu"], time.perf_counter() - marks["wall"]
    assert run.success
    duplicates = storage.scan("lexical_duplicates", None).select(pl.len()).collect().item()
    return {
        "load_cpu_s": round(marks["load"], 3),
        "join_cpu_s": round(marks["join"], 3),
        "step_cpu_s": round(cpu, 3),
        "step_wall_s": round(wall, 3),
        "rss_mb": round(peak_mb()),
        "rss_before_mb": round(marks["rss"]),
        "duplicates": duplicates,
    }


def peak_mb() -> float:
    """Return the peak memory of this process so far, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def child(run: str, folder: Path) -> dict[str, Any]:
    """Materialize the asset in a process of its own and return its figures."""
    process = subprocess.run(
        [sys.executable, __file__, "--materialize", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise SystemExit(process.stderr[-4000:])
    figures: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return {"run": run, **figures}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=int, default=200)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--personas", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--materialize", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.materialize:
        print_figures(materialize(options.materialize))
        return
    count = (options.shards + 1) * options.rows
    with pa.memory_map(str(dataset(count, options.seed, options.personas, CACHE))) as file:
        texts = pa.ipc.open_file(file).read_all().column(0).to_pylist()
    with tempfile.TemporaryDirectory() as name:
        storage = Storage(Path(name))
        load()
        shards = [texts[start : start + options.rows] for start in range(0, count, options.rows)]
        for number, personas in enumerate(shards[:-1]):
            write(storage, number, personas)
        full = child("full", storage.data_dir)
        again = child("again", storage.data_dir)
        write(storage, options.shards, shards[-1])
        for figures in (full, again, child("one_more", storage.data_dir)):
            share = figures["join_cpu_s"] / full["join_cpu_s"]
            print_figures({**figures, "shards": options.shards, "join_share": share}, digits=4)


if __name__ == "__main__":
    main()
