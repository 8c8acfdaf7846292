"""OpenAI (https://platform.openai.com/docs/api-reference)."""

from collections.abc import Mapping
from datetime import date
from typing import ClassVar

from persona_assets.generation.calls.adaptation import Change
from persona_assets.generation.providers.base import Provider, Shutdown


class OpenAI(Provider):
    """OpenAI itself, whose API the default follows."""

    hosts: ClassVar[tuple[str, ...]] = ("api.openai.com",)

    # Models that reason refuse `max_tokens` (API reference, "Create chat completion").
    documented_changes: ClassVar[Mapping[str, tuple[Change, ...]]] = {
        r"o\d|gpt-[5-9]": (Change("max_tokens", "max_completion_tokens"),),
    }

    # https://developers.openai.com/api/docs/deprecations, as of November 2026.
    shutdowns: ClassVar[Mapping[str, Shutdown]] = {
        "gpt-4-turbo-preview": Shutdown(date(2026, 3, 26), "gpt-6.1-sol"),
        "gpt-4-0125-preview": Shutdown(date(2026, 3, 26), "gpt-6.1-sol"),
        "gpt-3.5-turbo": Shutdown(date(2026, 10, 23), "gpt-6.1-terra"),
        "gpt-4": Shutdown(date(2026, 10, 23), "gpt-6.1-sol"),
        "gpt-4-turbo": Shutdown(date(2026, 10, 23), "gpt-6.1-sol"),
        "gpt-4.1-nano": Shutdown(date(2026, 10, 23), "gpt-6-luna"),
        "o1": Shutdown(date(2026, 10, 23), "gpt-6.1-sol"),
        "o3-mini": Shutdown(date(2026, 10, 23), "gpt-6.1-sol"),
        "o4-mini": Shutdown(date(2026, 10, 23), "gpt-6.1-terra"),
        "gpt-5": Shutdown(date(2026, 12, 11), "gpt-6.1-sol"),
        "gpt-5-mini": Shutdown(date(2026, 12, 11), "gpt-6.1-terra"),
        "gpt-5-nano": Shutdown(date(2026, 12, 11), "gpt-6-luna"),
        "o3": Shutdown(date(2026, 12, 11), "gpt-6.1-sol"),
        "gpt-4o": Shutdown(date(2027, 1, 14), "gpt-6-luna"),
        "gpt-4o-mini": Shutdown(date(2027, 1, 14), "gpt-6-luna"),
        "gpt-4.1": Shutdown(date(2027, 1, 14), "gpt-6-luna"),
        "gpt-4.1-mini": Shutdown(date(2027, 1, 14), "gpt-6-luna"),
        "gpt-5.1": Shutdown(date(2027, 4, 1), "gpt-6.1-sol"),
    }
