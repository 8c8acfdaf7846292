"""Spend a budget by calls of at most 0.001 US dollars, eight in flight, until a cap is reached.

A diary notes the money that may be billed: a call's worst case before the call may be sent, and its
cost before the rest of the worst case is released.

python -m persona_assets_tests.generation.programs.spend_budget LEDGER DIARY
"""

import os
import random
import sys
import time
from collections import deque
from decimal import Decimal

from persona_assets.generation.money.budget import Budget, SpendingCap
from persona_assets.generation.money.ledger import Ledger

MOST = Decimal("0.001")
IN_FLIGHT = 8
CAPS = [SpendingCap("run", Decimal(1), "run"), SpendingCap("backfill", Decimal("1.5"), "all")]


def main(ledger: str, diary_path: str) -> None:
    diary = os.open(diary_path, os.O_WRONLY | os.O_APPEND)
    budget, in_flight = Budget(Ledger(ledger), CAPS), deque[Decimal]()

    def note(event: str, amount: Decimal) -> None:
        os.write(diary, f"{os.getpid()} {event} {amount:f}\n".encode())

    def land() -> None:
        in_flight.popleft()
        time.sleep(0.0005)
        cost = Decimal(random.randint(0, 400)) / 1_000_000
        note("land", cost)
        budget.settle(MOST, cost)

    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        if budget.take(MOST):
            note("send", MOST)
            in_flight.append(MOST)
            if len(in_flight) == IN_FLIGHT:
                land()
        elif not budget.refill(MOST):
            if not in_flight:
                break
            land()
    budget.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
