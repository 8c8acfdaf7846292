"""`catalog.duckdb`: the project in SQL, rebuilt from footers, completions and journals.

Belongs here: base tables, views, macros. Nothing reads the catalog to decide what to make.
"""
