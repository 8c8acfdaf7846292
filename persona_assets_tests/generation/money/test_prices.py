"""A price is that of the settings, else of the library for the endpoint's host, else unknown."""

import json
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data import providers
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.generation.calls.call import Call
from persona_assets.generation.calls.endpoint import Endpoint, Price
from persona_assets.generation.money.prices import Pricing, pricing
from persona_assets.generation.money.usage import Tokens

OPENAI = "https://api.openai.com/v1"
LOCAL = "http://127.0.0.1:8000/v1"
SHORT, LONG = Tokens(1_000, 200, 300, 50), Tokens(600_000, 20_000, 3_000, 500)
WITH_WRITTEN = Tokens(1_000, 200, 300, written=400)


def price_of(model: str, base_url: str | None = OPENAI, **settings: Any) -> Pricing:
    return pricing(Endpoint(model=model, base_url=base_url, **settings))


def library_cost(model: str, tokens: Tokens, url: str = OPENAI, **context: str) -> Decimal:
    """Return the cost that the library itself computes."""
    usage = Usage(
        input_tokens=tokens.input,
        cache_read_tokens=tokens.cached,
        cache_write_tokens=tokens.written,
        output_tokens=tokens.output,
        output_reasoning_tokens=tokens.reasoning,
    )
    calculation = calc_price(usage, model, provider_api_url=url, price_context=context)
    return calculation.total_price


def chat(*contents: Any, **members: Any) -> Call:
    messages = [{"role": "user", "content": content} for content in contents]
    return Call("key", "/chat/completions", {"model": "m", "messages": messages, **members})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("openai", OPENAI),
        ("openrouter", "https://openrouter.ai/api/v1"),
        ("groq", "https://api.groq.com/openai/v1"),
        ("together", "https://api.together.xyz/v1"),
        ("perplexity", "https://api.perplexity.ai"),
        ("mistral", "https://api.mistral.ai/v1"),
    ],
)
def test_every_model_of_a_provider_costs_the_price_of_the_library(host: str, url: str) -> None:
    [provider] = [provider for provider in providers if provider.id == host]
    known = 0
    for model in provider.models:
        price = price_of(model.id, url)
        for tokens in (SHORT, LONG, WITH_WRITTEN):
            cost = price.cost(tokens)
            assert price.known or cost is None
            assert cost is None or cost == library_cost(model.id, tokens, url), model.id
        known += price.known
    assert known > len(provider.models) / 2


@given(
    st.sampled_from(["gpt-4o-mini", "gpt-5.4", "gpt-6-luna", "o3", "gpt-3.5-turbo"]),
    st.integers(0, 400_000),
    st.floats(0, 1),
    st.integers(0, 100_000),
)
def test_cost_of_cached_input_and_long_contexts_equals_that_of_the_library(
    model: str, input_tokens: int, cached: float, output_tokens: int
) -> None:
    tokens = Tokens(input_tokens, int(input_tokens * cached), output_tokens)
    assert price_of(model).cost(tokens) == library_cost(model, tokens)


def test_price_of_long_contexts_starts_at_the_same_length_as_in_the_library() -> None:
    below, above = Tokens(272_000), Tokens(272_001)
    assert price_of("gpt-5.4").cost(below) == library_cost("gpt-5.4", below) == Decimal("0.68")
    assert price_of("gpt-5.4").cost(above) == library_cost("gpt-5.4", above) > Decimal("1.36")


def test_batch_costs_the_batch_price_of_the_library() -> None:
    cost = price_of("gpt-5-mini").cost(SHORT, batch=True)
    assert cost == library_cost("gpt-5-mini", SHORT, processing="batch")


def test_batch_costs_half_at_openai_if_the_library_has_no_batch_price() -> None:
    embeddings = price_of("text-embedding-3-small")
    assert embeddings.cost(Tokens(1_000), batch=True) == Decimal("0.00001")


def test_batch_price_of_other_providers_is_unknown_if_the_library_has_none() -> None:
    azure = price_of("gpt-4o", "https://mine.openai.azure.com/openai/v1")
    assert azure.known
    assert azure.cost(SHORT, batch=True) is None


def test_service_tier_costs_its_own_price() -> None:
    price = price_of("gpt-5-mini")
    assert price.cost(SHORT, tier="priority") == library_cost(
        "gpt-5-mini", SHORT, service_tier="priority"
    )
    assert price.cost(SHORT, tier="default") == price.cost(SHORT)
    assert price.cost(SHORT, tier="unheard-of") is None


def test_service_tier_of_the_sampling_is_the_default() -> None:
    flex = price_of("gpt-5-mini", sampling={"service_tier": "flex"})
    assert flex.cost(SHORT) == library_cost("gpt-5-mini", SHORT, service_tier="flex")


def test_free_model_has_a_worst_case_without_a_limit_of_the_output() -> None:
    free = price_of("m", price=Price(input=Decimal(0), output=Decimal(0)))
    assert free.most(chat("as long as you like")) == 0
    free_input = price_of("m", price=Price(input=Decimal(0), output=Decimal(1)))
    assert free_input.most(chat("a")) is None


def test_price_in_the_settings_replaces_the_price_of_the_library() -> None:
    price = Price(input=Decimal(2), cached=Decimal(1), output=Decimal(10), batch=Decimal("0.25"))
    settings_price = price_of("gpt-4o", price=price)
    assert (settings_price.source, settings_price.known) == ("settings", True)
    assert settings_price.cost(Tokens(1_000_000, 500_000, 100_000)) == Decimal("2.5")
    assert settings_price.cost(Tokens(1_000_000, 0, 0), batch=True) == Decimal("0.5")


def test_price_in_the_settings_has_defaults_for_cached_input_but_not_for_batches() -> None:
    price = Price(input=Decimal(2), output=Decimal(0))
    settings_price = price_of("mine", LOCAL, price=price)
    assert settings_price.cost(Tokens(1_000_000, 500_000)) == Decimal(2)
    assert settings_price.cost(SHORT, batch=True) is None


def test_price_of_zero_in_the_settings_is_a_price() -> None:
    free = price_of("mine", LOCAL, price=Price(input=Decimal(0), output=Decimal(0)))
    assert free.cost(SHORT) == 0


@pytest.mark.parametrize(
    ("model", "url"),
    [
        ("gpt-4o", "http://127.0.0.1:8000/v1"),
        ("gpt-4o", "http://localhost/v1"),
        ("gpt-4o", "https://llm.example.org/v1"),
        ("gpt-4o", "https://api.openai.com.example.org/v1"),
        ("gpt-4o", "https://example.org/https://api.openai.com/v1"),
        ("no-such-model", OPENAI),
        ("omni-moderation-latest", OPENAI),
    ],
)
def test_unknown_price_is_none_and_never_zero(model: str, url: str) -> None:
    price = price_of(model, url)
    assert not price.known
    assert price.cost(SHORT) is None
    assert price.cost(Tokens()) is None
    assert price.most(chat("hello", max_tokens=10)) is None


def test_price_is_of_openai_without_a_base_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    source = price_of("gpt-4o", None).source
    assert source.startswith("genai-prices ")
    assert source.endswith(": openai gpt-4o")
    assert price_of("gpt-4o", "https://API.OpenAI.com:443/v1").source == source
    assert price_of("no-such-model", None).source == "unknown"


def test_price_is_of_the_host_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", LOCAL)
    assert price_of("gpt-4o", None).source == "unknown"


def test_cost_of_unknown_tokens_is_unknown() -> None:
    price = price_of("mine", price=Price(input=Decimal(2), output=Decimal(1)))
    assert price.cost(None) is None


def test_cost_bounds_the_parts_of_nonsensical_counts_by_their_sums() -> None:
    price = price_of("mine", price=Price(input=Decimal(2), cached=Decimal(1), output=Decimal(1)))
    assert price.cost(Tokens(10, cached=50, output=5, reasoning=9)) == Decimal("0.000015")


@settings(deadline=None)
@given(
    st.sampled_from(["gpt-4o-mini", "gpt-5.4", "gpt-6-luna", "deepseek-chat"]),
    st.lists(st.text(max_size=400), min_size=1, max_size=6),
    st.integers(1, 30_000),
    st.integers(1, 4),
    st.booleans(),
)
def test_no_response_costs_more_than_the_worst_case(
    model: str, texts: list[str], limit: int, answers: int, long: bool
) -> None:
    """The tokenizer assumed here is the worst possible: it makes a token of each byte."""
    if long:
        texts = [*texts, "x" * 280_000]
    url = "https://api.deepseek.com/v1" if model.startswith("deepseek") else OPENAI
    price = price_of(model, url)
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    most = price.most(chat(*texts, max_tokens=limit, n=answers, response_format=schema))
    size = sum(len(text.encode()) for text in texts) + 4 * len(texts) + len(json.dumps(schema))
    cost = price.cost(Tokens(size, 0, limit * answers))
    assert most is not None
    assert cost is not None
    assert cost <= most


def test_worst_case_of_a_chat_counts_bytes_template_and_longest_output() -> None:
    price = price_of("mine", price=Price(input=Decimal(1), output=Decimal(100)))
    call = chat("héllo", max_tokens=50, max_completion_tokens=70, n=3)
    body = '{"model":"m","messages":[{"role":"user","content":"héllo"}],'
    body += '"max_tokens":50,"max_completion_tokens":70,"n":3}'
    size = len(body.encode())
    assert price.most(call) == Decimal(size + 512 + 8 + 100 * 70 * 3) / 1_000_000


def test_worst_case_of_embeddings_has_no_output() -> None:
    price = price_of("mine", price=Price(input=Decimal(1), output=Decimal(100)))
    embeddings = Call("key", "/embeddings", {"model": "m", "input": ["hello"]})
    size = len('{"model":"m","input":["hello"]}')
    assert price.most(embeddings) == Decimal(size + 512) / 1_000_000


def test_worst_case_counts_a_lone_surrogate_as_three_bytes() -> None:
    price = price_of("mine", price=Price(input=Decimal(1), output=Decimal(100)))
    lone = price.most(chat("\ud800", max_tokens=1))
    assert lone == price.most(chat("...", max_tokens=1))


LONG_CALL = chat("x" * 10_000, max_tokens=1)


def test_worst_case_covers_input_written_to_the_cache() -> None:
    # Writing to the provider's cache costs a quarter more than plain input.
    online = price_of("gpt-6-luna").most(LONG_CALL)
    assert online is not None
    assert online >= Decimal("0.125") * 10_000 / 1_000_000


def test_worst_case_of_a_batch_is_half_at_openai() -> None:
    online = price_of("gpt-6-luna").most(LONG_CALL)
    batch = price_of("gpt-6-luna", transport="batch").most(LONG_CALL)
    assert online is not None
    assert batch is not None
    assert batch == online / 2


def test_worst_case_covers_a_more_expensive_service_tier() -> None:
    online = price_of("gpt-6-luna").most(LONG_CALL)
    tiered = price_of("gpt-6-luna").most(chat("x" * 10_000, max_tokens=1, service_tier="priority"))
    assert online is not None
    assert tiered is not None
    assert tiered > online


def test_worst_case_of_a_batch_of_unknown_price_is_the_plain_price() -> None:
    groq = "https://api.groq.com/openai/v1"
    plain = price_of("gemma2-9b-it", groq)
    assert plain.cost(SHORT, batch=True) is None
    batch = price_of("gemma2-9b-it", groq, transport="batch")
    assert plain.most(LONG_CALL) == batch.most(LONG_CALL) is not None


PICTURE = [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]


@pytest.mark.parametrize(
    "call",
    [
        chat("hello"),
        chat("hello", max_tokens=-1),
        chat(PICTURE, max_tokens=5),
        chat("hello", max_tokens=5, web_search_options={}),
    ],
    ids=["no limit", "negative limit", "picture", "web search"],
)
def test_worst_case_is_unknown_without_a_bound(call: Call) -> None:
    price = price_of("mine", price=Price(input=Decimal(1), output=Decimal(1)))
    assert price.most(call) is None


def test_worst_case_is_known_for_text_in_parts() -> None:
    price = price_of("mine", price=Price(input=Decimal(1), output=Decimal(1)))
    assert price.most(chat([{"type": "text", "text": "hello"}], max_tokens=5)) is not None


def test_worst_case_of_a_known_model_is_bounded_by_its_context() -> None:
    most = price_of("gpt-4o").most(chat("hello"))
    assert most is not None
    assert most > Decimal("1.28")


def test_worst_case_is_unknown_for_an_unknown_service_tier() -> None:
    call = chat("hello", service_tier="unheard-of", max_tokens=5)
    assert price_of("gpt-4o").most(call) is None
