"""SQL text: literals, identifiers, empty queries and paths, safely quoted.

Belongs here: quoting. Does not belong here: queries and views, which stay in the modules that use
them.
"""

import re


def literal(value: str) -> str:
    """Quote a string as an SQL literal.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Quote the name of a table or a column.

    >>> identifier("usage")
    '"usage"'
    """
    return '"' + name.replace('"', '""') + '"'


def empty_query(**columns: str) -> str:
    """Write a query that returns no rows.

    Args:
        **columns: SQL type by column name.

    Returns:
        A SELECT statement.

    >>> empty_query(id="VARCHAR")
    'SELECT NULL::VARCHAR AS "id" WHERE false'
    """
    typed = (f"NULL::{kind} AS {identifier(name)}" for name, kind in columns.items())
    return f"SELECT {', '.join(typed)} WHERE false"


def escape_glob(path: str) -> str:
    """Escape a path for a DuckDB function that accepts glob patterns.

    >>> escape_glob("[a]*.parquet")
    '[[]a][*].parquet'
    """
    return re.sub(r"([*?\[])", r"[\1]", path)
