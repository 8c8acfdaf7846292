"""What a run may spend: the caps in words, and the question before an expensive run."""

import sys
from decimal import Decimal
from math import ceil

from persona_assets.generation import BudgetReached
from persona_assets.number_format import format_money, plural
from persona_assets.planning.estimate import Interval
from persona_assets.planning.plan import Forecast
from persona_assets.planning.probe_forecast import ProbeForecast
from persona_assets.resources.spending_caps import has_budget, limits
from persona_assets.settings import Settings

MARGIN = 0.25
"""Share of a forecast by which spending may exceed it once a person agreed."""

_SCOPES = {"run": "a run", "backfill": "for all runs of a command"}


def describe_caps(settings: Settings) -> str:
    """Return the caps of the settings in words; "" without any.

    Example:
        >>> describe_caps(Settings.load(run_budget=5))
        'capped at 5.0000 US dollars a run'
        >>> describe_caps(Settings.load())[:32]
        'capped at 10.0000 US dollars for'
    """
    caps = limits(settings)
    if has_budget(settings):
        amounts = [f"{format_money(cap.amount)} US dollars {_SCOPES[cap.kind]}" for cap in caps]
        return f"capped at {' and '.join(amounts)}"
    if not caps:
        return ""
    _, setting, amount = caps[0]
    return (
        f"capped at {format_money(amount)} US dollars for all runs of a command ({setting}), "
        "unless you agree to a higher forecast"
    )


def describe_probes(probes: ProbeForecast) -> str:
    """Return the probes of a run in words; "" without any.

    Example:
        >>> describe_probes(ProbeForecast(2, Decimal("0.0003")))
        '2 probe calls first, one for each endpoint, model and shape: at most 0.000300 US dollars'
    """
    if not probes.calls:
        return ""
    most = "of unknown price" if probes.most is None else f"{format_money(probes.most)} US dollars"
    return (
        f"{plural(probes.calls, 'probe call')} first, one for each endpoint, model and shape: "
        f"{'' if probes.most is None else 'at most '}{most}"
    )


def asks_first(settings: Settings) -> bool:
    """Return True if money may be spent and the settings name no budget for it."""
    return not has_budget(settings) and bool(limits(settings))


def agree_to_forecast(forecast: Forecast, settings: Settings) -> Decimal | None:
    """Ask for agreement to a forecast that exceeds the setting `unasked_budget`.

    Args:
        forecast: Forecast of the whole run.
        settings: Settings of the project.

    Returns:
        US dollars that a person agreed to, which cap the spending: the forecast and MARGIN of it.
        None if there was no need to ask, so that the cap of the settings holds.

    Raises:
        BudgetReached: A person declined, or there is no terminal to ask in.
    """
    cost, limit = forecast.cost, settings.unasked_budget
    if not asks_first(settings) or limit is None or cost is None or _highest(cost) <= limit:
        return None
    more = "at least " if forecast.at_least else ""
    text = (
        f"This run is forecast to cost {more}{_in_words(cost)} US dollars (persona-assets plan), "
        f"more than {format_money(limit)} (PERSONA_UNASKED_BUDGET), and no budget is set"
    )
    remedy = (
        "set PERSONA_RUN_BUDGET or PERSONA_BACKFILL_BUDGET to the most that it may cost, or raise "
        "PERSONA_UNASKED_BUDGET"
    )
    if not sys.stdin.isatty():
        raise BudgetReached(f"{text}: {remedy}. Nothing was sent.")
    most = Decimal(ceil(_highest(cost) * (1 + MARGIN)))
    question = f"{text}. Spend up to {most:,} US dollars? [y/N] "
    if input(question).strip().lower() not in ("y", "yes"):
        raise BudgetReached(f"Nothing was sent. To be asked no more, {remedy}.")
    return most


def _highest(cost: Interval) -> float:
    return cost.estimate if cost.high is None else cost.high


def _in_words(cost: Interval) -> str:
    if cost.low is None or cost.high is None:
        return f"about {cost.estimate:,.2f}"
    return f"{cost.low:,.2f} to {cost.high:,.2f}"
