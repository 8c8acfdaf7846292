"""Azure OpenAI (https://learn.microsoft.com/azure/ai-foundry/openai, "API lifecycle")."""

import os
import re
from dataclasses import replace
from typing import ClassVar
from urllib.parse import quote, urlsplit

from persona_assets.generation.calls.errors import EndpointRefused
from persona_assets.generation.providers.base import Address, Connection, Provider

OF_A_DEPLOYMENT = frozenset({"/chat/completions", "/embeddings"})
"""Paths of the older API that are served per deployment; files and batches are not."""

TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
"""JSON Web Token: three parts in base64url, of which the first is a JSON object."""

DATED = re.compile(r"\d{4}-\d{2}-\d{2}")
"""Start of an `api-version` of the older API, such as 2024-10-21 or 2025-04-01-preview."""


class Azure(Provider):
    """Azure OpenAI in either API; the endpoint's model is the name of a deployment.

    The v1 API has the paths /openai/v1/... and needs no `api_version`. The older API needs a dated
    `api_version`, and has the deployment in its paths: /openai/deployments/NAME/... The `base_url`
    is the resource (https://NAME.openai.azure.com) or any of these paths.
    """

    hosts: ClassVar[tuple[str, ...]] = (
        "openai.azure.com",
        "services.ai.azure.com",
        "cognitiveservices.azure.com",
        "openai.azure.us",
    )

    models_path: ClassVar[str | None] = None
    """The list has the names of base models, not those of deployments."""

    def connection(self, endpoint: Address, api_key: str, path: str) -> Connection:
        """Return URL, query and headers.

        An API key is sent as `api-key`, as Azure documents it; a token of Entra ID, which is a JSON
        Web Token (RFC 7519), is sent as `Authorization`.

        Raises:
            EndpointRefused: There is no base_url, or the older API has no dated api_version.
        """
        url = endpoint.base_url or os.environ.get("OPENAI_BASE_URL")
        if not url:
            raise EndpointRefused(
                "Azure OpenAI has no default address: set base_url to your resource, such as "
                "https://NAME.openai.azure.com. Nothing was sent."
            )
        return replace(
            super().connection(endpoint, api_key, path),
            base_url=_base_url(endpoint, url.rstrip("/"), path),
            headers={} if TOKEN.fullmatch(api_key) else {"Authorization": None, "api-key": api_key},
        )


def _base_url(endpoint: Address, url: str, path: str) -> str:
    dated = DATED.match(endpoint.api_version or "") is not None
    resource, of_a_deployment, _ = url.partition("/deployments/")
    if of_a_deployment:
        if not dated:
            raise EndpointRefused(
                f"The address of a deployment at {endpoint.host} needs an api_version, such as "
                "2024-10-21: set it, or let base_url end in /openai/v1. Nothing was sent."
            )
        return url if path in OF_A_DEPLOYMENT else resource
    if urlsplit(url).path not in ("", "/openai"):
        return url
    resource = f"{url.removesuffix('/openai')}/openai"
    if not dated:
        return f"{resource}/v1"
    if path not in OF_A_DEPLOYMENT:
        return resource
    return f"{resource}/deployments/{quote(endpoint.model, safe='')}"
