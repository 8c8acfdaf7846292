"""Tables on disk: Parquet files with lineage in their footers, quarantine, shard keys.

Belongs here: paths, footers, atomic writes. The SQL view of the same files is `catalog`.
"""
