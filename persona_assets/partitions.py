"""Partition sets; their keys come from corpus files and from the settings, and are never removed.

A shard whose file is deleted keeps its key and becomes an empty table (a tombstone): the order of
arrival, which decides the survivor of a duplicate pair, never changes.
"""

import dagster as dg

shards = dg.DynamicPartitionsDefinition(name="shards")
"""Corpus files by path relative to the corpus root, extension included."""

training_sizes = dg.DynamicPartitionsDefinition(name="training_sizes")
"""Numbers of training problems from the setting `training_sizes`, in decimal."""
