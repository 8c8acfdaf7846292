"""`catalog.duckdb`: the project in SQL, rebuilt from footers, completions and journals.

Belongs here: base tables, views, macros. Does not belong here: decisions about stale tables, which
are made from footers alone.
"""
