"""The folder of a project in SQL: paths of its files, and whether the catalog was moved."""

from pathlib import Path

from persona_assets.catalog import sql

DATA_DIR = "data_dir"
"""Variable of DuckDB that stands for the project's folder in all views."""


class ProjectFolder:
    """SQL on the files of a project.

    The files are read by absolute paths, since relative paths would be those of the working
    directory.

    Args:
        data_dir: Folder of the project.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def root(self) -> str:
        """Return the folder as SQL: the variable, or where the views were made."""
        return f"coalesce(getvariable('{DATA_DIR}'), {sql.literal(str(self.data_dir.resolve()))})"

    def glob(self, pattern: str) -> str:
        """Return a pattern below the folder as SQL."""
        escaped = f"regexp_replace({self.root()}, '([*?[])', '[\\1]', 'g')"
        return f"{escaped} || {sql.literal('/' + pattern)}"

    def is_here(self) -> str:
        """Return the condition that the catalog was not moved; else the query fails.

        A copy would read the files of the original.
        """
        path = sql.literal(str(self.data_dir.resolve() / "catalog.duckdb"))
        remedy = (
            "this catalog was moved or copied: make its views again with `persona-assets catalog`, "
            f"or name its folder: SET VARIABLE {DATA_DIR} = '/path/to/the/folder'"
        )
        return (
            f"CASE WHEN getvariable('{DATA_DIR}') IS NOT NULL "
            f"OR EXISTS (FROM duckdb_databases() WHERE path = {path}) "
            f"THEN true ELSE error({sql.literal(remedy)}) END"
        )
