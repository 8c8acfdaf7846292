"""Differences between providers, and the default: OpenAI's API as most servers copy it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from urllib.parse import SplitResult

from persona_assets.generation.calls.adaptation import Change
from persona_assets.generation.journal.call_record import as_list
from persona_assets.generation.parsing.embeddings import has_vectors
from persona_assets.generation.providers.error_rules import COMMON_RULES, Rule

if TYPE_CHECKING:
    from persona_assets.generation.calls.call import Call


class Address(Protocol):
    """The settings of an endpoint that providers read; `Endpoint` has them."""

    @property
    def model(self) -> str: ...

    @property
    def base_url(self) -> str | None: ...

    @property
    def api_version(self) -> str | None: ...

    @property
    def provider(self) -> str | None: ...

    @property
    def host(self) -> str: ...


@dataclass(frozen=True)
class Connection:
    """How a path of an API is reached.

    Attributes:
        base_url: URL to which the path is appended; None is the default of the `openai` package.
        headers: Headers beside those of the `openai` package; None removes a header.
        query: Query parameters of each request.
    """

    base_url: str | None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shutdown:
    """The end of a model's service.

    Attributes:
        day: First day on which the provider no longer serves the model.
        replacement: Model that the provider recommends in its place.
    """

    day: date
    replacement: str


class Provider:
    """OpenAI's API as most servers copy it. A subclass overrides its differences.

    Instances hold no state, so that all endpoints of a provider share an instance. Neither a call's
    key nor the code version of an asset depends on the provider.
    """

    hosts: ClassVar[tuple[str, ...]] = ()
    """Hosts of the provider; each stands for its subdomains too."""

    check_path: ClassVar[str] = "/models"
    """Path of a free GET request that fails with 401 where the API key is not accepted."""

    models_path: ClassVar[str | None] = "/models"
    """Path of a free GET request that lists the names of models; None if it lists other names."""

    error_rules: ClassVar[tuple[Rule, ...]] = COMMON_RULES
    """Rules that give a failed reply its meaning; a subclass puts its own in front."""

    shutdowns: ClassVar[Mapping[str, Shutdown]] = {}
    """Announced ends of service by model name."""

    documented_changes: ClassVar[Mapping[str, tuple[Change, ...]]] = {}
    """Changes that calls need by a pattern of model names. Others are learnt from refusals."""

    def serves(self, url: SplitResult) -> bool:
        """Return True if a base URL is the provider's own."""
        host = url.hostname or ""
        return any(host == known or host.endswith(f".{known}") for known in self.hosts)

    def connection(self, endpoint: Address, api_key: str, path: str) -> Connection:
        """Return how a path is reached; called once per endpoint and path, not once per call.

        Args:
            path: "/chat/completions", "/embeddings", "/batches" or another path of the API.

        Raises:
            EndpointRefused: The endpoint's settings do not suffice.
        """
        query = {} if endpoint.api_version is None else {"api-version": endpoint.api_version}
        return Connection(endpoint.base_url, query=query)

    def request_body(self, call: "Call") -> dict[str, Any]:
        """Return the body to send for a call, whose key is computed from `call.body` as it is.

        Names of parameters that differ between providers are translated here.
        """
        return call.body

    def changes_for(self, model: str) -> tuple[Change, ...]:
        """Return the documented changes that calls to a model need."""
        return tuple(
            change
            for pattern, changes in self.documented_changes.items()
            if re.match(pattern, model)
            for change in changes
        )

    def is_answer(self, call: "Call", body: Mapping[str, Any]) -> bool:
        """Return True if the body of a response with status 200 answers the call.

        An answer has a choice or, for embeddings, a vector per text. Whether the choice is whole is
        a matter of its finish reason (parsing/finish_reasons.py), whatever the provider.
        """
        if call.url != "/embeddings":
            return bool(as_list(body.get("choices")))
        texts = call.body.get("input")
        return has_vectors(body, len(texts) if isinstance(texts, list) else 1)

    def error_names(self, error: Mapping[str, Any]) -> set[str]:
        """Return names that the error object contains beyond its code, type, status and reason.

        `error_rules` may list them, in lower case.
        """
        return set()

    def retry_delay(self, error: Mapping[str, Any]) -> float | None:
        """Return the seconds to wait that an error object states, for want of a header."""
        return None

    def response_headers(self, headers: dict[str, str]) -> dict[str, str]:
        """Return response headers under OpenAI's names: `retry-after` and `x-ratelimit-*`.

        Args:
            headers: Headers by lower-case name.
        """
        return headers
