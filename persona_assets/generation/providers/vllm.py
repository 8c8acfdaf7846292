"""vLLM (https://docs.vllm.ai, "OpenAI-Compatible Server")."""

from typing import ClassVar

from persona_assets.generation.providers.base import ErrorCodes, Provider


class VLLM(Provider):
    """A vLLM server, which runs on any host: it is never detected, only named in the settings.

    Such a server has neither an account without credit nor a content filter, and its error types
    are names of exceptions.
    """

    error_codes: ClassVar[ErrorCodes] = ErrorCodes(model=frozenset({"NotFoundError"}))
