"""Zhipu AI, also Z.ai (https://docs.z.ai/api-reference/api-code)."""

from typing import ClassVar

from persona_assets.generation.providers.base import Provider
from persona_assets.generation.providers.error_rules import Meaning, Rule


class Zhipu(Provider):
    """Zhipu AI, whose error codes are numbers; an empty account has the status of a rate limit."""

    hosts: ClassVar[tuple[str, ...]] = ("bigmodel.cn", "z.ai")

    error_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(Meaning.FILTER, codes={"1301"}),
        Rule(Meaning.QUOTA, codes={"1110", "1111", "1112", "1113", "1121"}),
        Rule(Meaning.KEY, codes={"1000", "1001", "1002", "1003", "1004"}),
        Rule(Meaning.MODEL, codes={"1211", "1212", "1221", "1222"}),
        Rule(Meaning.PERMISSION, codes={"1220"}),
        Rule(Meaning.CONTEXT, codes={"1261"}),
        Rule(Meaning.RATE_LIMIT, codes={"1302", "1303", "1305"}),
        *Provider.error_rules,
    )
