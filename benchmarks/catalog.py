"""The catalog over many tables: CPU seconds to make it anew and to add one table.

    python benchmarks/catalog.py --shards 2000

Prints one JSON object. Tables are small; what is measured is the number of footers.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import polars as pl

from persona_assets.footer import Footer, data_version
from persona_assets.outcome import Outcome
from persona_assets.resources.catalog import Catalog
from persona_assets.resources.storage import Storage
from persona_assets.tables import Table

SCHEMA = pl.Schema({"text_id": pl.String(), "text": pl.String()})
TABLES = {"raw_corpus": Table(SCHEMA, "text_id", makes=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=2000)
    shards = parser.parse_args().shards
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(Path(folder))
        path, footer = Path(), Footer.model_construct()
        for number in range(shards):
            rows = pl.DataFrame({"text_id": [f"{number:032x}"], "text": ["words"]}, schema=SCHEMA)
            footer = Footer(
                asset="raw_corpus",
                shard=f"{number}.jsonl",
                run_id="",
                code_version="1",
                data_version=data_version(rows),
            )
            path = storage.write(Outcome(rows), footer)
        catalog = Catalog(storage, TABLES)
        start = time.process_time()
        catalog.rebuild()
        rebuilt = time.process_time()
        catalog.add(path, footer)
        added = time.process_time()
    print(
        json.dumps(
            {
                "tables": shards,
                "rebuild_cpu_s": round(rebuilt - start, 2),
                "add_cpu_s": round(added - rebuilt, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
