"""Texts of a shard for which other shards have paid: a renamed, repacked or repeated corpus.

The first calls of a sample of the texts are rendered, and their keys looked up in the index of paid
keys. What follows from a text is assumed to be paid for where its first call is, if the table of
the same asset exists there. Makes no call.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache

import polars as pl

from persona_assets.assets.draws import draw_of
from persona_assets.assets.text_language import follows_text
from persona_assets.generation import Answer, Request
from persona_assets.generation.completion import to_call
from persona_assets.generation.journal.paid_index import PaidIndex
from persona_assets.planning.model_asset import ModelAsset
from persona_assets.project import Project
from persona_assets.resources.session import role_endpoint
from persona_assets.steps.personas import build_text_personas
from persona_assets.storage.footer import Footer
from persona_assets.storage.shard_keys import file_stem

FIRST = "text_personas"
"""Asset whose calls are rendered: they depend on the texts alone."""

MOST_TEXTS = 64
"""Most texts of a shard in its sample."""


class PaidTexts:
    """Shares of shards for which other shards have paid.

    Args:
        project: Settings, prompts and storage.
        rows: Function from a shard to the rows of its current `raw_corpus`.
    """

    def __init__(self, project: Project, rows: Callable[[str], pl.DataFrame]) -> None:
        self._project = project
        self._rows = rows
        self._places = cache(self._find_places)
        self._index = PaidIndex(*project.storage.paid_folders)
        # In trouble the index is empty or older; a run tells the reason.
        with suppress(OSError):
            self._index.refresh()

    def share(self, asset: ModelAsset, shard: str) -> float:
        """Return the share of a shard's texts whose calls for an asset other shards have paid for.

        0 for an asset whose calls depend on the shard: demonstrations are drawn for each shard, and
        an embedding call holds a batch of texts.
        """
        prompts = (self._project.prompt(name, shard) for name in asset.prompts)
        if not asset.prompts or any(each.prompting.shots for each in prompts):
            return 0.0
        places = self._places(shard)
        paid = [any(self._is_paid(asset, stem) for stem in stems) for stems in places]
        return sum(paid) / len(paid) if paid else 0.0

    def _is_paid(self, asset: ModelAsset, stem: str) -> bool:
        """Return True if the current calls made the asset's table of another shard.

        A trial, an interrupted table or one of earlier prompts holds some of the answers, or none.
        """
        table = self._project.storage.data_dir / "tables" / asset.name / f"{stem}.parquet"
        if not self._index.has(f"{asset.name}/{stem}") or not table.exists():
            return False
        made_by = Footer.read(table).code_version
        return made_by in {asset.asset.code_version, *asset.asset.earlier}

    def _find_places(self, shard: str) -> list[list[str]]:
        """Return the file stems of the other shards that hold each first call of a sample."""
        own = f"{FIRST}/{file_stem(shard)}"
        if not len(self._index):
            return []
        rows = self._rows(shard)
        sample = rows.gather_every(max(1, -(-len(rows) // MOST_TEXTS)))
        found: list[list[str]] = []
        for key in self._keys(sample, shard):
            tables = (table for table in self._index.tables(key) if table != own)
            found.append([table.removeprefix(f"{FIRST}/") for table in tables])
        return found

    def _keys(self, rows: pl.DataFrame, shard: str) -> list[str]:
        settings = self._project.settings
        prompt = self._project.prompt("text_to_persona", shard)
        endpoint = role_endpoint(settings, prompt.head.role)
        keys: list[str] = []

        def complete(requests: Iterable[Request]) -> Iterator[Answer]:
            for request in requests:
                keys.append(to_call(request, endpoint).key)
                yield Answer("", "", "error", "not sent", None, "")

        build_text_personas(
            rows,
            prompt,
            complete,
            perspectives=settings.perspectives,
            per_text=settings.perspectives_per_text,
            max_chars=settings.text_chars,
            draw_by=draw_of(self._project, FIRST, shard).column("text", "text_id"),
            follow=follows_text(self._project, shard),
        )
        return keys
