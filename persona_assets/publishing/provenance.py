"""Provenance of published rows: tables, drops, prompts, models and money behind them."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from persona_assets.catalog.catalog import Catalog
from persona_assets.generation.journal.purge import PURGED
from persona_assets.ids import VARIANT
from persona_assets.project import Project
from persona_assets.prompting.prompt import Prompt
from persona_assets.storage.footer import Footer


@dataclass(frozen=True)
class TableFigures:
    """Rows of an asset over all shards, and dropped rows by reason, most frequent first."""

    asset: str
    rows: int
    dropped: Mapping[str, int]


@dataclass(frozen=True)
class ModelFigures:
    """Use of a model for the published rows; `usd` is None if a price is unknown."""

    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    usd: Decimal | None


@dataclass(frozen=True)
class PromptFigures:
    """Prompt behind the published rows.

    Attributes:
        name: Name of the file; `task@variant` for a variant.
        versions: Versions with which the tables were made.
        prompt: Prompt as it is now; None if its file is gone.
    """

    name: str
    versions: tuple[str, ...]
    prompt: Prompt | None


@dataclass(frozen=True)
class Provenance:
    """Origin of published rows, from the texts on."""

    tables: tuple[TableFigures, ...]
    models: tuple[ModelFigures, ...]
    prompts: tuple[PromptFigures, ...]
    versions: Mapping[str, str]


def find_provenance(project: Project, catalog: Catalog, tables: Collection[str]) -> Provenance:
    """Collect the provenance of tables from footers and completions.

    Args:
        project: Prompts and tables.
        catalog: Up to date.
        tables: Names of the published tables.
    """
    footers: dict[str, list[Footer]] = {}
    for _, footer in project.storage.footers():
        footers.setdefault(footer.asset, []).append(footer)
    order = _upstream(footers, tables)
    found = tuple(
        TableFigures(
            asset,
            sum(footer.rows for footer in footers[asset]),
            dict(sum((Counter(f.dropped) for f in footers[asset]), Counter[str]()).most_common()),
        )
        for asset in order
    )
    versions = {
        f"{footer.asset}/{footer.shard or ''}": footer.data_version
        for table in tables
        for footer in footers.get(table, [])
    }
    models, prompts = find_models(catalog, order), _prompts(project, footers, order)
    return Provenance(found, models, prompts, versions)


def _upstream(footers: Mapping[str, list[Footer]], tables: Collection[str]) -> list[str]:
    """Return the assets from which tables are made, and the tables, inputs first."""
    order: list[str] = []
    seen: set[str] = set()

    def visit(asset: str) -> None:
        if asset in seen or asset not in footers:
            return
        seen.add(asset)
        for upstream in sorted({each.asset for f in footers[asset] for each in f.upstream}):
            visit(upstream)
        order.append(asset)

    for table in tables:
        visit(table)
    return order


def find_models(catalog: Catalog, assets: Collection[str]) -> tuple[ModelFigures, ...]:
    """Return the models whose answers are in assets, and what these answers took.

    An answer counts once, also where the table that paid for it is gone: a copy has its price.
    """
    marks = ", ".join("?" for _ in assets)
    rows: list[dict[str, Any]] = catalog.query(
        "SELECT coalesce(model, 'unknown') AS model, count(*) AS calls, "
        "coalesce(sum(input_tokens), 0)::BIGINT AS input_tokens, "
        "coalesce(sum(output_tokens), 0)::BIGINT AS output_tokens, "
        "CASE WHEN count(cost_usd) = count(*) THEN sum(cost_usd) END AS usd "
        f"FROM (SELECT DISTINCT ON (coalesce(id, key)) * FROM completions WHERE asset IN ({marks}) "
        f"AND coalesce(error_code, '{PURGED}') = '{PURGED}') "
        "GROUP BY ALL ORDER BY calls DESC, model",
        list(assets),
    ).to_dicts()
    return tuple(ModelFigures(**row) for row in rows)


def _prompts(
    project: Project, footers: Mapping[str, list[Footer]], assets: Collection[str]
) -> tuple[PromptFigures, ...]:
    versions: dict[str, set[str]] = {}
    for asset in assets:
        for footer in footers[asset]:
            for name, version in footer.prompt_versions.items():
                versions.setdefault(name, set()).add(version)
    return tuple(
        PromptFigures(name, tuple(sorted(found)), _prompt(project, name))
        for name, found in versions.items()
    )


def _prompt(project: Project, name: str) -> Prompt | None:
    """Return a prompt as it is now, `name@role` as that role is asked; None if its file is gone."""
    prompts = project.prompts
    if name in prompts.names:
        return prompts[name]
    file, _, role = name.partition(VARIANT)
    is_role = file in prompts.names and role in project.settings.roles
    return prompts[file].as_role(role) if is_role else None
