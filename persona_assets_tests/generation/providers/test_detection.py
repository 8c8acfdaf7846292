"""The provider of an endpoint is detected from its address or named in the settings."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from persona_assets.generation import (
    Endpoint,
)
from persona_assets.generation.providers import PROVIDERS, Provider, provider_of

Make = Callable[..., Endpoint]


BUILT_IN = [
    "openai",
    "azure",
    "openrouter",
    "ollama",
    "vllm",
    "gemini",
    "zhipu",
    "compatible",
]


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        (None, "OpenAI"),
        ("https://api.openai.com/v1", "OpenAI"),
        ("https://eu.api.openai.com/v1", "OpenAI"),
        ("https://api.openai.com.example.org/v1", "Provider"),
        ("https://notapi.openai.com/v1", "Provider"),
        ("https://res.openai.azure.com", "Azure"),
        ("https://res.openai.azure.com/openai/v1", "Azure"),
        ("https://res.services.ai.azure.com/openai/v1", "Azure"),
        ("https://openrouter.ai/api/v1", "OpenRouter"),
        ("http://127.0.0.1:11434/v1", "Ollama"),
        ("https://ollama.com/v1", "Ollama"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "Gemini"),
        ("https://open.bigmodel.cn/api/paas/v4", "Zhipu"),
        ("https://api.z.ai/api/paas/v4", "Zhipu"),
        ("http://127.0.0.1:8000/v1", "Provider"),
        ("http://vllm:8000/v1", "Provider"),
    ],
)
def test_provider_is_detected_from_the_host(
    monkeypatch: pytest.MonkeyPatch, base_url: str | None, name: str
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert type(provider_of(Endpoint(model="m", base_url=base_url))).__name__ == name


def test_provider_is_detected_from_the_address_that_the_openai_package_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://openrouter.ai/api/v1")
    assert type(provider_of(Endpoint(model="m"))).__name__ == "OpenRouter"


def test_provider_in_the_settings_overrides_the_host() -> None:
    gateway = Endpoint(model="m", base_url="https://gateway.example.org/v1", provider="azure")
    assert type(provider_of(gateway)).__name__ == "Azure"
    plain = Endpoint(model="m", base_url="https://openrouter.ai/api/v1", provider="compatible")
    assert type(provider_of(plain)) is Provider


def test_provider_of_an_unknown_name_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValidationError, match="did you mean 'azure'"):
        Endpoint(model="m", provider="asure")


def test_built_in_providers_are_all_importable() -> None:
    assert [name for name, _ in PROVIDERS.all()][: len(BUILT_IN)] == BUILT_IN
    assert all(issubclass(provider, Provider) for _, provider in PROVIDERS.all())
