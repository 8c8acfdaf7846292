"""vLLM (https://docs.vllm.ai, "OpenAI-Compatible Server")."""

from typing import ClassVar

from persona_assets.generation.providers.base import Provider
from persona_assets.generation.providers.error_rules import Meaning, Rule


class VLLM(Provider):
    """A vLLM server, which runs on any host: it is never detected, only named in the settings.

    Such a server has neither an account without credit nor a content filter.
    """

    error_rules: ClassVar[tuple[Rule, ...]] = tuple(
        rule
        for rule in Provider.error_rules
        if rule.by_status or rule.meaning not in (Meaning.QUOTA, Meaning.FILTER)
    )
