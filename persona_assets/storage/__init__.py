"""Tables on disk: Parquet files with lineage in their footers, quarantine, shard keys.

Belongs here: paths, footers, atomic writes. Does not belong here: SQL over the same files, see
`catalog`.
"""
