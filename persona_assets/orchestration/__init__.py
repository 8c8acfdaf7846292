"""When tables are made: staleness, the command-line runner, schedules, sensors, the instance.

Belongs here: decisions about what to materialize. Does not belong here: how a table is made.
"""
