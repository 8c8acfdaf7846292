"""A local page on a project: search, map, and the chain behind each row.

Belongs here: reading tables and drawing pages. Does not belong here: anything that writes a table
or runs the graph.
"""
