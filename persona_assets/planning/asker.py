"""An asker: an asset that asks models, and what its tables have asked so far."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from persona_assets.assets.table_asset import TableAsset
from persona_assets.generation import Journal, Tokens, pricing
from persona_assets.orchestration.staleness import Asset
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.resources.session import FREE
from persona_assets.settings import ROLES, ModelEndpoint
from persona_assets.storage.storage import Storage

RECORD = pl.Schema(
    {
        "key": pl.String(),
        "time": pl.String(),
        "run_id": pl.String(),
        "model": pl.String(),
        "prompt_version": pl.String(),
        "batch": pl.Boolean(),
        "error_code": pl.String(),
        "input_tokens": pl.Int64(),
        "cached_tokens": pl.Int64(),
        "output_tokens": pl.Int64(),
        "reasoning_tokens": pl.Int64(),
        "cost_usd": pl.Decimal(38, 12),
    }
)
"""What a forecast takes of a record, by the names that the completions have for it."""

CALL = pl.Schema(
    {
        "model": pl.String(),
        "input": pl.Float64(),
        "output": pl.Float64(),
        "cost": pl.Float64(),
        "request_seconds": pl.Float64(),
        "token_seconds": pl.Float64(),
    }
)
"""One call: its model, tokens, US dollars (null where nobody knows), and the seconds that it takes
up of the requests and of the tokens a minute that its endpoint is allowed.
"""


@dataclass(frozen=True, eq=False)
class Asker:
    """An asset that asks models: its endpoints by role, and the versions of its prompts."""

    asset: Asset
    endpoints: Mapping[str, ModelEndpoint]
    versions: frozenset[str]

    @classmethod
    def of(cls, asset: Asset, declared: TableAsset, project: Project) -> "Asker":
        """Describe an asset of the graph by its declaration."""
        reads = declared.reads
        prompts = {name: project.prompt(name) for name in reads.prompts}
        roles: set[str] = {prompt.head.role for prompt in prompts.values()}
        roles |= {name for name in reads.settings if name in ROLES}
        endpoints = {role: project.settings.endpoint(role) for role in sorted(roles)}
        variants = [
            prompts[name].given(**variables)
            for name, sets in (reads.variables or {}).items()
            for variables in sets
        ]
        # Embedding calls have no prompt.
        versions = {"", *(prompt.version for prompt in (*prompts.values(), *variants))}
        return cls(asset, endpoints, frozenset(versions))

    @property
    def name(self) -> str:
        """The asset's name."""
        return self.asset.name

    @property
    def is_sharded(self) -> bool:
        """Whether it has a table for each shard."""
        return is_sharded(self.asset)

    def endpoint_of(self, model: str) -> ModelEndpoint:
        """The endpoint that answers as `model`; one on this machine costs nothing."""
        endpoint = next(it for it in self.endpoints.values() if it.model == model)
        return endpoint.model_copy(update={"price": FREE}) if endpoint.embedded else endpoint

    def records(self, storage: Storage, partition: str | None) -> pl.DataFrame:
        """What was asked for one table with the prompts and models of now, as RECORD."""
        path = storage.journal(self.name, partition)
        landed = storage.completions(self.name, partition)
        lines: list[tuple[Any, ...]] = []
        for record in Journal(path, landed).live():
            said, counted = record.tokens is not None, record.tokens or Tokens()
            counts = (counted.input, counted.cached, counted.output, counted.reasoning)
            lines.append(
                (
                    record.key,
                    record.time,
                    record.run_id,
                    record.model,
                    record.prompt_version,
                    record.batch,
                    record.failure,
                    *(count if said else None for count in counts),
                    record.cost,
                )
            )
        found = [pl.DataFrame(lines, schema=RECORD, orient="row")]
        if landed.exists():
            found.insert(0, pl.read_parquet(landed, columns=RECORD.names()))
        models = [endpoint.model for endpoint in self.endpoints.values()]
        return (
            pl.concat(found)
            .with_columns(
                pl.col("batch").fill_null(False),
                pl.col("time", "run_id", "prompt_version").fill_null(""),
            )
            .filter(
                pl.col("model").is_in(models), pl.col("prompt_version").is_in(list(self.versions))
            )
        )

    def calls(self, records: pl.DataFrame) -> pl.DataFrame:
        """Records as CALL: at the cost of their day, or at today's price where that is not known or
        they went online and the next ones go by way of the Batch API, or the other way round.
        """
        prices = cache(lambda model: pricing(self.endpoint_of(model)))
        calls: list[tuple[Any, ...]] = []
        for row in records.iter_rows(named=True):
            endpoint, tokens, cost = self.endpoint_of(row["model"]), _tokens(row), row["cost_usd"]
            batch = endpoint.transport == "batch"
            if cost is None or row["batch"] != batch:
                failed = row["error_code"] is not None
                cost = 0 if failed else prices(row["model"]).cost(tokens, batch=batch)
            asked, said = (tokens.input, tokens.output) if tokens else (0, 0)
            calls.append(
                (
                    row["model"],
                    asked,
                    said,
                    None if cost is None else float(cost),
                    _seconds(1, endpoint.requests_per_minute),
                    _seconds(asked + said, endpoint.tokens_per_minute),
                )
            )
        return pl.DataFrame(calls, schema=CALL, orient="row")


def is_sharded(asset: Asset) -> bool:
    """Whether an asset has a table for each shard."""
    return asset.partitions == shards.name


def _tokens(row: Mapping[str, Any]) -> Tokens | None:
    counts = [row[f"{kind}_tokens"] for kind in ("input", "cached", "output", "reasoning")]
    return None if counts == [None] * 4 else Tokens(*(count or 0 for count in counts))


def _seconds(amount: int, per_minute: int | None) -> float:
    return 0.0 if per_minute is None else 60.0 * amount / per_minute
