"""Ledger of money spent and held by scope, shared by all processes that spend.

A holder is an engine in a process. It reports totals, never differences: the money that it has
spent so far and the money that it holds. Then it asks for more, and the ledger grants only amounts
that keep spent + held of every scope within the scope's limit. So a report that is repeated,
because its arrival is unknown, changes nothing. Money held by a dead holder stays held for ever,
because its calls in flight may have been billed; a user who knows better raises the limit.
"""

import os
import random
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, LiteralString
from uuid import uuid4

from persona_assets.generation.money.ledger_database import (
    DatabaseUnavailable,
    Execute,
    T,
    open_database,
)
from persona_assets.generation.money.ledger_database import LedgerError as LedgerError

PICO = 12
"""Exponent of the database's unit of money, 10**-12 US dollars.

The price of a token is a whole number of units, and 64 bits hold 9 million US dollars."""

PATIENCE = 60.0
"""Seconds of attempts while the database is locked or out of reach."""

FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.1
"""Bounds in seconds of the pause between two attempts.

The longest pause lasts a few transactions; a process that paused much longer would starve."""

SHARE = 16
"""Divisor of a scope's free money that bounds a grant, unless the least amount is larger."""

# The update changes nothing; it makes both databases lock the row and return its latest state.
LOCK_SCOPE: LiteralString = (
    "INSERT INTO ledger_scopes (scope, spent, held) VALUES (?, 0, 0) "
    "ON CONFLICT (scope) DO UPDATE SET spent = ledger_scopes.spent RETURNING spent, held"
)
READ_HOLDER: LiteralString = "SELECT spent, held FROM ledger_holders WHERE scope = ? AND holder = ?"
WRITE_HOLDER: LiteralString = (
    "INSERT INTO ledger_holders (scope, holder, host, pid, since, spent, held) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (scope, holder) DO UPDATE SET spent = excluded.spent, held = excluded.held"
)
LIST_HOLDERS: LiteralString = (
    "SELECT spent, held, holder, host, pid, since FROM ledger_holders WHERE scope = ? "
    "ORDER BY since, holder"
)
WRITE_SCOPE: LiteralString = "UPDATE ledger_scopes SET spent = ?, held = ? WHERE scope = ?"


@dataclass(frozen=True, slots=True)
class Holder:
    """Engine in a process, which spends and holds money."""

    id: str = field(default_factory=lambda: uuid4().hex)
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


class Ledger:
    """Spending by scope, in a file on this machine or in PostgreSQL for several machines.

    Each operation is a short transaction. Threads may share a ledger, and a ledger survives a
    restart of the server. An operation raises LedgerError if the database is out of reach for
    PATIENCE seconds.

    Args:
        url: A path, sqlite:///relative/path or sqlite:////absolute/path (never on a network file
            system, which does not lock), or postgresql://user:password@host/database, which needs
            the extra `postgres`. File and tables are created on first use.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ledger, cap = Ledger(f"{folder}/ledger.sqlite"), {"run:1": Decimal(1)}
        ...     granted = ledger.claim(
        ...         Holder(), cap, spent=Decimal(0), held=Decimal(0), least=Decimal("0.25")
        ...     )
        ...     granted, ledger.state("run:1") == (0, granted)
        (Decimal('0.250000000000'), True)
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self._database = open_database(url)
        self._reached = False

    def state(self, scope: str) -> tuple[Decimal, Decimal]:
        """Return the money spent and the money held by all holders of a scope, in US dollars."""

        def work(execute: Execute) -> tuple[int, int]:
            rows = execute("SELECT spent, held FROM ledger_scopes WHERE scope = ?", scope)
            return rows[0] if rows else (0, 0)

        spent, held = self._transact(work)
        return to_dollars(spent), to_dollars(held)

    def holders(self, scope: str) -> list[tuple[Holder, Decimal, Decimal]]:
        """Return all holders of a scope, dead or alive, with money spent and money held."""

        def work(execute: Execute) -> list[tuple[Any, ...]]:
            return execute(LIST_HOLDERS, scope)

        return [
            (Holder(*identity), to_dollars(spent), to_dollars(held))
            for spent, held, *identity in self._transact(work)
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
        """Report a holder's totals and hold more money, in a single transaction.

        The report is recorded in any case. The grant is the same in every scope: `wanted` if that
        is at most 1/SHARE of the money free in each scope, else less, but at least `least`; 0 if
        `least` exceeds the money free in any scope.

        Args:
            holder: Holder that reports.
            limits: US dollars by scope; a holder always names the same scopes.
            spent: Money spent by the holder so far.
            held: Money held by the holder, without the grant.
            least: Least amount of use to the holder.
            wanted: Amount that the holder would like.
            patience: Seconds of attempts while the database is out of reach.

        Returns:
            Amount granted, which the ledger has added to the holder's held money.

        Raises:
            LedgerError: The database is out of reach or refuses the transaction.
        """
        reported = (to_pico(spent), to_pico(held))
        ceilings = {scope: to_pico(limits[scope], ROUND_FLOOR) for scope in sorted(limits)}
        least_pico, wanted_pico = to_pico(least), to_pico(wanted)

        def work(execute: Execute) -> int:
            totals: dict[str, tuple[int, int]] = {}
            # Sorted scopes, so that no two holders wait for each other.
            for scope in ceilings:
                [total] = execute(LOCK_SCOPE, scope)
                [previous] = execute(READ_HOLDER, scope, holder.id) or [(0, 0)]
                totals[scope] = (
                    total[0] - previous[0] + reported[0],
                    total[1] - previous[1] + reported[1],
                )
            room = min(ceilings[scope] - sum(totals[scope]) for scope in ceilings)
            granted = 0 if room < least_pico else max(least_pico, min(wanted_pico, room // SHARE))
            identity = (holder.id, holder.host, holder.pid, holder.since)
            for scope, (all_spent, all_held) in totals.items():
                execute(WRITE_SCOPE, all_spent, all_held + granted, scope)
                execute(WRITE_HOLDER, scope, *identity, reported[0], reported[1] + granted)
            return granted

        return to_dollars(self._transact(work, patience))

    def _transact(self, work: Callable[[Execute], T], patience: float = PATIENCE) -> T:
        """Run a transaction, again and again while the database is out of reach."""
        if not self._reached:
            patience = min(patience, self._database.patience_at_first)
        end = time.monotonic() + patience
        pause = FIRST_PAUSE
        while True:
            try:
                result = self._database.transact(work, create=not self._reached)
            except DatabaseUnavailable as error:
                reason = str(error)
            else:
                self._reached = True
                return result
            # Jitter, since processes that wait for the same lock would otherwise collide again.
            time.sleep(random.uniform(0, pause))
            pause = min(LONGEST_PAUSE, pause * 2)
            if time.monotonic() >= end:
                raise LedgerError(
                    f"{self._database.name} cannot be used ({reason}): see that it runs, then run "
                    "again; what was answered is kept, and what was reserved stays counted."
                )


def to_pico(amount: Decimal, rounding: str = ROUND_CEILING) -> int:
    """Return US dollars in units of 10**-12, rounded up by default.

    Example:
        >>> to_pico(Decimal("0.000003"))
        3000000
    """
    return int(amount.scaleb(PICO).to_integral_value(rounding))


def to_dollars(pico: int) -> Decimal:
    """Return units of 10**-12 as US dollars, exactly."""
    return Decimal(pico).scaleb(-PICO)
