"""Orchestration: staleness, the command-line runner, schedules, sensors, the Dagster instance.

Belongs here: decisions on which tables to materialize, and when. Does not belong here: computation
of a table, see `assets`.
"""
