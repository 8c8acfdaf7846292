"""The asset graph: one module per group, in the order in which rows flow through them.

An asset is a function of 5 to 20 lines: load the inputs, call one step, return the rows with
metadata. Its declaration, `@table_asset`, stands above the function and holds all that the project
knows about it: the contract of its table, the prompts and settings that decide its rows, the most
calls it can need (`table_asset.py`).

Belongs here: Dagster's context, metadata, partitions and checks. Does not belong here: how rows are
made (`steps/`, under the same module name) and when tables are made (`orchestration/`).
"""
