"""The cost of a run: forecast before it, report after it.

Belongs here: call bounds, estimates from finished tables, money spent. Nothing here asks a model.
"""
