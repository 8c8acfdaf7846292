"""Ollama (https://docs.ollama.com/api/openai-compatibility)."""

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import SplitResult

from persona_assets.generation.providers.base import Provider

if TYPE_CHECKING:
    from persona_assets.generation.calls.call import Call

PORT = 11434
"""Port of an Ollama server unless OLLAMA_HOST names another."""


class Ollama(Provider):
    """An Ollama server, known by its port, or Ollama's cloud."""

    hosts: ClassVar[tuple[str, ...]] = ("ollama.com",)

    def serves(self, url: SplitResult) -> bool:
        """Return True for Ollama's cloud and for any host at Ollama's port."""
        return url.netloc.endswith(f":{PORT}") or super().serves(url)

    def request_body(self, call: "Call") -> dict[str, Any]:
        """Return the body with `max_tokens` in place of `max_completion_tokens`.

        Ollama ignores `max_completion_tokens` without an error, so that an answer has no limit.
        """
        if "max_completion_tokens" not in call.body:
            return call.body
        body = dict(call.body)
        body["max_tokens"] = body.pop("max_completion_tokens")
        return body
