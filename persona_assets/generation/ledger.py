"""The ledger: what each cap has seen spent and held, shared by all processes that spend.

A holder is one engine in one process. It states, in full and never as a difference, what it has
spent so far and still holds, and asks for more; the ledger grants only what keeps spent + held of
every scope within its limit. So a statement that is repeated, because nobody knows whether it
arrived, changes nothing. What a dead holder held stays held for ever, for its calls in flight may
have been billed: who knows better raises the limit.
"""

import os
import random
import socket
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any, LiteralString, Protocol, TypeVar
from uuid import uuid4

from persona_assets.generation.errors import EndpointError

PICO = 12
"""Money in the database is an integer of 10**-12 US dollars: the price of a token is a whole number
of them, and 64 bits hold 9 million dollars."""

PATIENCE = 60.0
"""Seconds to go on trying while the database is locked or away."""

FIRST_CONNECTION = 3.0
"""The same for a server that was never reached, and so may not be there at all."""

FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.1
"""Between two tries. Some transactions long: who waits much longer than that starves."""

SHARE = 16
"""No grant beyond what was asked for at least is more than 1/SHARE of what a scope has left."""

CONNECT_TIMEOUT = 10
CREATING = 7_061_962_451
"""Key of the advisory lock under which the tables are made."""

REFUSALS = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "too many clients",
    "could not translate host name",
    "Connection refused",
    "timeout expired",
)
"""What the client library may say of a connection; the rest of its words may quote the URL."""

T = TypeVar("T")
Execute = Callable[..., list[tuple[Any, ...]]]

TABLES: tuple[LiteralString, ...] = (
    "CREATE TABLE IF NOT EXISTS ledger_scopes ("
    "scope TEXT PRIMARY KEY, spent BIGINT NOT NULL, held BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS ledger_holders ("
    "scope TEXT NOT NULL, holder TEXT NOT NULL, host TEXT NOT NULL, pid BIGINT NOT NULL, "
    "since TEXT NOT NULL, spent BIGINT NOT NULL, held BIGINT NOT NULL, "
    "PRIMARY KEY (scope, holder))",
)
# An update that changes nothing, so that both databases lock the row and show its latest state.
LOCK: LiteralString = (
    "INSERT INTO ledger_scopes (scope, spent, held) VALUES (?, 0, 0) "
    "ON CONFLICT (scope) DO UPDATE SET spent = ledger_scopes.spent RETURNING spent, held"
)
STATED: LiteralString = "SELECT spent, held FROM ledger_holders WHERE scope = ? AND holder = ?"
STATE: LiteralString = (
    "INSERT INTO ledger_holders (scope, holder, host, pid, since, spent, held) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (scope, holder) DO UPDATE SET spent = excluded.spent, held = excluded.held"
)
HOLDERS: LiteralString = (
    "SELECT spent, held, holder, host, pid, since FROM ledger_holders WHERE scope = ? "
    "ORDER BY since, holder"
)
TOTAL: LiteralString = "UPDATE ledger_scopes SET spent = ?, held = ? WHERE scope = ?"


class LedgerError(EndpointError):
    """The ledger cannot be used. What was held stays counted."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds: one engine in one process."""

    id: str = field(default_factory=lambda: uuid4().hex)
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


class Ledger:
    """Spending by scope, in a file on this machine or in PostgreSQL for several machines.

    url: a path or sqlite:///relative/path or sqlite:////absolute/path (never on a network file
    system, which does not lock), or postgresql://user:password@host/database, for which the
    extra `postgres` must be installed. File and tables are made on first use.

    Each operation is one short transaction over a connection of its own, so a ledger may be shared
    between threads, survives a restart of the server, and holds nothing open. It raises LedgerError
    if the database stays out of reach for PATIENCE seconds.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        text = os.fspath(url)
        scheme, colon, rest = text.partition(":")
        if scheme in ("postgresql", "postgres") and rest.startswith("//"):
            self._database: _Database = _Postgres(text)
        elif scheme == "sqlite" and rest.startswith("///"):
            self._database = _Sqlite(Path(rest[3:]).absolute())
        elif not colon or "/" in scheme:
            self._database = _Sqlite(Path(text).absolute())
        else:
            raise ValueError(
                "a ledger is a path, sqlite:///path or postgresql://user:password@host/database"
            )
        self._reached = False

    def state(self, scope: str) -> tuple[Decimal, Decimal]:
        """What all holders together have spent in `scope`, and what they hold, in US dollars."""

        def work(execute: Execute) -> tuple[int, int]:
            rows = execute("SELECT spent, held FROM ledger_scopes WHERE scope = ?", scope)
            return rows[0] if rows else (0, 0)

        spent, held = self._transact(work)
        return to_dollars(spent), to_dollars(held)

    def holders(self, scope: str) -> list[tuple[Holder, Decimal, Decimal]]:
        """Each holder of `scope` with what it has spent and holds, the dead ones included."""

        def work(execute: Execute) -> list[tuple[Any, ...]]:
            return execute(HOLDERS, scope)

        return [
            (Holder(*who), to_dollars(spent), to_dollars(held))
            for spent, held, *who in self._transact(work)
        ]

    def claim(
        self,
        holder: Holder,
        limits: Mapping[str, Decimal],
        *,
        spent: Decimal,
        held: Decimal,
        least: Decimal = Decimal(0),
        wanted: Decimal = Decimal(0),
        patience: float = PATIENCE,
    ) -> Decimal:
        """States what `holder` has spent in all and still holds, and holds more, all in one step.

        limits: US dollars by scope; a holder always names the same scopes. The statement is
        recorded whatever it says. Beyond it are held, in every scope or in none, `wanted` if that
        is at most 1/SHARE of what is left in each, else less, but not less than `least`. Returns
        what was granted: `held` has grown by so much; 0 if `least` does not fit.
        """
        mine = (to_pico(spent), to_pico(held))
        ceilings = {scope: to_pico(limits[scope], ROUND_FLOOR) for scope in sorted(limits)}
        at_least, at_most = to_pico(least), to_pico(wanted)

        def work(execute: Execute) -> int:
            totals: dict[str, tuple[int, int]] = {}
            # In the order of their names, so that no two holders wait for each other.
            for scope in ceilings:
                [total] = execute(LOCK, scope)
                [before] = execute(STATED, scope, holder.id) or [(0, 0)]
                totals[scope] = (
                    total[0] - before[0] + mine[0],
                    total[1] - before[1] + mine[1],
                )
            room = min(ceilings[scope] - sum(totals[scope]) for scope in ceilings)
            granted = 0 if room < at_least else max(at_least, min(at_most, room // SHARE))
            who = (holder.id, holder.host, holder.pid, holder.since)
            for scope, (all_spent, all_held) in totals.items():
                execute(TOTAL, all_spent, all_held + granted, scope)
                execute(STATE, scope, *who, mine[0], mine[1] + granted)
            return granted

        return to_dollars(self._transact(work, patience))

    def _transact(self, work: Callable[[Execute], T], patience: float = PATIENCE) -> T:
        if not self._reached:
            patience = min(patience, self._database.patience_at_first)
        end = time.monotonic() + patience
        pause = FIRST_PAUSE
        while True:
            try:
                result = self._database.transact(work, create=not self._reached)
            except _Away as error:
                reason = str(error)
            else:
                self._reached = True
                return result
            # Jitter, since processes that wait for the same lock else meet again and again.
            time.sleep(random.uniform(0, pause))
            pause = min(LONGEST_PAUSE, pause * 2)
            if time.monotonic() >= end:
                raise LedgerError(
                    f"{self._database.name} cannot be used ({reason}): see that it runs, then run "
                    "again; what was answered is kept, and what was reserved stays counted."
                )


class _Away(Exception):
    """Busy or out of reach: to be tried again."""


class _Database(Protocol):
    name: str
    patience_at_first: float

    def transact(self, work: Callable[[Execute], T], *, create: bool) -> T:
        """Raises _Away if it may work later, LedgerError if not."""


class _Sqlite:
    def __init__(self, path: Path) -> None:
        self.name = f"The ledger {path}"
        self.patience_at_first = PATIENCE
        self._path = path

    def transact(self, work: Callable[[Execute], T], *, create: bool) -> T:
        reason = ""
        try:
            if create:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
            try:
                # A truncated journal is synced, so that what is committed survives a power cut.
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
                raise _Away("another process has locked it") from None
            reason = str(error)
        except (sqlite3.Error, OSError) as error:
            reason = str(error)
        else:
            return result
        raise LedgerError(
            f"{self.name} cannot be used ({reason}): make it a file that can be written, on a disk "
            "with room; what was answered is kept."
        )


class _Postgres:
    # No word of the URL is ever shown: of one that is mistyped, any part may be the password.
    name = "The PostgreSQL ledger"
    patience_at_first = FIRST_CONNECTION

    def __init__(self, url: str) -> None:
        self._url = url

    def transact(self, work: Callable[[Execute], T], *, create: bool) -> T:
        try:
            import psycopg
        except ImportError:
            raise LedgerError(
                "A ledger in PostgreSQL needs the extra: pip install 'persona_assets[postgres]'."
            ) from None
        reason, away = "", True
        try:
            with (
                psycopg.connect(self._url, connect_timeout=CONNECT_TIMEOUT) as connection,
                connection.cursor() as cursor,
            ):

                def execute(sql: LiteralString, *values: object) -> list[tuple[Any, ...]]:
                    cursor.execute(sql.replace("?", "%s"), values)
                    return cursor.fetchall() if cursor.description else []

                if create and execute("SELECT to_regclass('ledger_holders')") == [(None,)]:
                    execute("SELECT pg_advisory_xact_lock(?)", CREATING)
                    for table in TABLES:
                        execute(table)
                result = work(execute)
        except psycopg.OperationalError as error:
            said = [phrase for phrase in REFUSALS if phrase in str(error)]
            reason = error.diag.message_primary or next(iter(said), "no connection")
        except psycopg.Error as error:
            reason, away = error.diag.message_primary or type(error).__name__, False
        else:
            return result
        # Raised out here, so that no exception that knows the URL is its context.
        if away:
            raise _Away(reason)
        raise LedgerError(
            f"{self.name} cannot be used ({reason}): correct its URL or its user's rights; what "
            "was answered is kept."
        )


def to_pico(amount: Decimal, rounding: str = ROUND_CEILING) -> int:
    """US dollars in units of 10**-12, rounded up unless told otherwise."""
    return int(amount.scaleb(PICO).to_integral_value(rounding))


def to_dollars(pico: int) -> Decimal:
    """The inverse of `to_pico`, exact."""
    return Decimal(pico).scaleb(-PICO)
