"""The cost of a run: its forecast before the run, its report afterwards.

Belongs here: call counts, estimates from finished tables, money spent. Does not belong here: calls
to models.
"""
