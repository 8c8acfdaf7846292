"""What calls cost: the price in the settings, else the genai-prices library, else unknown.

A price is never guessed: the library is asked only for a provider that it knows by the endpoint's
URL, so a server of your own has the price that its settings give it, or none.
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
    card_of,
    cards_of_settings,
    is_free,
    rates_at,
    scale_rates,
    worst_case,
)
from persona_assets.generation.money.usage import Tokens

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

PER_CALL = 512
"""Tokens that a provider's chat template may put around the messages of one call: the longest in
use (system preambles, instructions for tools and schemas) have some 350."""
PER_MESSAGE = 8
"""Tokens that a chat template puts around one message; OpenAI documents 3 or 4."""
OPENAI = "https://api.openai.com/v1"
OPENAI_BATCH = Decimal("0.5")
"""OpenAI's documented price of its Batch API, relative to the same call online."""
PLAIN_TIERS = frozenset({"auto", "default", "standard", "on_demand"})
UNBOUNDED = frozenset({"audio", "modalities", "prediction", "web_search_options"})
"""Members of a body that are billed by more than the text sent and max_tokens."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


_Quote = Callable[[datetime, bool, str | None], Card | None]
"""The card at a time, by way of the Batch API or not, in a service tier; None if unknown."""


class Pricing:
    """The price of one endpoint's model. Made by `pricing`; safe to share between threads.

    known: whether there is a price at all.
    source: "settings", "genai-prices 0.2.3: openai gpt-4o", or "unknown".

    Fees for anything but tokens and requests (searches, storage) are not counted.
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
        self._soon: dict[str | None, tuple[Card | None, ...]] = {}
        self._minute = 0
        self.known = quote(datetime.now(UTC), False, None) is not None

    def cost(
        self, tokens: Tokens | None, *, batch: bool = False, tier: str | None = None
    ) -> Decimal | None:
        """US dollars that an answer of now costs; None where tokens or price are unknown.

        tier: the answer's `service_tier`; None is the one that the endpoint's sampling asks for.
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
        """The most, in US dollars, that one attempt can cost, be it answered or not.

        Input: one token for each UTF-8 byte of the body's JSON, since a token of a byte-level BPE
        has at least one byte (Radford et al., 2019), and what a chat template adds (PER_CALL,
        PER_MESSAGE). Output: max_completion_tokens or max_tokens, else the model's whole context,
        times n. Price: the dearest until tomorrow, which is how long a batch may take. None where
        there is no such bound: no price, no limit of the output, images and other parts that are
        not text, members in UNBOUNDED.
        """
        body = call.body
        cards = self._cards_soon(body.get("service_tier"))
        if all(card is not None and is_free(card) for card in cards):
            return Decimal(0)
        messages = body.get("messages", ())
        if UNBOUNDED & body.keys() or not all(_is_text(message) for message in messages):
            return None
        size = len(_encode(body).encode("utf-8", "surrogatepass"))
        input_tokens = size + PER_CALL + PER_MESSAGE * len(messages)
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
        limits = [body.get("max_completion_tokens"), body.get("max_tokens")]
        # Some servers take -1 for no limit.
        known = [limit for limit in limits if isinstance(limit, int) and limit > 0]
        answers = body.get("n") or 1
        longest = max(known, default=self._longest)
        return None if longest is None or not isinstance(answers, int) else longest * answers

    def _card(self, batch: bool, tier: str | None) -> Card | None:
        self._forget()
        cards, key = self._cards, (batch, tier)
        if key not in cards:
            cards[key] = self._quote(datetime.now(UTC), batch, tier)
        return cards[key]

    def _cards_soon(self, tier: str | None) -> tuple[Card | None, ...]:
        """All cards that may apply until tomorrow; the plain ones too, since tiers fall back."""
        self._forget()
        soon = self._soon
        if tier not in soon:
            now = datetime.now(UTC)
            # A batch whose price nobody knows costs at most what the same calls cost online.
            batch = self._batched and self._quote(now, True, None) is not None
            times = [now + timedelta(minutes=30 * step) for step in range(49)]
            soon[tier] = tuple(
                {self._quote(at, batch, asked) for at in times for asked in (None, tier)}
            )
        return soon[tier]

    def _forget(self) -> None:
        # Prices may change by the hour of the day, so what was quoted is good for a minute.
        if (minute := int(time.time()) // 60) != self._minute:
            self._cards, self._soon, self._minute = {}, {}, minute


def pricing(endpoint: Endpoint) -> Pricing:
    """The price of `endpoint`'s model: of its settings, else of the library. Touches no network."""
    batched = endpoint.transport == "batch"
    if endpoint.price is not None:
        cards = cards_of_settings(endpoint.price)
        return Pricing("settings", lambda at, batch, tier: cards[batch], batched=batched)
    # As the `openai` package does it.
    url = endpoint.base_url or os.environ.get("OPENAI_BASE_URL", OPENAI)
    found = _find(url, endpoint.model)
    if found is None:
        return Pricing("unknown", lambda at, batch, tier: None)
    provider, model = found
    return Pricing(
        f"genai-prices {version('genai-prices')}: {provider.id} {model.id}",
        lambda at, batch, tier: _quote(provider, model, at, batch, tier),
        batched=batched,
        tier=endpoint.sampling.get("service_tier"),
        longest=model.context_window,
    )


@cache
def _find(url: str, model: str) -> "tuple[Provider, ModelInfo] | None":
    """The library's provider at `url` and its model, or None."""
    # The library's own snapshot: another user of it in this process may have set a fetched one.
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot

    parts = urlsplit(url)
    if parts.hostname is None:
        return None
    origin = f"{parts.scheme}://{parts.hostname}"
    snapshot = DataSnapshot(providers=providers, from_auto_update=False)
    try:
        provider = snapshot.find_provider(None, None, origin + parts.path)
        found = snapshot.find_provider_model(model, provider, None, None)
    except LookupError:
        return None
    # Its patterns have no end: api.openai.com.example.org is not OpenAI.
    match = re.match(provider.api_pattern, origin + parts.path)
    return found if match is not None and "." not in origin[match.end() :] else None


def _quote(
    provider: "Provider", model: "ModelInfo", at: datetime, batch: bool, tier: str | None
) -> Card | None:
    """The library's prices as a card; None where it has none for tokens, this way or tier."""
    context = {"processing": "batch"}
    if not batch:
        if tier is None or tier in PLAIN_TIERS:
            return card_of(model.get_prices(at))
        context = {"service_tier": tier}
    # For a context that it does not know, the library gives the plain price.
    if any(it is model for it in provider.models) and any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(at))
        for variant in model.price_variants or ()
    ):
        return card_of(model.get_prices(at, context))
    if batch and provider.id == "openai":
        plain = card_of(model.get_prices(at))
        return None if plain is None else scale_rates(plain, OPENAI_BATCH)
    return None


def _is_text(message: object) -> bool:
    content = as_object(message).get("content")
    if isinstance(content, list):
        return all(as_object(part).get("type") == "text" for part in content)
    return True
