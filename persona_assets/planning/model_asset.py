"""An asset that calls models: its endpoints, its prompts, and the calls recorded for its tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from persona_assets.assets.table_asset import TableAsset
from persona_assets.generation import Tokens, pricing
from persona_assets.orchestration.staleness import Asset
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.resources.call_records import read_call_records
from persona_assets.resources.tuned_model import FREE, is_served_name
from persona_assets.settings import ModelEndpoint
from persona_assets.storage.storage import Storage

CALL_SCHEMA = pl.Schema(
    {
        "model": pl.String(),
        "input": pl.Float64(),
        "output": pl.Float64(),
        "cost": pl.Float64(),
        "request_seconds": pl.Float64(),
        "token_seconds": pl.Float64(),
    }
)
"""Columns of a call: model, tokens, US dollars (null if the price is unknown), and the seconds of
its endpoint's requests and tokens per minute that the call uses up.
"""


@dataclass(frozen=True, eq=False)
class ModelAsset:
    """An asset that calls models.

    Attributes:
        asset: The asset in the graph.
        endpoints: Endpoints by role.
        prompt_versions: Versions of the asset's prompts and their variants.
        prompts: Names of the prompts.
    """

    asset: Asset
    endpoints: Mapping[str, ModelEndpoint]
    prompt_versions: frozenset[str]
    prompts: tuple[str, ...]

    @classmethod
    def from_declaration(
        cls, asset: Asset, declaration: TableAsset, project: Project
    ) -> "ModelAsset":
        """Derive endpoints and prompt versions from the declaration of an asset."""
        reads = declaration.reads
        prompts = {name: project.prompt(name) for name in reads.prompts}
        roles = sorted(declaration.roles(project))
        endpoints = {role: project.settings.endpoint(role) for role in roles}
        variants = [
            prompts[name].with_variables(**variables)
            for name, variable_sets in (reads.variables or {}).items()
            for variables in variable_sets
        ]
        # Embedding calls have no prompt.
        versions = {"", *(prompt.version for prompt in (*prompts.values(), *variants))}
        return cls(asset, endpoints, frozenset(versions), tuple(prompts))

    @property
    def name(self) -> str:
        """Name of the asset."""
        return self.asset.name

    @property
    def is_sharded(self) -> bool:
        """True if the asset has a table for each shard."""
        return is_sharded(self.asset)

    def endpoint_of(self, model: str) -> ModelEndpoint:
        """Return the endpoint that serves `model`, at no cost if it runs on this machine."""
        endpoint = next(each for each in self.endpoints.values() if each.model == model)
        return endpoint.model_copy(update={"price": FREE}) if endpoint.on_this_machine else endpoint

    @property
    def models(self) -> list[str]:
        """Names of the models that the asset asks."""
        return [endpoint.model for endpoint in self.endpoints.values()]

    def records(
        self, storage: Storage, partition: str | None, prompt_versions: Iterable[str]
    ) -> pl.DataFrame:
        """Read the calls recorded for a table with given prompts, to any model.

        Args:
            storage: Holds the table's journal and completions.
            partition: Shard; None for a table without shards.
            prompt_versions: Versions of the prompts.

        Returns:
            A row per record, with RECORD_SCHEMA.
        """
        records = read_call_records(storage, self.name, partition)
        names = {name: self._asked(name) for name in records["model"].drop_nulls().unique()}
        return records.filter(pl.col("prompt_version").is_in(list(prompt_versions))).with_columns(
            pl.col("model").replace(names)
        )

    def _asked(self, name: str) -> str:
        """Return the model of the settings that a recorded name belongs to; else the name.

        The records of a fine-tuned model have the name under which it was served. Those of its
        plain name belong to none: they are of a version that did not verify what was served.
        """
        endpoint = self.endpoints.get("evaluation")
        if endpoint is None or endpoint.embedded:
            return name
        if is_served_name(endpoint.model, name):
            return endpoint.model
        return f"{name} (unverified)" if name == endpoint.model else name

    def price_calls(self, records: pl.DataFrame) -> pl.DataFrame:
        """Return the tokens, cost and time of recorded calls.

        A call has its recorded cost. It has today's price if its cost was not recorded, or if the
        call was made online and coming calls use the Batch API, or the other way round.

        Args:
            records: Rows with RECORD_SCHEMA.

        Returns:
            A row per record, with CALL_SCHEMA.
        """
        prices = cache(lambda model: pricing(self.endpoint_of(model)))
        calls: list[tuple[Any, ...]] = []
        for row in records.iter_rows(named=True):
            endpoint, tokens, cost = self.endpoint_of(row["model"]), _tokens(row), row["cost_usd"]
            batch = endpoint.transport == "batch"
            if cost is None or row["batch"] != batch:
                failed = row["error_code"] is not None
                cost = 0 if failed else prices(row["model"]).cost(tokens, batch=batch)
            input_tokens, output_tokens = (tokens.input, tokens.output) if tokens else (0, 0)
            calls.append(
                (
                    row["model"],
                    input_tokens,
                    output_tokens,
                    None if cost is None else float(cost),
                    _seconds(1, endpoint.requests_per_minute),
                    _seconds(input_tokens + output_tokens, endpoint.tokens_per_minute),
                )
            )
        return pl.DataFrame(calls, schema=CALL_SCHEMA, orient="row")


def is_sharded(asset: Asset) -> bool:
    """Return True if an asset has a table for each shard."""
    return asset.partitions == shards.name


def _tokens(row: Mapping[str, Any]) -> Tokens | None:
    counts = [row[f"{kind}_tokens"] for kind in ("input", "cached", "output", "reasoning")]
    return None if counts == [None] * 4 else Tokens(*(count or 0 for count in counts))


def _seconds(amount: int, per_minute: int | None) -> float:
    return 0.0 if per_minute is None else 60.0 * amount / per_minute
