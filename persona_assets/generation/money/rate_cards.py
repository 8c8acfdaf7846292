"""Rate cards: US dollars per token, by length of the input."""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from persona_assets.generation.calls.endpoint import Price

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices

MILLION = 10**6


@dataclass(frozen=True, slots=True)
class TokenRates:
    """US dollars per token and per request at a given length of the input; None is unknown.

    Args:
        input: Price of an input token that is neither cached nor written.
        cached: Price of an input token read from the provider's cache.
        written: Price of an input token written to the provider's cache.
        output: Price of an output token that is no reasoning token.
        reasoning: Price of a reasoning token.
        request: Price of the request as such.
        most_input: Highest price of an input token of a text-only call (writing to the provider's
            cache can cost more than plain input).
        most_output: Highest price of an output token of a text-only call.
    """

    input: Decimal
    cached: Decimal
    written: Decimal
    output: Decimal | None
    reasoning: Decimal | None
    request: Decimal
    most_input: Decimal
    most_output: Decimal | None


Card = tuple[tuple[int, TokenRates], ...]
"""Pairs (length, rates), longest first: rates of calls with more than `length` input tokens."""


def cards_from_settings(price: Price) -> dict[bool, Card | None]:
    """Return the cards of a price in the settings: for online calls (False) and batches (True)."""
    cached = price.input if price.cached is None else price.cached
    rates = TokenRates(
        input=price.input / MILLION,
        cached=cached / MILLION,
        written=price.input / MILLION,
        output=price.output / MILLION,
        reasoning=price.output / MILLION,
        request=Decimal(0),
        most_input=max(price.input, cached) / MILLION,
        most_output=price.output / MILLION,
    )
    card = ((-1, rates),)
    return {False: card, True: None if price.batch is None else scale_rates(card, price.batch)}


def card_from_library(price: "ModelPrice") -> Card | None:
    """Return the card of a price of the genai-prices library; None without a price for tokens."""
    prices: dict[str, Decimal | TieredPrices] = {
        name: value for name, value in vars(price).items() if value is not None
    }
    # An empty list of prices may mean a free model or a subscription.
    if "input_mtok" not in prices:
        return None
    starts = {-1}
    for value in prices.values():
        if not isinstance(value, Decimal):
            starts |= {tier.start for tier in value.tiers}
    return tuple(
        (start, _rates_at_length(prices, start + 1)) for start in sorted(starts, reverse=True)
    )


def _rates_at_length(prices: "dict[str, Decimal | TieredPrices]", length: int) -> TokenRates:
    """Return the rates of calls with `length` input tokens."""
    flat: dict[str, Decimal] = {}
    for name, value in prices.items():
        if isinstance(value, Decimal):
            flat[name] = value
        else:
            reached = [tier.price for tier in value.tiers if length > tier.start]
            flat[name] = reached[-1] if reached else value.base
    token = {name: value / MILLION for name, value in flat.items() if name.endswith("_mtok")}
    output = token.get("output_mtok")
    outputs = [value for name, value in token.items() if name.startswith("output_")]
    return TokenRates(
        input=token["input_mtok"],
        cached=token.get("cache_read_mtok", token["input_mtok"]),
        written=token.get("cache_write_mtok", token["input_mtok"]),
        output=output,
        reasoning=token.get("output_reasoning_mtok", output),
        request=flat.get("requests_kcount", Decimal(0)) / 1000,
        most_input=max(
            value for name, value in token.items() if name.startswith(("input_mtok", "cache_"))
        ),
        most_output=None if output is None else max(outputs),
    )


def scale_rates(card: Card, factor: Decimal) -> Card:
    """Multiply all rates of a card."""

    def scaled(value: Decimal | None) -> Any:
        return None if value is None else value * factor

    return tuple(
        (start, TokenRates(*(scaled(getattr(rates, name)) for name in TokenRates.__slots__)))
        for start, rates in card
    )


def rates_at(card: Card, length: int) -> TokenRates:
    """Return the rates of calls with `length` input tokens."""
    for start, rates in card:
        if length > start:
            return rates
    raise ValueError(f"{length} input tokens: a count is 0 or more")


def is_free(card: Card) -> bool:
    """Return True if no length of the input is billed."""
    return not any(rates.most_input or rates.most_output or rates.request for _, rates in card)


def worst_case(card: Card, input_tokens: int, output_tokens: int) -> Decimal | None:
    """Return the highest cost of a call, in US dollars; None if the price of output is unknown.

    The maximum is over all input lengths up to `input_tokens`, since a card may price shorter
    inputs higher.

    Args:
        input_tokens: Upper bound of the input tokens.
        output_tokens: Upper bound of the output tokens.

    Example:
        >>> from persona_assets.generation.calls.endpoint import Price
        >>> price = Price(input=Decimal(2), output=Decimal(10))
        >>> card = cards_from_settings(price)[False]
        >>> worst_case(card, 1_000, 500)
        Decimal('0.007000')
    """
    costs: list[Decimal] = []
    for start, rates in card:
        if output_tokens and rates.most_output is None:
            return None
        if input_tokens > start:
            output = (rates.most_output or Decimal(0)) * output_tokens
            costs.append(rates.request + rates.most_input * input_tokens + output)
    return max(costs)
