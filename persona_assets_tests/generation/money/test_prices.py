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
SHORT, LONG = Tokens(1_000, 200, 300, 50), Tokens(600_000, 20_000, 3_000, 500)
WRITING = Tokens(1_000, 200, 300, written=400)


def of(model: str, base_url: str | None = OPENAI, **settings: Any) -> Pricing:
    return pricing(Endpoint(model=model, base_url=base_url, **settings))


def listed(model: str, tokens: Tokens, url: str = OPENAI, **context: str) -> Decimal:
    """What the library itself says."""
    usage = Usage(
        input_tokens=tokens.input,
        cache_read_tokens=tokens.cached,
        cache_write_tokens=tokens.written,
        output_tokens=tokens.output,
        output_reasoning_tokens=tokens.reasoning,
    )
    found = calc_price(usage, model, provider_api_url=url, price_context=context)
    return found.total_price


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
def test_every_model_costs_what_the_library_says(host: str, url: str) -> None:
    [provider] = [it for it in providers if it.id == host]
    known = 0
    for model in provider.models:
        price = of(model.id, url)
        for tokens in (SHORT, LONG, WRITING):
            cost = price.cost(tokens)
            assert price.known or cost is None
            assert cost is None or cost == listed(model.id, tokens, url), model.id
        known += price.known
    assert known > len(provider.models) / 2


@given(
    st.sampled_from(["gpt-4o-mini", "gpt-5.4", "gpt-6-luna", "o3", "gpt-3.5-turbo"]),
    st.integers(0, 400_000),
    st.floats(0, 1),
    st.integers(0, 100_000),
)
def test_cached_input_and_long_contexts(
    model: str, input_tokens: int, cached: float, output_tokens: int
) -> None:
    tokens = Tokens(input_tokens, int(input_tokens * cached), output_tokens)
    assert of(model).cost(tokens) == listed(model, tokens)


def test_the_step_to_the_price_of_long_contexts_is_where_the_library_has_it() -> None:
    below, above = Tokens(272_000), Tokens(272_001)
    assert of("gpt-5.4").cost(below) == listed("gpt-5.4", below) == Decimal("0.68")
    assert of("gpt-5.4").cost(above) == listed("gpt-5.4", above) > Decimal("1.36")


def test_batches_and_service_tiers() -> None:
    price = of("gpt-5-mini")
    assert price.cost(SHORT, batch=True) == listed("gpt-5-mini", SHORT, processing="batch")
    assert price.cost(SHORT, tier="priority") == listed(
        "gpt-5-mini", SHORT, service_tier="priority"
    )
    assert price.cost(SHORT, tier="default") == price.cost(SHORT)
    assert price.cost(SHORT, tier="unheard-of") is None
    flex = of("gpt-5-mini", sampling={"service_tier": "flex"})
    assert flex.cost(SHORT) == listed("gpt-5-mini", SHORT, service_tier="flex")
    # The library has no batch price of these: half for OpenAI itself, unknown for others.
    words = Tokens(1_000)
    assert of("text-embedding-3-small").cost(words, batch=True) == Decimal("0.00001")
    azure = of("gpt-4o", "https://mine.openai.azure.com/openai/v1")
    assert azure.known
    assert azure.cost(SHORT, batch=True) is None


def test_what_is_free_has_a_bound_without_a_limit() -> None:
    free = of("m", price=Price(input=Decimal(0), output=Decimal(0)))
    assert free.most(chat("as long as you like")) == 0
    assert of("m", price=Price(input=Decimal(0), output=Decimal(1))).most(chat("a")) is None


def test_the_settings_win() -> None:
    mine = Price(input=Decimal(2), cached=Decimal(1), output=Decimal(10), batch=Decimal("0.25"))
    price = of("gpt-4o", price=mine)
    assert (price.source, price.known) == ("settings", True)
    assert price.cost(Tokens(1_000_000, 500_000, 100_000)) == Decimal("2.5")
    assert price.cost(Tokens(1_000_000, 0, 0), batch=True) == Decimal("0.5")
    without = of(
        "mine", "http://127.0.0.1:8000/v1", price=Price(input=Decimal(2), output=Decimal(0))
    )
    assert without.cost(Tokens(1_000_000, 500_000)) == Decimal(2)
    assert without.cost(SHORT, batch=True) is None
    free = of("mine", "http://127.0.0.1:8000/v1", price=Price(input=Decimal(0), output=Decimal(0)))
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
def test_what_nobody_knows_is_none_and_never_nothing(model: str, url: str) -> None:
    price = of(model, url)
    assert not price.known
    assert price.cost(SHORT) is None
    assert price.cost(Tokens()) is None
    assert price.most(chat("hello", max_tokens=10)) is None


def test_the_host_is_the_one_that_calls_go_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    source = of("gpt-4o", None).source
    assert source.startswith("genai-prices ")
    assert source.endswith(": openai gpt-4o")
    assert of("gpt-4o", "https://API.OpenAI.com:443/v1").source == source
    assert of("no-such-model", None).source == "unknown"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1")
    assert of("gpt-4o", None).source == "unknown"


def test_counts_that_are_missing_or_nonsense() -> None:
    price = of("mine", price=Price(input=Decimal(2), cached=Decimal(1), output=Decimal(1)))
    assert price.cost(None) is None
    assert price.cost(Tokens(10, cached=50, output=5, reasoning=9)) == Decimal("0.000015")


@settings(deadline=None)
@given(
    st.sampled_from(["gpt-4o-mini", "gpt-5.4", "gpt-6-luna", "deepseek-chat"]),
    st.lists(st.text(max_size=400), min_size=1, max_size=6),
    st.integers(1, 30_000),
    st.integers(1, 4),
    st.booleans(),
)
def test_no_answer_costs_more_than_the_worst_case(
    model: str, texts: list[str], limit: int, answers: int, long: bool
) -> None:
    """The worst tokenizer there can be: a token for each byte."""
    if long:
        texts = [*texts, "x" * 280_000]
    url = "https://api.deepseek.com/v1" if model.startswith("deepseek") else OPENAI
    price = of(model, url)
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    most = price.most(chat(*texts, max_tokens=limit, n=answers, response_format=schema))
    size = sum(len(text.encode()) for text in texts) + 4 * len(texts) + len(json.dumps(schema))
    cost = price.cost(Tokens(size, 0, limit * answers))
    assert most is not None
    assert cost is not None
    assert cost <= most


def test_the_worst_case_in_figures() -> None:
    price = of("mine", price=Price(input=Decimal(1), output=Decimal(100)))
    call = chat("héllo", max_tokens=50, max_completion_tokens=70, n=3)
    body = '{"model":"m","messages":[{"role":"user","content":"héllo"}],'
    body += '"max_tokens":50,"max_completion_tokens":70,"n":3}'
    size = len(body.encode())
    assert price.most(call) == Decimal(size + 512 + 8 + 100 * 70 * 3) / 1_000_000
    embeddings = Call("key", "/embeddings", {"model": "m", "input": ["hello"]})
    size = len('{"model":"m","input":["hello"]}')
    assert price.most(embeddings) == Decimal(size + 512) / 1_000_000
    lone = price.most(chat("\ud800", max_tokens=1))
    assert lone == price.most(chat("...", max_tokens=1))


def test_the_worst_case_covers_what_the_provider_may_choose() -> None:
    call = chat("x" * 10_000, max_tokens=1)
    online, batch = of("gpt-6-luna").most(call), of("gpt-6-luna", transport="batch").most(call)
    assert online is not None
    assert batch is not None
    # Writing to the provider's cache costs a quarter more than plain input.
    assert online >= Decimal("0.125") * 10_000 / 1_000_000
    assert batch == online / 2
    tiered = of("gpt-6-luna").most(chat("x" * 10_000, max_tokens=1, service_tier="priority"))
    assert tiered is not None
    assert tiered > online
    # A batch price that nobody knows is at most the plain one.
    groq = "https://api.groq.com/openai/v1"
    plain = of("gemma2-9b-it", groq)
    assert plain.cost(SHORT, batch=True) is None
    assert plain.most(call) == of("gemma2-9b-it", groq, transport="batch").most(call) is not None


def test_where_there_is_no_worst_case() -> None:
    price = of("mine", price=Price(input=Decimal(1), output=Decimal(1)))
    picture = [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    assert price.most(chat("hello")) is None
    assert price.most(chat("hello", max_tokens=-1)) is None
    assert price.most(chat(picture, max_tokens=5)) is None
    assert price.most(chat("hello", max_tokens=5, web_search_options={})) is None
    assert price.most(chat([{"type": "text", "text": "hello"}], max_tokens=5)) is not None
    # Of a model that the library knows, no answer is longer than its context.
    assert of("gpt-4o").most(chat("hello")) > Decimal("1.28")  # type: ignore[operator]
    assert of("gpt-4o").most(chat("hello", service_tier="unheard-of", max_tokens=5)) is None
