"""Pure functions from tables to tables: one module per section of the paper.

Belongs here: rows in, rows and dropped rows out. A step is handed functions for everything else,
so a lambda is its test double. Does not belong here: Dagster, disk, network, clock, environment.
"""
