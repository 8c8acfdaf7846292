"""Sections on models and money: roles, prompts, calls, tokens, US dollars."""

import json

from persona_assets.number_format import format_price
from persona_assets.planning.cost import GroupBy
from persona_assets.reporting.blocks import Block, FigureTable, Section, build_table
from persona_assets.reporting.facts import Facts

_COUNTS = {
    "calls": "calls",
    "failed": "failed",
    "uncertain": "uncertain",
    "input_tokens": "tokens in",
    "cached_tokens": "of them cached",
    "output_tokens": "tokens out",
    "reasoning_tokens": "of them reasoning",
    "unpriced": "calls of unknown price",
}
"""Counts of the catalog's `usage`, with their heads."""

NO_CALLS = "No model was asked yet."


def models_section(facts: Facts) -> Section:
    """Write the models by role, as set and as they were asked, and the prompts."""
    settings = facts.project.settings
    roles = [
        (role, endpoint.model, "this machine" if endpoint.embedded else "an endpoint")
        for role in settings.roles
        if settings.has_role(role) and (endpoint := settings.endpoint(role))
    ]
    heads = ("role", "model", "runs on")
    blocks: list[Block] = [
        f"Profile {settings.profile}. Roles are as set now; the calls below are all that were "
        "made, also by models that were set before.",
        build_table("Models by role", heads, roles, *heads[1:]),
    ]
    asked = facts.query(
        "SELECT coalesce(model, 'unknown') AS model, sum(calls)::BIGINT AS calls, "
        "list(DISTINCT asset ORDER BY asset) AS assets FROM usage "
        "GROUP BY ALL ORDER BY calls DESC, model"
    )
    rows = [(row["model"], row["calls"], ", ".join(row["assets"])) for row in asked]
    blocks.append(
        build_table("Models that were asked", ("model", "calls", "asked for"), rows, "asked for")
        if rows
        else NO_CALLS
    )
    prompts = [
        (
            found.name,
            ", ".join(version[:12] for version in found.versions),
            found.prompt.head.role if found.prompt else "file is gone",
            json.dumps(found.prompt.head.sampling) if found.prompt else None,
        )
        for found in facts.provenance.prompts
    ]
    if prompts:
        columns = ("prompt", "hash", "role", "sampling")
        blocks.append(build_table("Prompts behind the tables", columns, prompts, *columns[1:]))
    return Section("models", "Models and prompts", blocks)


def cost_section(facts: Facts) -> Section:
    """Write calls, tokens and US dollars by model and by step."""
    by_model, by_asset = _usage(facts, "model"), _usage(facts, "asset")
    if by_model is None or by_asset is None:
        return Section("cost", "Cost", [NO_CALLS])
    return Section(
        "cost",
        "Cost",
        [
            "Every call that was paid for, failed ones included. Answers that were reused count "
            "once, where they were paid for. Uncertain: attempts that may have been billed "
            "although no answer came; they are not in the dollars. A price of >= leaves out the "
            "calls of unknown price.",
            by_model,
            by_asset,
        ],
    )


def _usage(facts: Facts, by: GroupBy) -> FigureTable | None:
    found = facts.usage(by)
    if len(found) < 2:
        return None
    # The total comes first, so that no limit on rows cuts it off.
    rows = [
        (
            "total" if row["name"] is None else row["name"],
            *(row[name] for name in _COUNTS),
            format_price(row["cost_usd"], row["unpriced"]),
        )
        for row in (found[-1], *found[:-1])
    ]
    name = "step" if by == "asset" else by
    return build_table(f"Calls by {name}", (name, *_COUNTS.values(), "US dollars"), rows)
