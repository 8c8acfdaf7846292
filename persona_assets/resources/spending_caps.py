"""Caps on the spending of a run, and of runs that were started together."""

from decimal import Decimal
from typing import NamedTuple

from persona_assets.generation import SpendingCap, pricing
from persona_assets.settings import ModelEndpoint, Settings


class Limit(NamedTuple):
    """Limit of a kind of scope.

    Attributes:
        kind: "run" or "backfill".
        setting: Environment variable that holds the amount.
        amount: US dollars.
    """

    kind: str
    setting: str
    amount: Decimal


def limits(settings: Settings) -> list[Limit]:
    """Return the limits of the settings, or, without any, that of spending nobody was asked about.

    The latter applies only if a model of known price is in use.

    Example:
        >>> [limit.setting for limit in limits(Settings.load(run_budget=2))]
        ['PERSONA_RUN_BUDGET']
        >>> [(limit.kind, int(limit.amount)) for limit in limits(Settings.load())]
        [('run', 10), ('backfill', 10)]
    """
    chosen = [
        Limit(kind, setting, amount)
        for kind, setting, amount in (
            ("run", "PERSONA_RUN_BUDGET", settings.run_budget),
            ("backfill", "PERSONA_BACKFILL_BUDGET", settings.backfill_budget),
        )
        if amount is not None
    ]
    unasked = settings.unasked_budget
    if chosen or unasked is None:
        return chosen
    if not any(is_priced(settings.endpoint(role)) for role in settings.roles):
        return []
    return [Limit(kind, "PERSONA_UNASKED_BUDGET", unasked) for kind in ("run", "backfill")]


def has_budget(settings: Settings) -> bool:
    """Return True if the settings name a budget of their own."""
    return settings.run_budget is not None or settings.backfill_budget is not None


def is_priced(endpoint: ModelEndpoint) -> bool:
    """Return True if calls to an endpoint cost money, and it is known how much."""
    return not endpoint.on_this_machine and pricing(endpoint).known


def spending_caps(
    settings: Settings, run_id: str, backfill: str | None, *, agreed: Decimal | None = None
) -> list[SpendingCap]:
    """Return the caps of a run.

    Args:
        settings: Limits and endpoints.
        run_id: Id of the run.
        backfill: Id of the runs that were started together, if any.
        agreed: US dollars that a person agreed to, where the settings have no budget.
    """
    scopes = {"run": run_id, "backfill": backfill}
    caps = limits(settings)
    if agreed is not None and not has_budget(settings):
        caps = [Limit(kind, "PERSONA_BACKFILL_BUDGET", agreed) for kind in scopes]
    return [
        SpendingCap(f"{kind}:{scopes[kind]}", amount, setting)
        for kind, setting, amount in caps
        if scopes[kind] is not None
    ]
