"""A budget: caps on spending that hold over threads, processes and machines."""

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
"""Seconds: a block that was used up sooner is followed by one of twice its size, else of half."""

WRITE_EVERY = 1.0
"""Seconds after which what was spent is written, so that others see it."""

LARGEST = 9_000_000
"""US dollars; the ledger counts in 64 bits."""


@dataclass(frozen=True, slots=True)
class SpendingCap:
    """At most `limit` US dollars for all who spend in `scope`.

    setting: name of the setting that holds the limit, for the sentence that says to raise it.
    """

    scope: str
    limit: Decimal
    setting: str

    def __post_init__(self) -> None:
        if not (self.limit.is_finite() and 0 <= self.limit <= LARGEST):
            raise ValueError(f"{self.setting} must be 0 to {LARGEST:,} US dollars")


class Budget:
    """Leave to spend under every one of `caps`, for the calls of one engine.

    At every instant, over all processes, the money that may have been billed in a scope is at most
    its limit: a call is sent only when its worst case was taken from a block which the ledger holds
    for this budget, and the ledger holds no more than the limit leaves. Only a call that costs more
    than its worst case can break this; it is recorded all the same, and nothing is granted until
    the limit leaves room again.

        while not budget.take(most):
            if not budget.refill(most):
                raise budget.reached()
        ...                                 # send the call
        budget.settle(most, cost)

    All methods are safe in any thread. `take` and `settle` touch memory alone; the others are one
    transaction of the ledger, and raise LedgerError if it is out of reach. Amounts are in US
    dollars. What is taken and never settled stays counted, as after a crash.
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
        # In the ledger's units, and never more together than it counts for this holder.
        self._free = self._taken = self._spent = 0
        self._stated = (0, 0)
        self._block = self._refused = 0
        self._refilled = self._written = time.monotonic()
        self._closed = False
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    @property
    def scopes(self) -> str:
        """The scopes of its caps, as one text."""
        return " ".join(sorted(self._limits))

    def take(self, amount: Decimal) -> bool:
        """Sets `amount` aside if the block has so much left."""
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
        """Makes room to take `amount`, if the caps leave it; other threads may take it first.

        The block grows with use, by at most a small share of what the caps leave, so that one run
        does not hold what another could spend.
        """
        pico = to_pico(amount)
        with self._turn:
            if self._closed:
                raise ValueError("the budget is closed")
            with self._lock:
                lacking = pico - self._free
            if lacking <= 0:
                return True
            now = time.monotonic()
            quick = now - self._refilled < QUICK
            block = self._block * 2 if quick else self._block // 2
            granted = self._claim(lacking, max(lacking, block))
            if granted:
                self._block, self._refilled = granted, now
            else:
                self._refused = pico
            return granted > 0

    def settle(self, reserved: Decimal, spent: Decimal) -> None:
        """Ends what was taken as `reserved`: of it `spent` is gone, the rest may be taken again.

        A refund of what was settled before is (0, -amount).
        """
        back, gone = to_pico(reserved), to_pico(spent)
        now = time.monotonic()
        with self._lock:
            if back > self._taken:
                raise ValueError("more is settled than was taken")
            self._taken -= back
            self._spent += gone
            if not self._closed:
                self._free = max(0, self._free + back - gone)
            due = self._closed or now - self._written >= WRITE_EVERY
            if due:
                self._written = now
        if self._closed:
            self.close()
        elif due:
            # The caller may be an event loop, which must not wait for a disk or a network.
            threading.Thread(target=self._write, name="budget", daemon=True).start()

    def close(self) -> None:
        """Writes what was spent and gives back what was not taken; a second time does nothing."""
        with self._turn:
            with self._lock:
                self._closed = True
                self._free = 0
                news = (self._spent, self._taken) != self._stated
            if news:
                self._claim(0, 0)

    def reached(self) -> BudgetReached:
        """The exception to raise when `refill` has refused, for the cap that leaves least."""
        with self._turn:
            self._claim(0, 0)
        states = [(cap, *self._ledger.state(cap.scope)) for cap in self._caps]
        cap, spent, held = min(states, key=lambda it: it[0].limit - it[1] - it[2])
        return BudgetReached(
            f"The cap of {_dollars(cap.limit)} ({cap.setting}) is reached: {_dollars(spent)} is "
            f"spent, {_dollars(held)} is set aside for calls in flight or was by processes that "
            f"died, and the next call may cost {_dollars(to_dollars(self._refused))}. Raise "
            f"{cap.setting}, then run again; what was answered is kept."
        )

    def _write(self) -> None:
        if not self._turn.acquire(blocking=False):
            return
        try:
            with self._lock:
                self._free = min(self._free, self._block)
            self._claim(0, 0, patience=0)
        except LedgerError:
            # Nothing is lost: it counts as held, and the next refill or close writes it or raises.
            pass
        finally:
            self._turn.release()

    def _claim(self, least: int, wanted: int, patience: float = PATIENCE) -> int:
        """States where this budget stands and adds what is granted. To be called in turn."""
        with self._lock:
            spent, held = self._spent, self._taken + self._free
            self._written = time.monotonic()
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
        self._stated = (spent, held + granted)
        with self._lock:
            self._free += granted
        return granted


def _dollars(amount: Decimal) -> str:
    """To the cent, and below a cent to the first digit that tells something."""
    places = max(2, -amount.adjusted()) if amount else 2
    return f"${amount:,.{places}f}"
