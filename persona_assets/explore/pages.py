"""The pages: a view of the hub, the map, a row, a completion, dropped rows."""

import json
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from persona_assets.assets.graph import project_assets, table_contracts
from persona_assets.catalog.catalog import Catalog, CatalogError
from persona_assets.explore import map_image
from persona_assets.explore.dropped_rows import ON_PAGE, DroppedRows
from persona_assets.explore.facet_list import list_values
from persona_assets.explore.filters import MEANING, Filters
from persona_assets.explore.hub import FACETS, Hub
from persona_assets.explore.hub_tables import load_hub, tables_version
from persona_assets.explore.map_image import Places
from persona_assets.explore.map_links import FIELD, link_map
from persona_assets.explore.persona_view import describe, duplicates_of, nearest
from persona_assets.explore.records import Records
from persona_assets.explore.selection import Embed, Search, Selection
from persona_assets.local_models.embedder import EmbedderError
from persona_assets.project import Project
from persona_assets.reporting.page import html_environment

MISTAKES = (CatalogError, OSError, ValueError)
"""Errors that a page shows as a sentence."""


@dataclass(frozen=True)
class State:
    """Project as it was read."""

    hub: Hub
    search: Search
    places: Places


class Pages:
    """Pages on a project.

    Args:
        project: The project.
        embed: Embedding of a query; raises EmbedderError where there is none.

    Attributes:
        contracts: Contract of each table of the project, by asset.
    """

    def __init__(self, project: Project, embed: Embed) -> None:
        self._project = project
        self._embed = embed
        self.contracts = table_contracts(project_assets(project))
        catalog = Catalog(project.storage, self.contracts)
        self._records = Records(project.storage, catalog, self.contracts)
        self._dropped = DroppedRows(project.storage, catalog, self.contracts)
        self._templates = html_environment(Path(__file__).parent / "templates")
        self._templates.filters["quoted"] = lambda text: quote(text, safe="")
        self._templates.filters["pretty"] = _pretty
        self._reading = threading.Lock()
        self._state = self._read()

    @property
    def hub(self) -> Hub:
        """Personas as they were read."""
        return self._state.hub

    def _read(self) -> State:
        hub = load_hub(self._project)
        return State(hub, Search(hub, self._query_vector), Places(hub.places))

    def _query_vector(self, query: str) -> np.ndarray:
        dimensions = self._state.hub.meaning.dimensions
        if not dimensions:
            raise EmbedderError("there are no vectors yet: materialize persona_embeddings")
        vector = self._embed(query)
        if len(vector) != dimensions:
            raise EmbedderError(
                f"the embedder gives {len(vector)} dimensions and personas have {dimensions}: "
                "materialize persona_embeddings again"
            )
        if not vector.any():
            raise EmbedderError("the embedding model cannot read this query: search by words")
        return vector

    def view(self, request: Request) -> Response:
        """Show the personas of a view: facets, map and a page of the list."""
        state = self._state
        filters = _filters(request, state)
        if self._is_id(state, filters.query):
            return RedirectResponse(f"/row/{quote(filters.query, safe='')}", 303)
        problem = ""
        try:
            selection = state.search.select(filters)
        except EmbedderError as error:
            problem = str(error)
            selection = state.search.select(Filters(kind=filters.kind, values=filters.values))
            selection = Selection(selection.mask, 0, 0, [], [], selection.totals)
        return self._render(
            "view.html.jinja",
            filters=filters,
            selection=selection,
            problem=f"{problem[0].upper()}{problem[1:]}." if problem else "",
            by_meaning=filters.kind == MEANING,
            personas=[describe(state.hub, row) for row in selection.rows],
            cosines=selection.cosines,
            width=map_image.WIDTH,
            height=map_image.HEIGHT,
            field=FIELD,
            without_vector=len(state.hub) - len(state.hub.meaning),
            facets=[
                list_values(state.hub, name, title, filters, selection.totals[name])
                for name, title in FACETS.items()
            ],
            map=link_map(state.hub, state.places, filters, marks=not problem),
        )

    def map_png(self, request: Request) -> Response:
        """Draw the map of a view."""
        state = self._state
        filters = _filters(request, state)
        box = filters.box or state.places.box
        if box is None:
            return Response(status_code=404)
        try:
            marked = state.search.mask(filters)
        except EmbedderError:
            marked = None
        return Response(state.places.draw(box, marked), media_type="image/png")

    def row(self, request: Request) -> Response:
        """Show a row: chain, verdicts, completions, what was made from it."""
        row_id, state = request.path_params["row_id"], self._state
        place = state.hub.row(row_id)
        chain = self._records.chain(row_id)
        verdicts = self._records.verdicts(row_id)
        if place is None and not chain and not verdicts:
            return self._render("missing.html.jinja", 404, row_id=row_id)
        made = chain[0].step if chain else None
        return self._render(
            "row.html.jinja",
            row_id=row_id,
            persona=None if place is None else describe(state.hub, place),
            chain=chain,
            verdicts=verdicts,
            judgement=self._records.judgement(made.asset, made.shard or None, row_id)
            if made
            else {},
            effects=self._records.effects(row_id) if chain else None,
            neighbours=[] if place is None else nearest(state.hub, place),
            has_vector=place is not None and state.hub.meaning.vector(place) is not None,
            duplicates=([], 0) if place is None else duplicates_of(state.hub, place),
        )

    def completion(self, request: Request) -> Response:
        """Show the raw responses behind a row."""
        asset, shard, key = (
            request.query_params.get(name, "") for name in ("asset", "shard", "key")
        )
        attempts = []
        # Names come from the address: only those of the project lead to a file.
        if asset in self.contracts and shard in self._state.hub.shards:
            attempts = self._records.completions.attempts(asset, shard or None, key)
        code = 200 if attempts else 404
        return self._render(
            "completion.html.jinja", code, asset=asset, shard=shard, key=key, attempts=attempts
        )

    def dropped(self, request: Request) -> Response:
        """Show the dropped rows: by table and reason, or the rows of a reason."""
        asset, reason = (request.query_params.get(name, "") for name in ("asset", "reason"))
        page = Filters.parse(request.url.query).page
        counts = self._dropped.counts()
        count = next((n for table, why, n in counts if (table, why) == (asset, reason)), 0)
        return self._render(
            "dropped.html.jinja",
            200 if count or not asset else 404,
            counts=counts,
            asset=asset,
            reason=reason,
            count=count,
            page=page,
            pages=max(1, -(-count // ON_PAGE)),
            rows=self._dropped.page(asset, reason, page) if count else [],
        )

    def reload(self, request: Request) -> Response:
        """Read the tables again, if they have changed."""
        with self._reading:
            if tables_version(self._project.storage) != self._state.hub.version:
                self._state = self._read()
        return RedirectResponse("/", 303)

    def failed(self, request: Request, error: Exception) -> Response:
        """Show an error that a user can correct."""
        return self._render("failed.html.jinja", 500, message=str(error))

    def _render(self, template: str, status: int = 200, **values: Any) -> Response:
        hub = self._state.hub
        html = self._templates.get_template(template).render(
            project=self._project.settings.data_dir.resolve().name,
            personas_in_all=len(hub),
            notes=hub.notes,
            has_changed=tables_version(self._project.storage) != hub.version,
            **values,
        )
        return HTMLResponse(html, status)

    def _is_id(self, state: State, query: str) -> bool:
        """Return True for a query that is the id of a row."""
        looks_like = len(query) == 32 and all(char in "0123456789abcdef" for char in query)
        return looks_like or state.hub.row(query) is not None


def _filters(request: Request, state: State) -> Filters:
    """Read the view of a request, its area in the proportions of the map."""
    filters = Filters.parse(request.url.query)
    if filters.box is None:
        return filters
    return replace(filters, box=state.places.fitted(filters.box))


def _pretty(body: str | None) -> str:
    try:
        return json.dumps(json.loads(body or ""), indent=2, ensure_ascii=False)
    except ValueError:
        return body or ""
