"""Rate cards: what one token costs, by the length of the input, in US dollars."""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from persona_assets.generation.calls.endpoint import Price

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices

MILLION = 10**6


@dataclass(frozen=True, slots=True)
class TokenRates:
    """US dollars for one token each, and for the request as such, at one length of the input.

    most_input, most_output: of the dearest kind of token that a text-only call may be billed for
    (writing to the provider's cache can cost more than plain input).
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
"""Rates by input length: each holds, for all tokens, above its number of input tokens."""


def cards_of_settings(price: Price) -> dict[bool, Card | None]:
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


def card_of(price: "ModelPrice") -> Card | None:
    prices: dict[str, Decimal | TieredPrices] = {
        name: value for name, value in vars(price).items() if value is not None
    }
    # An empty list of prices stands for free models and for subscriptions alike.
    if "input_mtok" not in prices:
        return None
    starts = {-1}
    for value in prices.values():
        if not isinstance(value, Decimal):
            starts |= {tier.start for tier in value.tiers}
    return tuple((start, _rates_of(prices, start + 1)) for start in sorted(starts, reverse=True))


def _rates_of(prices: "dict[str, Decimal | TieredPrices]", length: int) -> TokenRates:
    """Rates of calls of `length` input tokens."""
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
    def scaled(value: Decimal | None) -> Any:
        return None if value is None else value * factor

    return tuple(
        (start, TokenRates(*(scaled(getattr(rates, name)) for name in TokenRates.__slots__)))
        for start, rates in card
    )


def rates_at(card: Card, length: int) -> TokenRates:
    for start, rates in card:
        if length > start:
            return rates
    raise ValueError(f"{length} input tokens: a count is 0 or more")


def is_free(card: Card) -> bool:
    """Whether nothing is billed at any length."""
    return not any(rates.most_input or rates.most_output or rates.request for _, rates in card)


def worst_case(card: Card, input_tokens: int, output_tokens: int) -> Decimal | None:
    """Worst case of at most so many tokens, of which fewer may be dearer by a card's making."""
    costs: list[Decimal] = []
    for start, rates in card:
        if output_tokens and rates.most_output is None:
            return None
        if input_tokens > start:
            output = (rates.most_output or Decimal(0)) * output_tokens
            costs.append(rates.request + rates.most_input * input_tokens + output)
    return max(costs)
