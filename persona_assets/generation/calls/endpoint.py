"""Settings of a role's OpenAI-compatible endpoint."""

import os
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from persona_assets.generation.calls.errors import EndpointRefused


class Price(BaseModel):
    """Prices of a model, in US dollars per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    input: Decimal = Field(ge=0)
    """US dollars per million input tokens."""

    output: Decimal = Field(ge=0)
    """US dollars per million output tokens."""

    cached: Decimal | None = Field(default=None, ge=0)
    """US dollars per million input tokens that the provider had cached; null for the price of any
    input token."""

    batch: Decimal | None = Field(default=None, ge=0, le=1)
    """Factor on all prices for the provider's Batch API; null if unknown."""


class Endpoint(BaseModel):
    """OpenAI-compatible endpoint of one role, with its limits. Times are in seconds.

    Example:
        >>> Endpoint(model="gpt-4o", sampling={"temperature": 0}).host
        'the default endpoint'
    """

    # Inputs are hidden since a rejected value may be a key in the wrong place.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    model: str = Field(min_length=1)
    """Model name sent with each call."""

    base_url: str | None = None
    """URL of an OpenAI-compatible server; null for the default of the `openai` package."""

    provider: str | None = None
    """Name of the provider whose differences from OpenAI's API apply: openai, azure, openrouter,
    ollama, vllm, gemini, zhipu, compatible, or of an installed package; null to detect it from
    `base_url`."""

    api_version: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]+$")
    """Query parameter `api-version` of each request, which the older API of Azure needs."""

    api_key_env: str | None = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key, never the key itself; null for a server
    that needs no key."""

    transport: Literal["online", "batch"] = "online"
    """`online`, or `batch` for the provider's Batch API: hours instead of seconds, for less money.
    """

    concurrency: int = Field(default=64, ge=1)
    """Maximum number of calls in flight, and of calls that a kill can make you pay for twice."""

    requests_per_minute: int | None = Field(default=None, ge=1)
    """The account's limit on requests; null learns it from the endpoint."""

    tokens_per_minute: int | None = Field(default=None, ge=1)
    """The account's limit on tokens; null learns it from the endpoint."""

    timeout: float = Field(default=120.0, gt=0)
    """Seconds that one attempt may take."""

    deadline: float = Field(default=600.0, gt=0)
    """Seconds that one call may take, all attempts and the pauses between them together."""

    outage: float = Field(default=600.0, ge=0)
    """Seconds to wait for an endpoint that has answered before and is away: no connection, or
    status 502 or 503 to all requests. Then the run fails. The wait does not count against
    `deadline`."""

    max_attempts: int = Field(default=6, ge=1)
    """Number of failed attempts after which the call fails. A rate-limited attempt is not counted.
    """

    larger_retry: float = Field(default=2.0, ge=1)
    """Factor on `max_tokens` for the one retry of a truncated answer; 1 for no retry."""

    reasks: int = Field(default=2, ge=0, le=2)
    """Number of times a request is repeated whose answer does not have the required form."""

    structured_output: Literal["json_schema", "json_object", "none"] = "json_schema"
    """Form of `response_format` that the endpoint understands."""

    sampling: dict[str, Any] = {}
    """Sampling parameters that override each prompt's own; a null value removes the parameter."""

    price: Price | None = None
    """Price of the model, where the price library does not know it or your contract differs."""

    batch_poll: float = Field(default=60.0, gt=0)
    """Seconds between two polls of a batch."""

    weights_sha256: str | None = None
    """SHA-256 of a local model's weights: new weights are a new model, with new completions."""

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, url: str | None) -> str | None:
        # The URL appears in messages and settings, so it must not be a place for secrets.
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("base_url must look like https://host/v1")
            if parts.username or parts.password or parts.query or parts.fragment:
                raise ValueError(
                    "base_url may hold no user, password or query: "
                    "put the key into the environment variable that api_key_env names"
                )
        return url

    @field_validator("provider")
    @classmethod
    def _known_provider(cls, name: str | None) -> str | None:
        if name is not None:
            from persona_assets.generation.providers import PROVIDERS

            PROVIDERS.get(name)
        return name

    @property
    def identity(self) -> str:
        """Identity of the model in keys: its name and its weights' hash, wherever it runs."""
        return self.model if self.weights_sha256 is None else f"{self.model}@{self.weights_sha256}"

    @property
    def by_name(self) -> bool:
        """True if an answer that names another model is refused: its name vouches for weights."""
        return False

    @property
    def host(self) -> str:
        """Name of the endpoint in messages."""
        return "the default endpoint" if self.base_url is None else urlsplit(self.base_url).netloc

    def api_key(self) -> str:
        """Return the key from the environment.

        Raises:
            EndpointRefused: The variable is missing or cannot be sent as a header.
        """
        if self.api_key_env is None:
            return "none"
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise EndpointRefused(
                f"The environment variable {self.api_key_env} is not set: put the API key for "
                f"{self.host} into it, or name another variable in api_key_env. Nothing was sent."
            )
        if not (key.isascii() and key.isprintable()):
            raise EndpointRefused(
                f"The environment variable {self.api_key_env} holds characters that no API key "
                "has: set it again, without quotes or line breaks. Nothing was sent."
            )
        return key
