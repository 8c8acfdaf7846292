"""OpenRouter (https://openrouter.ai/docs, "Errors and Debugging" and "Limits")."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from persona_assets.generation.journal.call_record import as_object
from persona_assets.generation.providers.base import Provider
from persona_assets.generation.providers.error_rules import Meaning, Rule

FLAGGED = frozenset({"flagged_input", "reasons"})
"""Members of an error's metadata that only a moderation error has."""


class OpenRouter(Provider):
    """OpenRouter, whose errors are explained by their metadata rather than by their status."""

    hosts: ClassVar[tuple[str, ...]] = ("openrouter.ai",)

    check_path: ClassVar[str] = "/key"
    """The list of models is public, so it accepts any key."""

    error_rules: ClassVar[tuple[Rule, ...]] = (
        # A 402 that passes once calls in flight are billed; it carries a Retry-After.
        Rule(Meaning.RATE_LIMIT, codes={"in_flight_budget_exhausted"}),
        *Provider.error_rules,
    )

    def error_names(self, error: Mapping[str, Any]) -> set[str]:
        """Return the type and reason in the error's metadata.

        A moderated prompt is a 403, which elsewhere means a key without permission.
        """
        metadata = as_object(error.get("metadata"))
        names = {str(metadata.get(member)) for member in ("error_type", "reason")}
        if FLAGGED & metadata.keys():
            names.add("content_filter")
        return names

    def response_headers(self, headers: dict[str, str]) -> dict[str, str]:
        """Return the headers with a `retry-after` for a spent limit.

        A 429 of OpenRouter's own carries the end of the limit's window as `x-ratelimit-reset`, in
        milliseconds since 1970, and no `retry-after`.
        """
        reset = headers.get("x-ratelimit-reset", "")
        if headers.get("x-ratelimit-remaining") != "0" or not reset.isdecimal():
            return headers
        wait = max(0.0, int(reset) / 1000 - time.time())
        return {"retry-after": f"{wait:.3f}", **headers}
