"""Partition sets; their keys come from corpus files and from the settings.

A shard whose file is deleted keeps its key and becomes an empty table (a tombstone): the order of
arrival, which decides the survivor of a duplicate pair, never changes. A training that the settings
name no longer loses its key and keeps its tables.
"""

import dagster as dg

shards = dg.DynamicPartitionsDefinition(name="shards")
"""Corpus files by path relative to the corpus root, extension included."""

training_sizes = dg.DynamicPartitionsDefinition(name="training_sizes")
"""Trainings by size and seed, from `training_sizes` and `training_seeds`; see `TrainingRun.key`."""
