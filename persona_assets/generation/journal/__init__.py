"""Answers on disk: the journal of a running table, the Parquet file it is compacted into."""
