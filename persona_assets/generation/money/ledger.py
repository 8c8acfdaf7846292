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
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, LiteralString
from uuid import uuid4

from persona_assets.generation.money.ledger_database import DatabaseAway, Execute, T, database
from persona_assets.generation.money.ledger_database import LedgerError as LedgerError

PICO = 12
"""Money in the database is an integer of 10**-12 US dollars: the price of a token is a whole number
of them, and 64 bits hold 9 million dollars."""

PATIENCE = 60.0
"""Seconds to go on trying while the database is locked or away."""

FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.1
"""Between two tries. Some transactions long: who waits much longer than that starves."""

SHARE = 16
"""No grant beyond what was asked for at least is more than 1/SHARE of what a scope has left."""

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
        self._database = database(url)
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
            except DatabaseAway as error:
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


def to_pico(amount: Decimal, rounding: str = ROUND_CEILING) -> int:
    """US dollars in units of 10**-12, rounded up unless told otherwise."""
    return int(amount.scaleb(PICO).to_integral_value(rounding))


def to_dollars(pico: int) -> Decimal:
    """The inverse of `to_pico`, exact."""
    return Decimal(pico).scaleb(-PICO)
