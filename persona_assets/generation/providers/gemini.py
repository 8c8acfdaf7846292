"""Gemini's OpenAI-compatible endpoint (https://ai.google.dev/gemini-api/docs/openai)."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from persona_assets.generation.journal.call_record import as_list, as_object
from persona_assets.generation.providers.base import Provider
from persona_assets.generation.providers.error_rules import Meaning, Rule


class Gemini(Provider):
    """Gemini, whose errors are explained by a list of details.

    A spent limit per minute and one per day have the same status, code and message.
    """

    hosts: ClassVar[tuple[str, ...]] = ("generativelanguage.googleapis.com",)

    error_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(Meaning.QUOTA, codes={"per_day"}, statuses={429}),
        *Provider.error_rules,
    )

    def error_names(self, error: Mapping[str, Any]) -> set[str]:
        """Return "per_day" if a limit of the day is spent."""
        violations = (
            as_object(violation).get("quotaId")
            for detail in _details(error)
            for violation in as_list(detail.get("violations"))
        )
        return {"per_day" for quota in violations if "PerDay" in str(quota)}

    def retry_delay(self, error: Mapping[str, Any]) -> float | None:
        """Return the seconds of the detail RetryInfo, such as "34.07s"."""
        for detail in _details(error):
            seconds = str(detail.get("retryDelay", "")).removesuffix("s")
            if seconds.replace(".", "", 1).isdecimal():
                return float(seconds)
        return None


def _details(error: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return map(as_object, as_list(error.get("details")))
