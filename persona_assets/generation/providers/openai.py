"""OpenAI (https://platform.openai.com/docs/api-reference)."""

from typing import ClassVar

from persona_assets.generation.providers.base import Provider


class OpenAI(Provider):
    """OpenAI itself, whose API the default follows."""

    hosts: ClassVar[tuple[str, ...]] = ("api.openai.com",)
