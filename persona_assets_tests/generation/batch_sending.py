"""What a test needs to send calls by way of the Batch API: leave to spend, and a reader."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from persona_assets.generation import Call, Record
from persona_assets.generation.batch import Batches
from persona_assets.generation.errors import BudgetReached
from persona_assets.generation.usage import Tokens


class Purse:
    """Leave to spend up to `cap`; each call costs at most `most`, and its tokens each a cent."""

    def __init__(self, cap: str = "Infinity", most: str = "0", scopes: str = "run:1") -> None:
        self.left = Decimal(cap)
        self.worst = Decimal(most)
        self.scopes = scopes

    def most(self, call: Call) -> Decimal:
        return self.worst

    def charge(self, amount: Decimal) -> None:
        if amount > self.left:
            raise BudgetReached("the cap is reached")
        self.left -= amount

    def refund(self, amount: Decimal) -> None:
        self.left += amount

    def batch_cost(self, tokens: Tokens | None) -> Decimal | None:
        return None if tokens is None else Decimal("0.01") * (tokens.input + tokens.output)


def land(batches: Batches, calls: Sequence[Call]) -> dict[str, Record]:
    """Sends calls and takes their records."""
    batches.submit(calls)
    batches.flush()
    return take(batches, [call.key for call in calls])


def take(batches: Batches, keys: Iterable[str]) -> dict[str, Record]:
    """The records of keys, each of which must come once."""
    wanted, records = set(keys), dict[str, Record]()
    while wanted - records.keys():
        landed = batches.landed.get(timeout=30)
        if isinstance(landed, BaseException):
            raise landed
        for record in landed:
            assert record.key not in records
            records[record.key] = record
    return records
