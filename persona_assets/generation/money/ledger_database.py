"""Databases of a ledger: SQLite, opened for each transaction, or PostgreSQL, kept open."""

import math
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString, Protocol, TypeVar

from persona_assets.generation.calls.errors import EndpointError

if TYPE_CHECKING:
    import psycopg

FIRST_CONNECTION = 3.0
"""Seconds of attempts to reach a server that may not exist."""

CONNECT_TIMEOUT = 10
"""Seconds that a single attempt to connect may take."""

CREATION_LOCK = 7_061_962_451
"""Key of the advisory lock under which the tables are created."""

SAFE_PHRASES = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "too many clients",
    "could not translate host name",
    "Connection refused",
    "timeout expired",
)
"""Phrases of the client library that are safe to show; its other words may quote the URL."""

T = TypeVar("T")
Execute = Callable[..., list[tuple[Any, ...]]]
"""Function that executes an SQL statement with its values and returns the rows."""

TABLES: tuple[LiteralString, ...] = (
    "CREATE TABLE IF NOT EXISTS ledger_scopes ("
    "scope TEXT PRIMARY KEY, spent BIGINT NOT NULL, held BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS ledger_holders ("
    "scope TEXT NOT NULL, holder TEXT NOT NULL, host TEXT NOT NULL, pid BIGINT NOT NULL, "
    "since TEXT NOT NULL, spent BIGINT NOT NULL, held BIGINT NOT NULL, "
    "PRIMARY KEY (scope, holder))",
)


class LedgerError(EndpointError):
    """The ledger cannot be used. Money held before stays counted."""


class DatabaseUnavailable(Exception):
    """The database is locked or out of reach; a later attempt may succeed."""


class Database(Protocol):
    """Database that runs a ledger's transactions.

    Attributes:
        name: Its name as the beginning of a sentence.
        patience_at_first: Seconds of attempts before the first successful transaction.
    """

    name: str
    patience_at_first: float

    def transact(self, work: Callable[[Execute], T], *, create: bool) -> T:
        """Run `work` in a transaction and return its result.

        Args:
            work: Function of `Execute`; its statements are committed together.
            create: Create the tables if they do not exist.

        Raises:
            DatabaseUnavailable: A later attempt may succeed.
            LedgerError: No attempt can succeed.
        """


def open_database(url: str | os.PathLike[str]) -> Database:
    """Return the database of a URL or path (see Ledger).

    Raises:
        ValueError: The text is neither a URL nor a path of a ledger.
    """
    text = os.fspath(url)
    scheme, colon, rest = text.partition(":")
    if scheme in ("postgresql", "postgres") and rest.startswith("//"):
        return Postgres(text)
    if scheme == "sqlite" and rest.startswith("///"):
        return Sqlite(Path(rest[3:]).absolute())
    if not colon or "/" in scheme:
        return Sqlite(Path(text).absolute())
    raise ValueError(
        "a ledger is a path, sqlite:///path or postgresql://user:password@host/database"
    )


class Sqlite:
    """Ledger in a SQLite file."""

    patience_at_first = math.inf

    def __init__(self, path: Path) -> None:
        self.name = f"The ledger {path}"
        self._path = path

    def transact(self, work: Callable[[Execute], T], *, create: bool) -> T:
        reason = ""
        try:
            if create:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
            try:
                # A truncated journal is synced, so that a commit survives a power cut.
                connection.execute("PRAGMA journal_mode = TRUNCATE")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                for table in TABLES if create else ():
                    connection.execute(table)
                result = work(lambda sql, *values: connection.execute(sql, values).fetchall())
                connection.execute("COMMIT")
            finally:
                connection.close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise DatabaseUnavailable("another process has locked it") from None
            reason = str(error)
        except (sqlite3.Error, OSError) as error:
            reason = str(error)
        else:
            return result
        raise LedgerError(
            f"{self.name} cannot be used ({reason}): make it a file that can be written, on a disk "
            "with room; what was answered is kept."
        )


class Postgres:
    """Ledger in a PostgreSQL database.

    A connection takes several times as long as a transaction, so it is kept, and made again when
    the server has closed it. Threads take turns.
    """

    # No part of the URL is ever shown: in a mistyped URL any part may be the password.
    name = "The PostgreSQL ledger"
    patience_at_first = FIRST_CONNECTION

    def __init__(self, url: str) -> None:
        self._url = url
        self._turn = threading.Lock()
        self._kept: tuple[int, psycopg.Connection] | None = None

    def transact(self, work: Callable[[Execute], T], *, create: bool) -> T:
        try:
            import psycopg
        except ImportError:
            raise LedgerError(
                "A ledger in PostgreSQL needs the extra: pip install 'persona_assets[postgres]'."
            ) from None
        reason, unavailable = "", True
        try:
            with self._turn:
                return self._try(work, create)
        except psycopg.OperationalError as error:
            phrases = [phrase for phrase in SAFE_PHRASES if phrase in str(error)]
            reason = error.diag.message_primary or next(iter(phrases), "no connection")
        except psycopg.Error as error:
            reason, unavailable = error.diag.message_primary or type(error).__name__, False
        # Raised outside the handlers, so that no exception that contains the URL is its context.
        if unavailable:
            raise DatabaseUnavailable(reason)
        raise LedgerError(
            f"{self.name} cannot be used ({reason}): correct its URL or its user's rights; what "
            "was answered is kept."
        )

    def _try(self, work: Callable[[Execute], T], create: bool) -> T:
        """Run a transaction on the kept connection, or on a new one if the server has closed it."""
        import psycopg

        # A connection is of the process that made it.
        if self._kept is not None and self._kept[0] == os.getpid():
            try:
                return _run(self._kept[1], work, create)
            except psycopg.OperationalError:
                # A report that arrives twice changes nothing (see ledger.py).
                self._kept[1].close()
        connection = psycopg.connect(self._url, connect_timeout=CONNECT_TIMEOUT)
        self._kept = os.getpid(), connection
        weakref.finalize(self, _close, *self._kept)
        return _run(connection, work, create)


def _close(pid: int, connection: "psycopg.Connection") -> None:
    # A forked process would end the session of its parent.
    if pid == os.getpid():
        connection.close()


def _run(connection: "psycopg.Connection", work: Callable[[Execute], T], create: bool) -> T:
    with connection.transaction(), connection.cursor() as cursor:

        def execute(sql: LiteralString, *values: object) -> list[tuple[Any, ...]]:
            cursor.execute(sql.replace("?", "%s"), values)
            return cursor.fetchall() if cursor.description else []

        if create and execute("SELECT to_regclass('ledger_holders')") == [(None,)]:
            execute("SELECT pg_advisory_xact_lock(?)", CREATION_LOCK)
            for table in TABLES:
                execute(table)
        return work(execute)
