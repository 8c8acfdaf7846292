"""Report on a project: one HTML file without a script, readable from disk.

Belongs here: what the page says, section by section, and its form. Does not belong here: the
figures, which tables, footers, journals and the Dagster instance hold.
"""
