"""Spending of an endpoint: reserve an attempt's worst case before sending, settle it afterwards."""

import asyncio
from decimal import Decimal

from persona_assets.generation.calls.call import Call
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.errors import EndpointRefused
from persona_assets.generation.journal.call_record import CallRecord, as_object
from persona_assets.generation.money.budget import Budget
from persona_assets.generation.money.prices import pricing
from persona_assets.generation.money.usage import Tokens

ZERO = Decimal(0)


class Spending:
    """Worst cases and costs of an endpoint's attempts, charged to a budget.

    `most`, `reserve`, `settle` and `settle_unanswered` belong to the pool's event loop, `charge`,
    `refund` and `batch_cost` to any thread.

    Args:
        budget: Budget to charge; None for unlimited spending.

    Raises:
        EndpointRefused: There is a budget, but the model's price is unknown.
    """

    def __init__(self, endpoint: Endpoint, budget: Budget | None = None) -> None:
        self._endpoint = endpoint
        self._pricing = pricing(endpoint)
        self._budget = budget
        self._reservations = 0
        self._settled = asyncio.Event()
        self._refilling = asyncio.Lock()
        if budget is not None and not self._pricing.known:
            raise EndpointRefused(
                f"Nobody knows what {endpoint.model!r} costs at {endpoint.host}, so a cap on "
                "spending cannot hold: set the price of its role (such as "
                "PERSONA_WRITER__PRICE__INPUT and PERSONA_WRITER__PRICE__OUTPUT, US dollars for a "
                "million tokens), or remove the cap. Nothing was sent."
            )

    def most(self, call: Call) -> Decimal:
        """Return the worst case of an attempt in US dollars; 0 without a budget.

        Raises:
            EndpointRefused: The call has no worst case: its response may be of any length.
        """
        if self._budget is None:
            return ZERO
        most = self._pricing.most(call)
        if most is None:
            raise EndpointRefused(
                f"What a call to {self._endpoint.model!r} may cost has no bound (it sets no "
                "max_tokens, or asks for more than text), so a cap on spending cannot hold: set "
                "max_tokens in the prompt's or the role's sampling, or remove the cap (without a "
                "budget that is PERSONA_UNASKED_BUDGET). It was not sent."
            )
        return most

    async def reserve(self, amount: Decimal) -> None:
        """Wait until `amount`, in US dollars, is reserved.

        Raises:
            BudgetReached: The caps leave no room, and no call in flight can make room.
        """
        budget = self._budget
        if budget is None:
            return
        if not budget.take(amount):
            loop = asyncio.get_running_loop()
            async with self._refilling:
                while not budget.take(amount):
                    self._settled.clear()
                    if await loop.run_in_executor(None, budget.refill, amount):
                        continue
                    if self._reservations == 0:
                        raise budget.reached()
                    # A call in flight will cost less than its worst case and so may make room.
                    await self._settled.wait()
        self._reservations += 1

    def settle(self, reserved: Decimal, record: CallRecord) -> Decimal | None:
        """Settle a reservation by a response; return its cost, or None if the price is unknown."""
        tier = as_object(record.body).get("service_tier")
        cost = self._pricing.cost(record.tokens, tier=tier if isinstance(tier, str) else None)
        self._settle_budget(reserved, reserved if cost is None else cost)
        return cost

    def settle_unanswered(self, reserved: Decimal, *, billed: bool) -> None:
        """Settle a reservation without a response; if it may be billed, as the worst case."""
        self._settle_budget(reserved, reserved if billed else ZERO)

    def _settle_budget(self, reserved: Decimal, spent: Decimal) -> None:
        if self._budget is not None:
            self._budget.settle(reserved, spent)
            self._reservations -= 1
            self._settled.set()

    @property
    def scopes(self) -> str:
        """Scopes of the caps that are charged, as a text; empty without a budget."""
        return "" if self._budget is None else self._budget.scopes

    def charge(self, amount: Decimal) -> None:
        """Count the worst case of a batch as spent before the batch is sent.

        Its cost may become known hours later, in another process.

        Raises:
            BudgetReached: The caps leave no room.
        """
        if self._budget is not None:
            while not self._budget.take(amount):
                if not self._budget.refill(amount):
                    raise self._budget.reached()
            self._budget.settle(amount, amount)

    def refund(self, amount: Decimal) -> None:
        """Take back the part of a charge that a batch did not cost; below 0, charge its excess."""
        if self._budget is not None:
            self._budget.settle(ZERO, -amount)

    def batch_cost(self, tokens: Tokens | None) -> Decimal | None:
        """Return the US dollars of a batch's response; None if price or tokens are unknown."""
        return self._pricing.cost(tokens, batch=True)
