"""Add six tables to the catalog of a project: add_shards.py FOLDER NAME."""

import sys
from pathlib import Path

from persona_assets.catalog.catalog import Catalog
from persona_assets.storage.storage import Storage
from persona_assets_tests.sample_tables import TABLES, write

folder, name = sys.argv[1:]
storage = Storage(Path(folder))
for number in range(6):
    shard = f"{name}-{number}.txt"
    Catalog(storage, TABLES).add(*write(storage, "texts", shard, {shard: None}))
