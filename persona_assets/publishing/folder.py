"""Folder of a published dataset: Parquet files, lines for other libraries, card, manifest."""

import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from persona_assets.project import Project
from persona_assets.publishing.card import MANIFEST, CardFacts, render_card
from persona_assets.publishing.formats import (
    LINES,
    LLAMA_FACTORY,
    Messages,
    as_messages,
    as_prompt_completion,
)
from persona_assets.publishing.licences import dataset_licence
from persona_assets.publishing.provenance import Provenance
from persona_assets.publishing.rows import TRAIN, PublishedRows, PublishError
from persona_assets.storage.files import replace_folder, sha256_listing

FILE_BYTES = 300_000_000
"""Bytes of rows in memory that a Parquet file holds at most."""

ROWS = "rows"
"""Config of all columns."""

CONVERSATIONS: Mapping[str, tuple[tuple[str, ...], Callable[[Messages], dict[str, Any]]]] = {
    "messages": (("messages",), as_messages),
    "prompt_completion": (("prompt", "completion"), as_prompt_completion),
}
"""Configs of conversations, the default first: their columns, and the form."""

LLAMA = "llama-factory"
"""Format name of ShareGPT lines with the description that LLaMA-Factory reads."""

FORMATS = (*LINES, LLAMA)


@dataclass(frozen=True)
class Publication:
    """A published folder: its path, and its number of rows by config and split."""

    path: Path
    rows: Mapping[tuple[str, str], int]


def publish(
    project: Project,
    found: PublishedRows,
    provenance: Provenance,
    folder: Path,
    *,
    terms: Mapping[str, str],
    formats: Collection[str] = (),
) -> Publication:
    """Write a dataset into a folder, which appears once it is complete.

    Args:
        project: Prompts and settings.
        found: Rows to publish.
        provenance: Their origin.
        folder: Folder to make; an earlier publication there is replaced.
        terms: Terms of each model, as the publisher states them.
        formats: Further formats among FORMATS.

    Raises:
        LicenceError: The licences of the rows forbid it.
        PublishError: The folder holds something else.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise PublishError(f"{folder} is a file: name an empty or a new folder")
    if formats and not found.messages:
        raise PublishError(f"{found.name} has no conversations: leave out --format")
    licence = dataset_licence(found.count("licence"))
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
        raise PublishError(f"{folder} is no earlier publication: name an empty or a new folder")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    configs: dict[str, dict[str, list[str]]] = {}
    sizes: dict[tuple[str, str], int] = {}
    for config, split, rows in _frames(found):
        if len(rows):
            paths = _write_parquet(rows, partial, config, split)
            configs.setdefault(config, {})[split] = paths
            sizes[config, split] = len(rows)
    _write_lines(found, partial, formats)
    facts = CardFacts(licence, provenance, terms, configs, sizes)
    (partial / "README.md").write_text(render_card(project, found, facts), "utf-8")
    (partial / MANIFEST).write_text(sha256_listing(partial))
    replace_folder(partial, folder)
    return Publication(folder, sizes)


def _frames(found: PublishedRows) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Yield config, split and rows, the default config first."""
    for config, (columns, convert) in CONVERSATIONS.items() if found.messages else ():
        for split, rows in _answered(found):
            said = [convert(found.messages[row_id]) for row_id in rows[found.row_id]]
            values = {name: [each[name] for each in said] for name in columns}
            yield config, split, _with(found, rows, values)
    schemas = {split: rows.schema for split, rows in found.rows.items()}
    for split, rows in found.rows.items():
        # Splits of a config have the same columns.
        yield (ROWS if schemas[split] == schemas[TRAIN] else f"{split}_{ROWS}"), split, rows


def _answered(found: PublishedRows) -> Iterator[tuple[str, pl.DataFrame]]:
    for split, rows in found.rows.items():
        if rows.schema == found.rows[TRAIN].schema:
            yield split, rows.filter(pl.col(found.row_id).is_in(list(found.messages)))


def _with(
    found: PublishedRows, rows: pl.DataFrame, columns: Mapping[str, list[Any]]
) -> pl.DataFrame:
    """Return conversations beside the columns that identify and license a row."""
    message = pl.List(pl.Struct({"role": pl.String(), "content": pl.String()}))
    kept = [name for name in (found.row_id, "licence", "language") if name in rows.columns]
    return rows.select(
        *(pl.Series(name, values, message) for name, values in columns.items()), *kept
    )


def _write_parquet(rows: pl.DataFrame, folder: Path, config: str, split: str) -> list[str]:
    files = max(1, -(-int(rows.estimated_size()) // FILE_BYTES))
    size = -(-len(rows) // files)
    paths = [f"{config}/{split}-{place:05}-of-{files:05}.parquet" for place in range(files)]
    (folder / config).mkdir(parents=True, exist_ok=True)
    for place, path in enumerate(paths):
        rows.slice(place * size, size).write_parquet(folder / path)
    return paths


def _write_lines(found: PublishedRows, folder: Path, formats: Collection[str]) -> None:
    names = sorted({"sharegpt" if name == LLAMA else name for name in formats})
    described: dict[str, Any] = {}
    for name in names:
        for split, rows in _answered(found):
            path = folder / name / f"{split}.jsonl"
            path.parent.mkdir(exist_ok=True)
            with path.open("w", encoding="utf-8") as file:
                for row_id in rows[found.row_id]:
                    line = LINES[name](found.messages[row_id])
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
            label = f"{found.name}_{name}_{split}".replace("@", "_")
            described[label] = {"file_name": f"{name}/{split}.jsonl", **LLAMA_FACTORY[name]}
    if LLAMA in formats:
        text = json.dumps(described, indent=2)
        (folder / "dataset_info.json").write_text(text + "\n", "utf-8")
