"""The plan of a run: a forecast of its model calls and their cost, before the run.

The calls of a shard are its texts times the calls per text in the pilot. Tokens, money and time are
those of the pilot's calls. Makes no call and spends no money.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.assets.call_bounds import CallBounds
from persona_assets.assets.graph import project_assets
from persona_assets.assets.table_asset import TableAsset
from persona_assets.generation import Endpoint, Tokens, pricing
from persona_assets.orchestration.runner import Runner
from persona_assets.partitions import shards
from persona_assets.planning.estimate import Interval, Quantity, extrapolate
from persona_assets.planning.model_asset import ModelAsset, is_sharded
from persona_assets.planning.pending_calls import PendingCalls
from persona_assets.planning.pilot import Pilot
from persona_assets.planning.probe_forecast import ProbeForecast, forecast_probes
from persona_assets.project import Project
from persona_assets.storage.shard_keys import is_ready

if TYPE_CHECKING:
    import numpy as np

SEED = 240_620_094
"""Seed of the bootstrap: two plans of an unchanged project are equal in every digit."""


@dataclass(frozen=True)
class Forecast:
    """Calls, tokens, cost and time of making the missing and stale tables of an asset.

    An estimate is None if it is unknown.

    An embedding call holds a few texts in a small shard and more in a large shard: calls and hours
    of embedding shards larger than the pilot's are overestimated; tokens and cost are not.

    Attributes:
        asset: Name of the asset.
        tables: Number of tables to make.
        pilot_tables: Number of tables in the pilot; 0 without a pilot, and then every estimate is
            None.
        pilot_texts: Number of texts in the pilot; None for an asset without shards.
        pilot_outdated: True if the pilot was made by earlier prompts or settings.
        calls: Calls to make.
        input_tokens: Input tokens of these calls.
        output_tokens: Output tokens of these calls.
        cost: US dollars.
        at_least: True if the cost leaves out calls of unknown price.
        prices: Settings that would supply the unknown prices.
        hours: Hours on this machine, run after run; None with the Batch API.
        batch: True if calls use the Batch API, where a batch takes up to 24 h.
        most: Bound that the settings set on the calls, settled calls included; None if open.
    """

    asset: str
    tables: int
    pilot_tables: int = 0
    pilot_texts: int | None = None
    pilot_outdated: bool = False
    calls: Interval | None = None
    input_tokens: Interval | None = None
    output_tokens: Interval | None = None
    cost: Interval | None = None
    at_least: bool = False
    prices: tuple[str, ...] = ()
    hours: Interval | None = None
    batch: bool = False
    most: int | None = None


@dataclass(frozen=True)
class NextCommand:
    """The command that makes the first missing pilot, or the tables that this pilot needs first.

    Attributes:
        assets: Assets whose pilot is missing.
        after: Assets that the command makes first; empty if it makes the pilot itself.
        command: The command line.
    """

    assets: tuple[str, ...]
    after: tuple[str, ...]
    command: str


@dataclass(frozen=True)
class Plan:
    """Forecasts by asset and in total.

    The total leaves out assets without a pilot, and is then marked `at_least`. It leaves out the
    probes, too.
    """

    assets: tuple[Forecast, ...]
    total: Forecast
    next: NextCommand | None
    probes: ProbeForecast


@dataclass(frozen=True)
class _Quantities:
    """Quantities of a forecast."""

    calls: Quantity | None = None
    input_tokens: Quantity | None = None
    output_tokens: Quantity | None = None
    cost: Quantity | None = None
    hours: Quantity | None = None

    def __add__(self, other: "_Quantities") -> "_Quantities":
        return _Quantities(
            *(_sum(getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        )

    def apply_to(self, forecast: Forecast) -> Forecast:
        """Return the forecast with these quantities as intervals, its calls within its bound."""
        return replace(
            forecast,
            calls=_clip(_interval(self.calls), forecast.most),
            input_tokens=_interval(self.input_tokens),
            output_tokens=_interval(self.output_tokens),
            cost=_interval(self.cost),
            hours=_interval(self.hours),
        )


def make_plan(project: Project, runner: Runner) -> Plan:
    """Forecast the calls and cost of a runner's selection.

    Args:
        project: Settings, prompts and storage.
        runner: Selects the assets and shards.

    Returns:
        Forecasts of the assets that still need calls.
    """
    import numpy as np

    rng = np.random.default_rng(SEED)
    assets = project_assets(project)
    bounds = CallBounds(project, assets, 1).all_calls()
    calling = {name for name, bound in bounds.items() if bound != 0}
    graph = runner.graph
    model_assets = {
        asset.name: ModelAsset.from_declaration(asset, assets[asset.name], project)
        for asset in graph.assets.values()
        if asset.name in calling
    }
    pilot = Pilot(project, graph, assets)
    pending = PendingCalls(project, runner, pilot, model_assets, assets)

    calls: dict[str, Quantity] = {}
    for sampled, amounts, sizes in pilot.samples(model_assets[name] for name in pending.remaining):
        unknown, rehearsed = (
            [Quantity.known(pending.units(asset.name, exact=exact)) for asset in sampled]
            for exact in (False, True)
        )
        totals = zip(
            sampled,
            extrapolate(amounts, sizes, unknown, rng),
            extrapolate(amounts, sizes, rehearsed, rng),
            strict=True,
        )
        for asset, extrapolated, likely in totals:
            # An invalid answer is asked again, so a known number is the least.
            exact = sum(pending.exact.get(asset.name, {}).values())
            bound = _call_bound(project, assets, runner, pending, asset)
            first, second = (
                quantity if bound is None else quantity.with_fallback_spread(bound)
                for quantity in (extrapolated, likely)
            )
            both = first + second.known_to_be(exact)
            if bound is not None and asset.name in pending.open:
                both = both.spread_to(bound)
            calls[asset.name] = both
    pace = pilot.pace(model_assets.values()) if calls else {}

    forecasts: list[Forecast] = []
    total = _Quantities()
    for name, partitions in pending.remaining.items():
        asset = model_assets[name]
        bound = _call_bound(project, assets, runner, pending, asset)
        forecast = Forecast(name, len(partitions), most=bound)
        if name in calls:
            pilot_calls = pilot.calls(asset)
            quantities = _quantities(calls[name], pilot_calls, pace.get(name, []), rng)
            forecast = _with_pilot(forecast, asset, pilot, pilot_calls)
            if forecast.batch:
                quantities = replace(quantities, hours=None)
            total += quantities
            forecast = quantities.apply_to(forecast)
        forecasts.append(forecast)
    next_command = _next_command(runner, pending, forecasts)
    probes = forecast_probes(project, pending.remaining)
    return Plan(tuple(forecasts), total.apply_to(_total(forecasts)), next_command, probes)


def _quantities(
    calls: Quantity,
    pilot_calls: pl.DataFrame,
    pace: Sequence[tuple[int, float]],
    rng: "np.random.Generator",
) -> _Quantities:
    """Extrapolate tokens, cost and time of the coming calls from the pilot's calls."""
    import numpy as np

    if pilot_calls.is_empty():
        nothing = Quantity.known(0)
        return _Quantities(calls, nothing, nothing, nothing, nothing)
    amounts = pilot_calls.drop("model").fill_null(0).to_numpy().astype(np.float64)
    totals = extrapolate(amounts, np.ones_like(amounts), [calls] * amounts.shape[1], rng)
    input_tokens, output_tokens, cost, request_seconds, token_seconds = totals
    hours = None
    if pace:
        counts, seconds = (
            np.array(values, np.float64)[:, None] for values in zip(*pace, strict=True)
        )
        [pace_seconds] = extrapolate(seconds, counts, [calls], rng)
        hours = pace_seconds.maximum(request_seconds).maximum(token_seconds).scale(1 / 3600)
    is_priced = pilot_calls["cost"].is_not_null().any()
    return _Quantities(calls, input_tokens, output_tokens, cost if is_priced else None, hours)


def _with_pilot(
    forecast: Forecast, asset: ModelAsset, pilot: Pilot, pilot_calls: pl.DataFrame
) -> Forecast:
    """Return the forecast with the size of its pilot, its missing prices and its transport."""
    unpriced = set(pilot_calls.filter(pl.col("cost").is_null())["model"])
    settings = [
        f"PERSONA_{role.upper()}__PRICE__{kind}"
        for role, endpoint in asset.endpoints.items()
        if endpoint.model in unpriced
        for kind in _missing_prices(endpoint)
    ]
    return replace(
        forecast,
        pilot_tables=len(pilot.partitions(asset)),
        pilot_texts=pilot.count_texts(asset) if asset.is_sharded else None,
        pilot_outdated=pilot.is_outdated(asset),
        at_least=bool(unpriced),
        prices=tuple(settings),
        batch=any(endpoint.transport == "batch" for endpoint in asset.endpoints.values()),
    )


def _missing_prices(endpoint: Endpoint) -> Sequence[str]:
    prices = pricing(endpoint)
    batch = endpoint.transport == "batch"
    if prices.cost(Tokens(input=1, output=1), batch=batch) is not None:
        return ()
    return ("BATCH",) if prices.known else ("INPUT", "OUTPUT", *(("BATCH",) if batch else ()))


def _call_bound(
    project: Project,
    assets: Mapping[str, TableAsset],
    runner: Runner,
    pending: PendingCalls,
    asset: ModelAsset,
) -> int | None:
    """Return the bound on the calls of an asset's pending tables."""
    all_shards = runner.graph.partitions_of(str(shards.name))
    partitions = list(pending.remaining[asset.name]) if asset.is_sharded else list(all_shards)
    texts, ready = (
        [len(pending.texts(str(shard))) for shard in partitions if is_ready(str(shard)) == kind]
        for kind in (False, True)
    )
    bounds = CallBounds(
        project,
        assets,
        len(partitions),
        sum(texts),
        ready_shards=len(ready),
        ready=sum(ready),
        known=pending.known_rows,
    )
    return bounds.calls(asset.name)


def _total(forecasts: Sequence[Forecast]) -> Forecast:
    bounds = [forecast.most for forecast in forecasts]
    prices = (setting for forecast in forecasts for setting in forecast.prices)
    return Forecast(
        "total",
        sum(forecast.tables for forecast in forecasts),
        at_least=any(forecast.at_least or not forecast.pilot_tables for forecast in forecasts),
        prices=tuple(dict.fromkeys(prices)),
        batch=any(forecast.batch for forecast in forecasts),
        most=None if None in bounds else sum(bound or 0 for bound in bounds),
    )


def _next_command(
    runner: Runner, pending: PendingCalls, forecasts: Sequence[Forecast]
) -> NextCommand | None:
    """Return the first command, in the order of a run, towards a missing pilot."""
    without_pilot = {forecast.asset for forecast in forecasts if not forecast.pilot_tables}
    graph = runner.graph.assets
    for phase in runner.phases():
        names = [
            asset.name
            for asset in phase.assets
            if asset.name in without_pilot and is_sharded(asset)
        ]
        if not names:
            continue
        upstream = runner.graph.upstream(names)
        # A pilot of a single shard would have to wait for these tables of all shards.
        unsharded = [
            name for name in upstream if not is_sharded(graph[name]) and name in pending.stale
        ]
        shards_by_size = sorted(
            {str(shard) for name in names for shard in pending.remaining[name]},
            key=lambda shard: (
                is_ready(shard),
                not pending.texts(shard),
                len(pending.texts(shard)),
                shard,
            ),
        )
        for shard in shards_by_size:
            stale = [name for name in (*upstream, *names) if shard in pending.stale.get(name, ())]
            is_blocked = any(source in unsharded for name in stale for source in graph[name].inputs)
            if not is_blocked and not set(names).isdisjoint(stale):
                selected = (
                    [f"key:{name}" for name in stale] if unsharded else _select_up_to(runner, names)
                )
                return NextCommand(tuple(names), (), _command(selected, shard))
        command = _command(_select_up_to(runner, unsharded))
        return NextCommand(tuple(names), tuple(unsharded), command)
    return None


def _command(selected: Sequence[str], shard: str | None = None) -> str:
    command = f"persona-assets run --select {shlex.quote(' or '.join(selected))}"
    return command if shard is None else f"{command} --shards {shlex.quote(shard)}"


def _select_up_to(runner: Runner, names: Sequence[str]) -> list[str]:
    """Return the shortest selection of assets with everything upstream."""
    upstream = set(runner.graph.upstream(names))
    return [f"+key:{name}" for name in names if name not in upstream]


def _sum(first: Quantity | None, second: Quantity | None) -> Quantity | None:
    return first + second if first is not None and second is not None else first or second


def _clip(interval: Interval | None, bound: int | None) -> Interval | None:
    if interval is None or bound is None:
        return interval
    low, high = (end if end is None else min(end, bound) for end in (interval.low, interval.high))
    return Interval(min(interval.estimate, bound), low, high)


def _interval(quantity: Quantity | None) -> Interval | None:
    return None if quantity is None else quantity.interval()
