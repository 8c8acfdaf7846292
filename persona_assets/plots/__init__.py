"""Pictures for the UI as SVG.

Belongs here: charts from figures, without Dagster and without disk access. Does not belong here:
computation of the figures, see `steps`.
"""
