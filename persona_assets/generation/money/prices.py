"""Prices of calls: from the settings, else from the genai-prices library, else unknown.

A price is never guessed. The library finds a provider by the endpoint's URL alone, so a server of
your own has the price in its settings, or none.
"""

import json
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from persona_assets.generation.calls.call import Call
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.journal.call_record import as_object
from persona_assets.generation.money.rate_cards import (
    Card,
    card_from_library,
    cards_from_settings,
    is_free,
    rates_at,
    scale_rates,
    worst_case,
)
from persona_assets.generation.money.usage import Tokens

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

TOKENS_PER_CALL = 512
"""Upper bound of the tokens that a provider's chat template adds to a call: the longest templates
in use (system preambles, instructions for tools and schemas) add some 350."""
TOKENS_PER_MESSAGE = 8
"""Upper bound of the tokens that a chat template adds to a message; OpenAI documents 3 or 4."""
OPENAI = "https://api.openai.com/v1"
OPENAI_BATCH = Decimal("0.5")
"""OpenAI's documented price of its Batch API, relative to the same call online."""
PLAIN_TIERS = frozenset({"auto", "default", "standard", "on_demand"})
"""Service tiers that cost the plain price."""
UNBOUNDED = frozenset({"audio", "modalities", "prediction", "web_search_options"})
"""Members of a request whose price depends on more than the text sent and max_tokens."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


_Quote = Callable[[datetime, bool, str | None], Card | None]
"""Function of a time, the use of the Batch API and a service tier; its card is None if unknown."""


class Pricing:
    """Price of an endpoint's model, made by `pricing`; safe to share between threads.

    Fees for anything but tokens and requests (searches, storage) are not counted.

    Args:
        source: Origin of the price: "settings", "genai-prices 0.2.3: openai gpt-4o" or "unknown".
        quote: Function that returns the card of a time, the use of the Batch API and a tier.
        batched: True if the endpoint's calls may be sent as batches.
        tier: Service tier that the endpoint's sampling parameters request.
        longest: Length of the model's context in tokens, if known.

    Attributes:
        known: True if the price is known.
    """

    def __init__(
        self,
        source: str,
        quote: _Quote,
        *,
        batched: bool = False,
        tier: str | None = None,
        longest: int | None = None,
    ) -> None:
        self.source = source
        self._quote = quote
        self._batched = batched
        self._tier = tier
        self._longest = longest
        self._cards: dict[tuple[bool, str | None], Card | None] = {}
        self._cards_until_tomorrow: dict[str | None, tuple[Card | None, ...]] = {}
        self._minute = 0
        self.known = quote(datetime.now(UTC), False, None) is not None

    def cost(
        self, tokens: Tokens | None, *, batch: bool = False, tier: str | None = None
    ) -> Decimal | None:
        """Return the present cost of a response in US dollars; None if tokens or price are unknown.

        Args:
            batch: True if the Batch API processed the request.
            tier: Service tier in the response; None for the tier of the endpoint's sampling.
        """
        if tokens is None or (card := self._card(batch, tier or self._tier)) is None:
            return None
        rates = rates_at(card, tokens.input)
        cached = min(tokens.cached, tokens.input)
        written = min(tokens.written, tokens.input - cached)
        plain = tokens.input - cached - written
        cost = rates.request + rates.input * plain
        cost += rates.cached * cached + rates.written * written
        if tokens.output:
            if rates.output is None or rates.reasoning is None:
                return None
            reasoning = min(tokens.reasoning, tokens.output)
            cost += rates.output * (tokens.output - reasoning) + rates.reasoning * reasoning
        return cost

    def most(self, call: Call) -> Decimal | None:
        """Return the worst case of an attempt in US dollars, with or without a response.

        Input: a token for each UTF-8 byte of the body's JSON, since a token of a byte-level BPE has
        at least one byte (Radford et al., 2019), and the additions of a chat template
        (TOKENS_PER_CALL, TOKENS_PER_MESSAGE). Output: max_completion_tokens or max_tokens, else the
        model's whole context, times n. Price: the highest price until tomorrow, since a batch may
        take a day.

        Returns:
            Worst case, or None if there is no bound: no price, no limit of the output, images or
            other parts that are not text, members in UNBOUNDED.
        """
        body = call.body
        cards = self._all_cards_until_tomorrow(body.get("service_tier"))
        if all(card is not None and is_free(card) for card in cards):
            return Decimal(0)
        messages = body.get("messages", ())
        if UNBOUNDED & body.keys() or not all(_is_text(message) for message in messages):
            return None
        size = len(_encode(body).encode("utf-8", "surrogatepass"))
        input_tokens = size + TOKENS_PER_CALL + TOKENS_PER_MESSAGE * len(messages)
        output_tokens = 0 if call.url.endswith("/embeddings") else self._most_output(body)
        if output_tokens is None:
            return None
        costs: list[Decimal] = []
        for card in cards:
            cost = None if card is None else worst_case(card, input_tokens, output_tokens)
            if cost is None:
                return None
            costs.append(cost)
        return max(costs)

    def _most_output(self, body: dict[str, Any]) -> int | None:
        """Return an upper bound of the output tokens; None if there is none."""
        limits = [body.get("max_completion_tokens"), body.get("max_tokens")]
        # Some servers use -1 for no limit.
        known = [limit for limit in limits if isinstance(limit, int) and limit > 0]
        answers = body.get("n") or 1
        longest = max(known, default=self._longest)
        return None if longest is None or not isinstance(answers, int) else longest * answers

    def _card(self, batch: bool, tier: str | None) -> Card | None:
        self._drop_old_cards()
        cards, key = self._cards, (batch, tier)
        if key not in cards:
            cards[key] = self._quote(datetime.now(UTC), batch, tier)
        return cards[key]

    def _all_cards_until_tomorrow(self, tier: str | None) -> tuple[Card | None, ...]:
        """Return the cards that may apply until tomorrow, plain prices too, as tiers fall back."""
        self._drop_old_cards()
        cache = self._cards_until_tomorrow
        if tier not in cache:
            now = datetime.now(UTC)
            # A batch of unknown price costs at most the price of the same calls online.
            batch = self._batched and self._quote(now, True, None) is not None
            times = [now + timedelta(minutes=30 * step) for step in range(49)]
            cache[tier] = tuple(
                {self._quote(at, batch, either) for at in times for either in (None, tier)}
            )
        return cache[tier]

    def _drop_old_cards(self) -> None:
        # Prices may change by the hour of the day, so a card is valid for a minute.
        if (minute := int(time.time()) // 60) != self._minute:
            self._cards, self._cards_until_tomorrow, self._minute = {}, {}, minute


def pricing(endpoint: Endpoint) -> Pricing:
    """Return the price of an endpoint's model: from its settings, else from the library.

    The function uses no network.

    Example:
        >>> from persona_assets.generation.calls.endpoint import Price
        >>> price = Price(input=Decimal(2), output=Decimal(10))
        >>> model = pricing(Endpoint(model="m", base_url="http://localhost/v1", price=price))
        >>> model.source, model.cost(Tokens(input=1_000, output=500))
        ('settings', Decimal('0.007000'))
    """
    batched = endpoint.transport == "batch"
    if endpoint.price is not None:
        cards = cards_from_settings(endpoint.price)
        return Pricing("settings", lambda at, batch, tier: cards[batch], batched=batched)
    # As in the `openai` package.
    url = endpoint.base_url or os.environ.get("OPENAI_BASE_URL", OPENAI)
    match = _find_model(url, endpoint.model)
    if match is None:
        return Pricing("unknown", lambda at, batch, tier: None)
    provider, model = match
    return Pricing(
        f"genai-prices {version('genai-prices')}: {provider.id} {model.id}",
        lambda at, batch, tier: _quote(provider, model, at, batch, tier),
        batched=batched,
        tier=endpoint.sampling.get("service_tier"),
        longest=model.context_window,
    )


@cache
def _find_model(url: str, model: str) -> "tuple[Provider, ModelInfo] | None":
    """Return the library's provider at `url` and its model, or None."""
    # The library's built-in prices: other code in this process may have set fetched prices.
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot

    parts = urlsplit(url)
    if parts.hostname is None:
        return None
    origin = f"{parts.scheme}://{parts.hostname}"
    snapshot = DataSnapshot(providers=providers, from_auto_update=False)
    try:
        provider = snapshot.find_provider(None, None, origin + parts.path)
        provider_and_model = snapshot.find_provider_model(model, provider, None, None)
    except LookupError:
        return None
    # The patterns have no end: api.openai.com.example.org would match, but is not OpenAI.
    match = re.match(provider.api_pattern, origin + parts.path)
    return provider_and_model if match is not None and "." not in origin[match.end() :] else None


def _quote(
    provider: "Provider", model: "ModelInfo", at: datetime, batch: bool, tier: str | None
) -> Card | None:
    """Return the library's prices as a card; None without a price for this tier or for batches."""
    context = {"processing": "batch"}
    if not batch:
        if tier is None or tier in PLAIN_TIERS:
            return card_from_library(model.get_prices(at))
        context = {"service_tier": tier}
    # The library returns the plain price for a context that it does not know.
    if any(known is model for known in provider.models) and any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(at))
        for variant in model.price_variants or ()
    ):
        return card_from_library(model.get_prices(at, context))
    if batch and provider.id == "openai":
        plain = card_from_library(model.get_prices(at))
        return None if plain is None else scale_rates(plain, OPENAI_BATCH)
    return None


def _is_text(message: object) -> bool:
    """Return True if a message consists of text alone."""
    content = as_object(message).get("content")
    if isinstance(content, list):
        return all(as_object(part).get("type") == "text" for part in content)
    return True
