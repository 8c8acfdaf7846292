"""The plan of a run: what it would ask the models, and what that would cost, before it does.

The calls of a shard are its texts times the calls that a text led to in the pilot; tokens, money
and time are those of the pilot's calls. Asks nothing and spends nothing.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.assets.call_bounds import CallBounds
from persona_assets.assets.graph import load_assets
from persona_assets.assets.table_asset import TableAsset
from persona_assets.generation import Endpoint, Tokens, pricing
from persona_assets.orchestration.runner import Runner
from persona_assets.partitions import shards
from persona_assets.planning.asker import Asker, is_sharded
from persona_assets.planning.forecast import Interval, Quantity, to_come
from persona_assets.planning.pending import Pending
from persona_assets.planning.pilot import Pilot
from persona_assets.project import Project

if TYPE_CHECKING:
    import numpy as np

SEED = 240_620_094
"""One project has one plan, down to the last digit."""


@dataclass(frozen=True)
class Forecast:
    """What making the missing and stale tables of one asset would ask; None is not known.

    pilot_tables, pilot_texts: what it rests on; 0 tables are no pilot, and then nothing is known.
    cost: US dollars; at_least: it leaves out calls whose price nobody knows, and `prices` are the
    settings that would tell. hours: one run after the other on this machine; None for what goes by
    way of the Batch API (`batch`), where a batch takes up to 24 h. most: the bound that the
    settings set on the calls, answered ones included.

    A call for embeddings takes a few texts in a small shard and more in a large one: of these the
    calls and hours of shards larger than the pilot's are overestimated, tokens and cost are not.
    """

    asset: str
    tables: int
    pilot_tables: int = 0
    pilot_texts: int | None = None
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
class Next:
    """The command that makes the first pilot that is missing, or what has to stand before it."""

    assets: tuple[str, ...]
    after: tuple[str, ...]
    command: str


@dataclass(frozen=True)
class Plan:
    """Forecasts by asset and in total; the total, `at_least` then, leaves out what has no pilot."""

    assets: tuple[Forecast, ...]
    total: Forecast
    next: Next | None


@dataclass(frozen=True)
class _Quantities:
    """What a forecast is made of, before its intervals are taken."""

    calls: Quantity | None = None
    input_tokens: Quantity | None = None
    output_tokens: Quantity | None = None
    cost: Quantity | None = None
    hours: Quantity | None = None

    def __add__(self, other: "_Quantities") -> "_Quantities":
        return _Quantities(
            *(_sum(getattr(self, it.name), getattr(other, it.name)) for it in fields(self))
        )

    def on(self, forecast: Forecast) -> Forecast:
        """The forecast with these quantities as intervals, its calls within its bound."""
        return replace(
            forecast,
            calls=_within(_interval(self.calls), forecast.most),
            input_tokens=_interval(self.input_tokens),
            output_tokens=_interval(self.output_tokens),
            cost=_interval(self.cost),
            hours=_interval(self.hours),
        )


def make_plan(project: Project, runner: Runner) -> Plan:
    """The plan of a runner's selection."""
    import numpy as np

    chance = np.random.default_rng(SEED)
    assets = load_assets(project.prompts)
    asking = {
        name for name, most in CallBounds(project, assets, 1).all_calls().items() if most != 0
    }
    graph = runner.graph
    askers = {
        asset.name: Asker.of(asset, assets[asset.name], project)
        for asset in graph.assets.values()
        if asset.name in asking
    }
    pilot = Pilot(project, graph, assets)
    pending = Pending(project, runner, pilot, askers)

    calls: dict[str, Quantity] = {}
    for sampled, amounts, sizes in pilot.samples(askers[name] for name in pending.left):
        of = [Quantity.known(sum(pending.left[it.name].values())) for it in sampled]
        for asker, quantity in zip(sampled, to_come(amounts, sizes, of, chance), strict=True):
            most = _most(project, assets, runner, pending, asker)
            calls[asker.name] = quantity if most is None else quantity.within(most)
    pace = pilot.pace(askers.values()) if calls else {}

    found: list[Forecast] = []
    total = _Quantities()
    for name, left in pending.left.items():
        asker = askers[name]
        most = _most(project, assets, runner, pending, asker)
        forecast = Forecast(name, len(left), most=most)
        if name in calls:
            made = pilot.calls(asker)
            quantities = _quantities(calls[name], made, pace.get(name, []), chance)
            forecast = _described(forecast, asker, pilot, made)
            if forecast.batch:
                quantities = replace(quantities, hours=None)
            total += quantities
            forecast = quantities.on(forecast)
        found.append(forecast)
    return Plan(tuple(found), total.on(_total(found)), _next(runner, pending, found))


def _quantities(
    calls: Quantity,
    made: pl.DataFrame,
    pace: Sequence[tuple[int, float]],
    chance: "np.random.Generator",
) -> _Quantities:
    """Calls to come with the tokens, cost and time that calls had in the pilot."""
    import numpy as np

    if made.is_empty():
        nothing = Quantity.known(0)
        return _Quantities(calls, nothing, nothing, nothing, nothing)
    each = made.drop("model").fill_null(0).to_numpy().astype(np.float64)
    spread = to_come(each, np.ones_like(each), [calls] * each.shape[1], chance)
    input_tokens, output_tokens, cost, by_requests, by_tokens = spread
    hours = None
    if pace:
        counts, took = (np.array(it, np.float64)[:, None] for it in zip(*pace, strict=True))
        [at_pace] = to_come(took, counts, [calls], chance)
        hours = at_pace.largest(by_requests).largest(by_tokens).times(1 / 3600)
    known = made["cost"].is_not_null().any()
    return _Quantities(calls, input_tokens, output_tokens, cost if known else None, hours)


def _described(forecast: Forecast, asker: Asker, pilot: Pilot, made: pl.DataFrame) -> Forecast:
    unpriced = set(made.filter(pl.col("cost").is_null())["model"])
    settings = [
        f"PERSONA_{role.upper()}__PRICE__{kind}"
        for role, endpoint in asker.endpoints.items()
        if endpoint.model in unpriced
        for kind in _missing_prices(endpoint)
    ]
    return replace(
        forecast,
        pilot_tables=len(pilot.found(asker)),
        pilot_texts=pilot.read(asker) if asker.is_sharded else None,
        at_least=bool(unpriced),
        prices=tuple(settings),
        batch=any(endpoint.transport == "batch" for endpoint in asker.endpoints.values()),
    )


def _missing_prices(endpoint: Endpoint) -> Sequence[str]:
    found = pricing(endpoint)
    batch = endpoint.transport == "batch"
    if found.cost(Tokens(input=1, output=1), batch=batch) is not None:
        return ()
    return ("BATCH",) if found.known else ("INPUT", "OUTPUT", *(("BATCH",) if batch else ()))


def _most(
    project: Project,
    assets: Mapping[str, TableAsset],
    runner: Runner,
    pending: Pending,
    asker: Asker,
) -> int | None:
    """The bound on the calls of the tables that are to be made."""
    every = runner.graph.partitions_of(str(shards.name))
    over = list(pending.left[asker.name]) if asker.is_sharded else list(every)
    texts = sum(len(pending.texts(str(shard))) for shard in over)
    return CallBounds(project, assets, len(over), texts).calls(asker.name)


def _total(found: Sequence[Forecast]) -> Forecast:
    bounds = [forecast.most for forecast in found]
    return Forecast(
        "total",
        sum(forecast.tables for forecast in found),
        at_least=any(forecast.at_least or not forecast.pilot_tables for forecast in found),
        prices=tuple(dict.fromkeys(it for forecast in found for it in forecast.prices)),
        batch=any(forecast.batch for forecast in found),
        most=None if None in bounds else sum(bound or 0 for bound in bounds),
    )


def _next(runner: Runner, pending: Pending, found: Sequence[Forecast]) -> Next | None:
    """The first command, in the order of a run, that brings a missing pilot nearer."""
    lacking = {forecast.asset for forecast in found if not forecast.pilot_tables}
    graph = runner.graph.assets
    for phase in runner.phases():
        names = [it.name for it in phase.assets if it.name in lacking and is_sharded(it)]
        if not names:
            continue
        before = _ancestors(runner, names)
        whole = [it for it in before if not is_sharded(graph[it]) and it in pending.stale]
        shards_by_size = sorted(
            {str(shard) for name in names for shard in pending.left[name]},
            key=lambda it: (not pending.texts(it), len(pending.texts(it)), it),
        )
        for shard in shards_by_size:
            stale = [it for it in (*before, *names) if shard in pending.stale.get(it, ())]
            waits = any(it in whole for name in stale for it in graph[name].inputs)
            if not waits and not set(names).isdisjoint(stale):
                chosen = [f"key:{name}" for name in stale] if whole else _up_to(runner, names)
                return Next(tuple(names), (), _command(chosen, shard))
        return Next(tuple(names), tuple(whole), _command(_up_to(runner, whole)))
    return None


def _command(selected: Sequence[str], shard: str | None = None) -> str:
    command = f"persona-assets run --select {shlex.quote(' or '.join(selected))}"
    return command if shard is None else f"{command} --shards {shlex.quote(shard)}"


def _ancestors(runner: Runner, names: Iterable[str]) -> list[str]:
    """Whatever these assets are made from, in the order of the graph."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        inputs = set(runner.graph.assets[waiting.pop()].inputs) - found
        found |= inputs
        waiting += inputs
    return [name for name in runner.graph.assets if name in found]


def _up_to(runner: Runner, names: Sequence[str]) -> list[str]:
    """A selection of these assets and of all that they are made from, in few words."""
    before = set(_ancestors(runner, names))
    return [f"+key:{name}" for name in names if name not in before]


def _sum(first: Quantity | None, second: Quantity | None) -> Quantity | None:
    return first + second if first is not None and second is not None else first or second


def _within(interval: Interval | None, most: int | None) -> Interval | None:
    if interval is None or most is None:
        return interval
    low, high = (it if it is None else min(it, most) for it in (interval.low, interval.high))
    return Interval(min(interval.estimate, most), low, high)


def _interval(quantity: Quantity | None) -> Interval | None:
    return None if quantity is None else quantity.interval()
