"""Persona-driven synthetic data as a Dagster asset graph (the method of arXiv 2406.20094).

The public API, beside the command `persona-assets`: paid model calls, near-duplicate removal, and
the tables of a project. Names are loaded on first use, so that importing the package stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from persona_assets.catalog.catalog import CatalogError
    from persona_assets.dedup import (
        Edges,
        LexicalJoin,
        Survivors,
        choose_survivors,
        cosine_edges,
        lexical_edges,
        lexical_join,
        words,
    )
    from persona_assets.generation import (
        Answer,
        Budget,
        BudgetReached,
        Call,
        CallRecord,
        Endpoint,
        EndpointError,
        EndpointRefused,
        EndpointUnreachable,
        Engine,
        Journal,
        JournalBusy,
        JournalCorrupt,
        Ledger,
        Price,
        Request,
        SpendingCap,
        Tokens,
        Usage,
        complete,
    )
    from persona_assets.project_tables import ProjectTables, open_project
    from persona_assets.storage.footer import Footer
    from persona_assets.storage.storage import MissingTableError

_MODULES = {
    "Answer": "generation",
    "Budget": "generation",
    "BudgetReached": "generation",
    "Call": "generation",
    "CallRecord": "generation",
    "CatalogError": "catalog.catalog",
    "Edges": "dedup",
    "Endpoint": "generation",
    "EndpointError": "generation",
    "EndpointRefused": "generation",
    "EndpointUnreachable": "generation",
    "Engine": "generation",
    "Footer": "storage.footer",
    "Journal": "generation",
    "JournalBusy": "generation",
    "JournalCorrupt": "generation",
    "Ledger": "generation",
    "LexicalJoin": "dedup",
    "MissingTableError": "storage.storage",
    "Price": "generation",
    "ProjectTables": "project_tables",
    "Request": "generation",
    "SpendingCap": "generation",
    "Survivors": "dedup",
    "Tokens": "generation",
    "Usage": "generation",
    "choose_survivors": "dedup",
    "complete": "generation",
    "cosine_edges": "dedup",
    "lexical_edges": "dedup",
    "lexical_join": "dedup",
    "open_project": "project_tables",
    "words": "dedup",
}
"""Module of each public name."""

__all__ = [
    "Answer",
    "Budget",
    "BudgetReached",
    "Call",
    "CallRecord",
    "CatalogError",
    "Edges",
    "Endpoint",
    "EndpointError",
    "EndpointRefused",
    "EndpointUnreachable",
    "Engine",
    "Footer",
    "Journal",
    "JournalBusy",
    "JournalCorrupt",
    "Ledger",
    "LexicalJoin",
    "MissingTableError",
    "Price",
    "ProjectTables",
    "Request",
    "SpendingCap",
    "Survivors",
    "Tokens",
    "Usage",
    "choose_survivors",
    "complete",
    "cosine_edges",
    "lexical_edges",
    "lexical_join",
    "open_project",
    "words",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
