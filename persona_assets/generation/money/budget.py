"""Budget: caps on spending that hold across threads, processes and machines."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from persona_assets.generation.calls.errors import BudgetReached
from persona_assets.generation.money.ledger import (
    PATIENCE,
    Holder,
    Ledger,
    LedgerError,
    to_dollars,
    to_pico,
)

QUICK = 5.0
"""Seconds of use below which the next block doubles; a block that lasts longer is halved."""

WRITE_EVERY = 1.0
"""Seconds between two reports to the ledger, by which other processes see the spending."""

LARGEST_LIMIT = 9_000_000
"""Highest limit in US dollars; the ledger counts in 64 bits."""


@dataclass(frozen=True, slots=True)
class SpendingCap:
    """Limit of the money that all processes together may spend in a scope.

    Args:
        scope: Name that the processes share.
        limit: US dollars, from 0 to 9 million.
        setting: Name of the setting that contains the limit, for error messages.

    Example:
        >>> SpendingCap("run:1", Decimal("2.50"), "PERSONA_RUN_BUDGET").limit
        Decimal('2.50')
    """

    scope: str
    limit: Decimal
    setting: str

    def __post_init__(self) -> None:
        if not (self.limit.is_finite() and 0 <= self.limit <= LARGEST_LIMIT):
            raise ValueError(f"{self.setting} must be 0 to {LARGEST_LIMIT:,} US dollars")


class Budget:
    """Money that the calls of an engine may spend under all of its caps.

    At every instant, over all processes, the money that may have been billed in a scope is at most
    the scope's limit. A call is sent only after its worst case was taken from a block that the
    ledger holds for this budget, and the ledger holds at most the money free under the limit. Only
    a call that costs more than its worst case can break this guarantee; its cost is recorded, and
    the ledger grants nothing more until money is free again.

    All methods are safe in any thread. `take` and `settle` touch memory alone; each of the other
    methods is a transaction of the ledger, and raises LedgerError if the ledger is out of reach.
    Amounts are US dollars. Money taken and never settled stays counted, as after a crash.

    Args:
        ledger: Ledger shared by all processes.
        caps: Caps to keep; of two caps of a scope the tighter applies.

    Example:
        >>> import tempfile
        >>> most, cost = Decimal("0.02"), Decimal("0.005")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     cap = SpendingCap("run:1", Decimal(1), "PERSONA_RUN_BUDGET")
        ...     budget = Budget(Ledger(f"{folder}/ledger.sqlite"), [cap])
        ...     while not budget.take(most):
        ...         if not budget.refill(most):
        ...             raise budget.reached()
        ...     budget.settle(most, cost)  # after the call
        ...     budget.close()
        ...     Ledger(f"{folder}/ledger.sqlite").state("run:1") == (cost, 0)
        True
    """

    def __init__(self, ledger: Ledger, caps: Sequence[SpendingCap]) -> None:
        if not caps:
            raise ValueError("a budget has at least one cap")
        self._ledger = ledger
        self._caps = tuple(caps)
        self._limits: dict[str, Decimal] = {}
        for cap in caps:
            self._limits[cap.scope] = min(cap.limit, self._limits.get(cap.scope, cap.limit))
        self._holder = Holder()
        # In the ledger's units; their sum never exceeds the money that the ledger counts for this
        # holder.
        self._free = self._taken = self._spent = 0
        self._reported = (0, 0)
        self._block = self._refused = 0
        self._refilled_at = self._reported_at = time.monotonic()
        self._closed = False
        self._lock = threading.Lock()
        self._ledger_lock = threading.Lock()

    @property
    def scopes(self) -> str:
        """Scopes of the caps, sorted, as a text."""
        return " ".join(sorted(self._limits))

    def take(self, amount: Decimal) -> bool:
        """Take `amount` from the block; return False if the block has less money left."""
        pico = to_pico(amount)
        if pico < 0:
            raise ValueError("an amount to take is 0 or more")
        with self._lock:
            if pico > self._free:
                return False
            self._free -= pico
            self._taken += pico
            return True

    def refill(self, amount: Decimal) -> bool:
        """Enlarge the block so that `amount` can be taken; return False if the caps forbid it.

        Another thread may take the money first. The block grows with use, by at most a small share
        of the money free under the caps, so that a run does not hold money that another run could
        spend.
        """
        pico = to_pico(amount)
        with self._ledger_lock:
            if self._closed:
                raise ValueError("the budget is closed")
            with self._lock:
                lacking = pico - self._free
            if lacking <= 0:
                return True
            now = time.monotonic()
            quick = now - self._refilled_at < QUICK
            block = self._block * 2 if quick else self._block // 2
            granted = self._claim(lacking, max(lacking, block))
            if granted:
                self._block, self._refilled_at = granted, now
            else:
                self._refused = pico
            return granted > 0

    def settle(self, reserved: Decimal, spent: Decimal) -> None:
        """Replace money taken before by the actual cost; the difference may be taken again.

        Args:
            reserved: Amount taken before.
            spent: Actual cost. `settle(0, -amount)` refunds an amount settled before.
        """
        reserved_pico, spent_pico = to_pico(reserved), to_pico(spent)
        now = time.monotonic()
        with self._lock:
            if reserved_pico > self._taken:
                raise ValueError("more is settled than was taken")
            self._taken -= reserved_pico
            self._spent += spent_pico
            if not self._closed:
                self._free = max(0, self._free + reserved_pico - spent_pico)
            due = self._closed or now - self._reported_at >= WRITE_EVERY
            if due:
                self._reported_at = now
        if self._closed:
            self.close()
        elif due:
            # The caller may be an event loop, which must not wait for a disk or a network.
            threading.Thread(target=self._report, name="budget", daemon=True).start()

    def close(self) -> None:
        """Report the spending and release money that was not taken; a second call has no effect."""
        with self._ledger_lock:
            with self._lock:
                self._closed = True
                self._free = 0
                changed = (self._spent, self._taken) != self._reported
            if changed:
                self._claim(0, 0)

    def reached(self) -> BudgetReached:
        """Return the exception to raise after a refused `refill`; it names the tightest cap."""
        with self._ledger_lock:
            self._claim(0, 0)
        states = [(cap, *self._ledger.state(cap.scope)) for cap in self._caps]
        cap, spent, held = min(states, key=lambda row: row[0].limit - row[1] - row[2])
        return BudgetReached(
            f"The cap of {_dollars(cap.limit)} ({cap.setting}) is reached: {_dollars(spent)} is "
            f"spent, {_dollars(held)} is set aside for calls in flight or was by processes that "
            f"died, and the next call may cost {_dollars(to_dollars(self._refused))}. Raise "
            f"{cap.setting}, then run again; what was answered is kept."
        )

    def _report(self) -> None:
        """Report the spending, unless another thread is at the ledger."""
        if not self._ledger_lock.acquire(blocking=False):
            return
        try:
            with self._lock:
                self._free = min(self._free, self._block)
            self._claim(0, 0, patience=0)
        except LedgerError:
            # The spending counts as held until the next refill or close reports it or raises.
            pass
        finally:
            self._ledger_lock.release()

    def _claim(self, least: int, wanted: int, patience: float = PATIENCE) -> int:
        """Report totals and add the grant to the block; the caller holds `_ledger_lock`."""
        with self._lock:
            spent, held = self._spent, self._taken + self._free
            self._reported_at = time.monotonic()
        granted = to_pico(
            self._ledger.claim(
                self._holder,
                self._limits,
                spent=to_dollars(spent),
                held=to_dollars(held),
                least=to_dollars(least),
                wanted=to_dollars(wanted),
                patience=patience,
            )
        )
        self._reported = (spent, held + granted)
        with self._lock:
            self._free += granted
        return granted


def _dollars(amount: Decimal) -> str:
    """Format an amount to the cent, and below a cent to the first significant digit."""
    places = max(2, -amount.adjusted()) if amount else 2
    return f"${amount:,.{places}f}"
