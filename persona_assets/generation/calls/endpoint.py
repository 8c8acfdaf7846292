"""Settings of a role's endpoint."""

import os
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from persona_assets.generation.calls.errors import EndpointRefused


class Price(BaseModel):
    """Price of a model's tokens, in US dollars per million.

    Attributes:
        input: Price of input tokens.
        output: Price of output tokens.
        cached: Price of input tokens that the provider had cached; None: the price of all input.
        batch: Factor on all prices by way of the Batch API; None: unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cached: Decimal | None = Field(default=None, ge=0)
    batch: Decimal | None = Field(default=None, ge=0, le=1)


class Endpoint(BaseModel):
    """OpenAI-compatible endpoint of a role, and the limits on its use. Times are in seconds.

    Attributes:
        model: Name sent with each call.
        base_url: None is the default of the `openai` package.
        provider: Name of the provider whose differences from OpenAI's API apply; None: detected
            from the host of `base_url`.
        api_version: Sent as the query parameter `api-version`, which the older API of Azure needs.
        api_key_env: Name of the environment variable that holds the key, never the key itself;
            None: the server needs no key.
        transport: "batch" sends by way of the provider's Batch API, in hours and for less money.
        concurrency: Most calls in flight; also the most that a kill can make you pay for twice.
        requests_per_minute: Limit of the account; None: learned from the endpoint's responses.
        tokens_per_minute: Limit of the account; None: learned from the endpoint's responses.
        timeout: Limit of an attempt.
        deadline: Limit of a call, all attempts and the pauses between them together.
        max_attempts: Attempts that may fail before the call does; a rate limit costs no attempt.
        larger_retry: Factor on max_tokens for the only retry of a truncated answer; 1: no retry.
        reasks: Retries of a question whose answer does not have the required form.
        structured_output: Form of `response_format` that the endpoint accepts.
        price: Price of the model, where the price library lacks it or your contract differs.
        batch_poll: Time between two polls of a batch.
        sampling: Parameters that override each prompt's; None removes it (`{"max_tokens": None}`).
        weights_sha256: Hash of a local model's weights, so that new weights are new completions.

    Example:
        >>> Endpoint(model="gpt-4o", sampling={"temperature": 0}).host
        'the default endpoint'
    """

    # Inputs are hidden since a rejected value may be a key in the wrong place.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    model: str = Field(min_length=1)
    base_url: str | None = None
    provider: str | None = None
    api_version: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]+$")
    api_key_env: str | None = "OPENAI_API_KEY"
    transport: Literal["online", "batch"] = "online"
    concurrency: int = Field(default=64, ge=1)
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    timeout: float = Field(default=120.0, gt=0)
    deadline: float = Field(default=600.0, gt=0)
    max_attempts: int = Field(default=6, ge=1)
    larger_retry: float = Field(default=2.0, ge=1)
    reasks: int = Field(default=2, ge=0, le=2)
    structured_output: Literal["json_schema", "json_object", "none"] = "json_schema"
    sampling: dict[str, Any] = {}
    price: Price | None = None
    batch_poll: float = Field(default=60.0, gt=0)
    weights_sha256: str | None = None

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
