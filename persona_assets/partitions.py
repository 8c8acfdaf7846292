"""Partition sets. Keys are added as corpus files appear and from the settings; none is ever
removed.

A shard whose file is deleted keeps its key and becomes an empty table (a tombstone), so that the
order of arrival, which decides who survives a duplicate pair, never changes.
"""

import dagster as dg

shards = dg.DynamicPartitionsDefinition(name="shards")
"""One key per corpus file: its path relative to the corpus root, extension included."""

training_sizes = dg.DynamicPartitionsDefinition(name="training_sizes")
"""One key per entry of the setting `training_sizes`: the number of training problems, in decimal.
"""
