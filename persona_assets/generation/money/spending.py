"""Leave to spend: the worst case of an attempt is reserved before it is sent, and settled after."""

import asyncio
from decimal import Decimal

from persona_assets.generation.calls.call import Call
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.errors import EndpointRefused
from persona_assets.generation.journal.call_record import CallRecord, as_object
from persona_assets.generation.money.budget import Budget
from persona_assets.generation.money.prices import pricing
from persona_assets.generation.money.usage import Tokens

NOTHING = Decimal(0)


class Spending:
    """What one endpoint's attempts may cost and do cost. Without a budget nothing is held back.

    `most`, `reserve` and `settle` belong to the pool's event loop, `reserve_all` to any thread.
    """

    def __init__(self, endpoint: Endpoint, budget: Budget | None = None) -> None:
        self._endpoint = endpoint
        self._pricing = pricing(endpoint)
        self._budget = budget
        self._held = 0
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
        """The worst case of one attempt, in US dollars; 0 if there is no budget to hold.

        Raises EndpointRefused for a call whose answer may be of any length.
        """
        if self._budget is None:
            return NOTHING
        most = self._pricing.most(call)
        if most is None:
            raise EndpointRefused(
                f"What a call to {self._endpoint.model!r} may cost has no bound (it sets no "
                "max_tokens, or asks for more than text), so a cap on spending cannot hold: set "
                "max_tokens in the prompt's or the role's sampling, or remove the cap. It was not "
                "sent."
            )
        return most

    async def reserve(self, amount: Decimal) -> None:
        """Returns once `amount` is set aside. Raises BudgetReached if it cannot be."""
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
                    if self._held == 0:
                        raise budget.reached()
                    # What is in flight costs less than its worst case: room for this one may come.
                    await self._settled.wait()
        self._held += 1

    def settle(self, reserved: Decimal, record: CallRecord) -> Decimal | None:
        """Gives back what an answer did not cost; its cost, None if the price is unknown."""
        tier = as_object(record.body).get("service_tier")
        cost = self._pricing.cost(record.tokens, tier=tier if isinstance(tier, str) else None)
        self._give_back(reserved, reserved if cost is None else cost)
        return cost

    def settle_unanswered(self, reserved: Decimal, *, billed: bool) -> None:
        """Gives back what an attempt did not cost; one that may have been billed cost it all."""
        self._give_back(reserved, reserved if billed else NOTHING)

    def _give_back(self, reserved: Decimal, spent: Decimal) -> None:
        if self._budget is not None:
            self._budget.settle(reserved, spent)
            self._held -= 1
            self._settled.set()

    @property
    def scopes(self) -> str:
        """Names whose caps are charged; empty if there are none."""
        return "" if self._budget is None else self._budget.scopes

    def charge(self, amount: Decimal) -> None:
        """Counts the worst case of a batch as spent, before it is sent: it may be hours, and other
        processes, until its cost is known. Raises BudgetReached."""
        if self._budget is not None:
            while not self._budget.take(amount):
                if not self._budget.refill(amount):
                    raise self._budget.reached()
            self._budget.settle(amount, amount)

    def refund(self, amount: Decimal) -> None:
        """Takes back what a batch was charged and did not cost; below 0, what it cost on top."""
        if self._budget is not None:
            self._budget.settle(NOTHING, -amount)

    def batch_cost(self, tokens: Tokens | None) -> Decimal | None:
        """US dollars of an answer out of a batch; None if the price or the tokens are unknown."""
        return self._pricing.cost(tokens, batch=True)
