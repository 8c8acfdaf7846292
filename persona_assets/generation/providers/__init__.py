"""Providers of models: a file per provider, which holds its differences from OpenAI's API.

Belongs here: how a provider's requests, replies, error rules and headers differ. Does not belong
here: retries, limits, prices, and whatever all providers share.

An installed package adds a provider by an entry point of the group "persona_assets.providers".
"""

import os
from functools import cache
from urllib.parse import urlsplit

from persona_assets.generation.providers.base import Address, Connection, Provider, Shutdown
from persona_assets.generation.providers.error_rules import Meaning, Rule
from persona_assets.registry import Registry

__all__ = [
    "PROVIDERS",
    "Address",
    "Connection",
    "Meaning",
    "Provider",
    "Rule",
    "Shutdown",
    "provider_of",
]

PROVIDERS: Registry[type[Provider]] = Registry(
    "persona_assets.providers",
    {
        "openai": "persona_assets.generation.providers.openai:OpenAI",
        "azure": "persona_assets.generation.providers.azure:Azure",
        "openrouter": "persona_assets.generation.providers.openrouter:OpenRouter",
        "ollama": "persona_assets.generation.providers.ollama:Ollama",
        "vllm": "persona_assets.generation.providers.vllm:VLLM",
        "gemini": "persona_assets.generation.providers.gemini:Gemini",
        "zhipu": "persona_assets.generation.providers.zhipu:Zhipu",
        "compatible": "persona_assets.generation.providers.base:Provider",
    },
)
"""Providers by name, in the order in which they are tried on a URL."""

DEFAULT_URL = "https://api.openai.com/v1"
"""Base URL of the `openai` package where neither settings nor OPENAI_BASE_URL name another."""


def provider_of(endpoint: Address) -> Provider:
    """Return the provider that an endpoint names, else the first that serves its base URL.

    Raises:
        RegistryError: An installed provider cannot be imported.

    Example:
        >>> from persona_assets.generation import Endpoint
        >>> type(provider_of(Endpoint(model="m", base_url="https://openrouter.ai/api/v1"))).__name__
        'OpenRouter'
        >>> type(provider_of(Endpoint(model="m", base_url="http://127.0.0.1:8000/v1"))).__name__
        'Provider'
    """
    url = endpoint.base_url or os.environ.get("OPENAI_BASE_URL", DEFAULT_URL)
    return _provider(endpoint.provider, url)


@cache
def _provider(name: str | None, url: str) -> Provider:
    if name is not None:
        return PROVIDERS.get(name)()
    parts = urlsplit(url)
    providers = (provider() for _, provider in PROVIDERS.all())
    return next((provider for provider in providers if provider.serves(parts)), Provider())
