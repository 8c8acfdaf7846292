"""Claim cents under a cap of 1 US dollar until the ledger refuses, and print the sum.

python -m persona_assets_tests.generation.programs.claim_cents LEDGER_URL
"""

import sys
from decimal import Decimal

from persona_assets.generation.money.ledger import Holder, Ledger

CENT = Decimal("0.01")
LIMITS = {"run": Decimal(1)}


def main(url: str) -> None:
    ledger, holder = Ledger(url), Holder()
    print("ready", flush=True)
    sys.stdin.readline()
    spent = Decimal(0)
    while ledger.claim(holder, LIMITS, spent=spent, held=Decimal(0), least=CENT):
        spent += CENT
    ledger.claim(holder, LIMITS, spent=spent, held=Decimal(0))
    print(spent)


if __name__ == "__main__":
    main(*sys.argv[1:])
