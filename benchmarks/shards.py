"""The asset `lexical_duplicates` over many shards, and what one more shard costs.

    python benchmarks/shards.py --shards 200 --rows 5000 --personas personahub_tool.jsonl

Each run of the asset is a process of its own over the same project. One JSON object a run:

    run        full (all shards), again (nothing new), one_more (with one shard more)
    load_cpu_s of the kernels, which are compiled already, into the process
    join_cpu_s of the join: new shards are read and joined, what is remembered is written
    join_share of that, over that of `full`
    step_cpu_s from the join's start to the table, its picture and its place in the catalog
    rss_mb     most memory of the process, rss_before_mb of it before the join
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
from peers.compare import CACHE

from persona_assets.ids import content_id
from persona_assets.steps.personas import CANDIDATES
from persona_assets.storage.footer import Footer, data_version
from persona_assets.storage.step_result import StepResult, typed_frame
from persona_assets.storage.storage import Storage

LICENCE = "CC0-1.0"


def write(storage: Storage, number: int, personas: list[str]) -> None:
    """Tables of one shard: its place in the order of arrival, and its candidates."""
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
    """Joins two small shards, one after the other, elsewhere: no kernel is new afterwards."""
    import dagster as dg

    from persona_assets.resources.deduplicator import Deduplicator
    from persona_assets.settings import Settings

    with tempfile.TemporaryDirectory() as name:
        storage = Storage(Path(name))
        deduplicator = Deduplicator(Settings.load(data_dir=Path(name)), storage)
        for number in range(2):
            ones = [row % 40 + number for row in range(99)]
            personas = [f"A persona of many words, of which one is {one}" for one in ones]
            write(storage, number, personas)
            tables = storage.shard_tables("persona_candidates", storage.shards("raw_corpus"))
            with deduplicator.lexical(tables, dg.build_asset_context()):
                pass


def materialize(folder: Path) -> dict[str, Any]:
    """Runs the asset over the shards in a project's folder, in this process."""
    import dagster as dg

    from persona_assets.definitions import build_defs
    from persona_assets.resources.deduplicator import Deduplicator, DuplicateJoin
    from persona_assets.settings import Settings

    took: dict[str, float] = {"load": time.process_time()}
    load()
    took["load"] = time.process_time() - took["load"]

    class Clocked(Deduplicator):
        @contextmanager
        def lexical(self, *args: Any) -> Iterator[DuplicateJoin]:
            took["rss"], took["cpu"], took["wall"] = (
                peak(),
                time.process_time(),
                time.perf_counter(),
            )
            with super().lexical(*args) as joined:
                took["join"] = time.process_time() - took["cpu"]
                yield joined

    settings = Settings.load(data_dir=folder, dedup_threads=1)
    storage = Storage(folder)
    defs = build_defs(settings, deduplicator=Clocked(settings, storage))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("shards", storage.shards("raw_corpus"))
        job = defs.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection={dg.AssetKey("lexical_duplicates")}, asset_check_selection=set()
        )
        done = job.execute_in_process(instance=instance)
    cpu, wall = time.process_time() - took["cpu"], time.perf_counter() - took["wall"]
    assert done.success
    gone = storage.scan("lexical_duplicates", None).select(pl.len()).collect().item()
    return {
        "load_cpu_s": round(took["load"], 3),
        "join_cpu_s": round(took["join"], 3),
        "step_cpu_s": round(cpu, 3),
        "step_wall_s": round(wall, 3),
        "rss_mb": round(peak()),
        "rss_before_mb": round(took["rss"]),
        "duplicates": gone,
    }


def peak() -> float:
    """Most memory of this process so far, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def child(run: str, folder: Path) -> dict[str, Any]:
    """One run of the asset in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--materialize", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-4000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"run": run, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=200)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--personas", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--materialize", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.materialize:
        print(json.dumps(materialize(args.materialize)))
        return
    count = (args.shards + 1) * args.rows
    with pa.memory_map(str(dataset(count, args.seed, args.personas, CACHE))) as file:
        texts = pa.ipc.open_file(file).read_all().column(0).to_pylist()
    with tempfile.TemporaryDirectory() as name:
        storage = Storage(Path(name))
        load()
        shards = [texts[at : at + args.rows] for at in range(0, count, args.rows)]
        for number, personas in enumerate(shards[:-1]):
            write(storage, number, personas)
        full = child("full", storage.data_dir)
        again = child("again", storage.data_dir)
        write(storage, args.shards, shards[-1])
        for found in (full, again, child("one_more", storage.data_dir)):
            share = round(found["join_cpu_s"] / full["join_cpu_s"], 4)
            print(json.dumps({**found, "shards": args.shards, "join_share": share}))


if __name__ == "__main__":
    main()
