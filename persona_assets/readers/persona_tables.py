"""Tables of ready personas: the columns that they have, and the data sets that are known by them.

Any reader of rows with columns reads them; `persona_paths` stands in for the paths of a corpus.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from persona_assets.readers.base import BadRecord, DamagedFileError, TextRecord
from persona_assets.readers.compression import read_chunks, with_packings
from persona_assets.readers.delimited_text import DELIMITERS
from persona_assets.readers.fields import FIELDS, default_labels

PERSONA_FIELDS: Mapping[str, tuple[str, ...]] = {
    "persona": ("persona", "input persona", "input_persona"),
    "source": (*FIELDS["source"], "uuid"),
    "licence": FIELDS["licence"],
    "language": FIELDS["language"],
}
"""Paths of each column, in order of preference: as `FIELDS` of a text."""

HEAD_BYTES = 1 << 18
"""Bytes of a file in which its columns are looked for."""

_HEAD_ROWS = 20


@dataclass(frozen=True)
class DataSet:
    """Published data set of personas.

    Attributes:
        name: Name on the Hugging Face hub.
        licence: Licence by its own card.
        columns: Names that all its tables have.
    """

    name: str
    licence: str
    columns: frozenset[str]


DATA_SETS = (
    DataSet(
        "nvidia/Nemotron-Personas",
        "CC-BY-4.0",
        frozenset({"uuid", "persona", "professional_persona"}),
    ),
    DataSet("argilla/FinePersonas-v0.1", "llama3", frozenset({"id", "persona", "labels"})),
    DataSet(
        "proj-persona/PersonaHub",
        "CC-BY-NC-SA-4.0",
        frozenset({"persona", "general domain (top 1 percent)"}),
    ),
    DataSet(
        "proj-persona/PersonaHub",
        "CC-BY-NC-SA-4.0",
        frozenset({"input persona", "synthesized text"}),
    ),
)
"""Data sets that are recognised, in order of preference.

Rows are read one by one, so that a column of a single row, such as the elite personas'
`specific domain (top 0.0.1 percent)`, changes nothing.
"""


class PersonaColumnError(ValueError):
    """A table has no column with personas; the message names its columns and the setting."""


def persona_paths(fields: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the paths of a text record whose text is a persona.

    Args:
        fields: Dotted path by column, in place of the column's known paths.

    Raises:
        ValueError: A column is unknown.

    Example:
        >>> persona_paths({"persona": "sports_persona"})["text"]
        ('sports_persona',)
    """
    if unknown := sorted(set(fields) - set(PERSONA_FIELDS)):
        known = ", ".join(PERSONA_FIELDS)
        raise ValueError(
            f"PERSONA_READY_FIELDS: no column is called {', '.join(unknown)}: choose among {known}"
        )
    paths = dict(PERSONA_FIELDS) | {column: (path,) for column, path in fields.items()}
    return {"text": paths.pop("persona"), **paths}


def check_persona_column(key: str, columns: Iterable[str], paths: Iterable[str]) -> None:
    """Raise PersonaColumnError if a table has columns, and none in which a path begins.

    Args:
        key: Shard key.
        columns: Columns of the table; empty if they are unknown.
        paths: Dotted paths of the persona.

    Example:
        >>> check_persona_column("a.csv", ["persona", "n"], ["persona"])
    """
    found, sought = list(columns), list(paths)
    if found and not any(path in found or path.partition(".")[0] in found for path in sought):
        raise PersonaColumnError(
            f"{key} has no column {' or '.join(map(repr, sought))}: its columns are "
            f"{', '.join(map(repr, found))}: name the right one in PERSONA_READY_FIELDS, as in "
            '{"persona": "description"}'
        )


def column_names(key: str, path: Path) -> list[str]:
    """Return the columns in the head of a table; empty if it has none that can be read.

    The columns of JSON are the names in its first objects. A hostile file takes at most
    `HEAD_BYTES` and a chunk.
    """
    if key.lower().endswith(".parquet"):
        return _parquet_columns(path)
    head = bytearray()
    with suppress(DamagedFileError):
        for chunk in read_chunks(path):
            head += chunk
            if len(head) >= HEAD_BYTES:
                break
    encoding = "utf-16" if bytes(head[:2]) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = bytes(head[:HEAD_BYTES]).decode(encoding, errors="replace")
    if key.lower().endswith(with_packings(".csv", ".tsv")):
        return _header(text)
    return list(dict.fromkeys(name for row in _objects(text) for name in row))


def known_data_set(columns: Iterable[str]) -> DataSet | None:
    """Return the data set that has these columns; None if it is unknown.

    Example:
        >>> found = known_data_set(["id", "persona", "labels", "embeddings"])
        >>> found.name, found.licence
        ('argilla/FinePersonas-v0.1', 'llama3')
    """
    names = set(columns)
    return next((known for known in DATA_SETS if known.columns <= names), None)


def fill_data_set(
    records: Iterable[TextRecord | BadRecord], shard: str, data_set: DataSet | None
) -> Iterator[TextRecord | BadRecord]:
    """Yield records with the name of their data set before their source, and with its licence.

    A licence of the row or of its folder stays.

    Example:
        >>> record = TextRecord(1, "A night nurse in Riga", "17", "unknown", "und")
        >>> [filled] = fill_data_set([record], "a.parquet", DATA_SETS[0])
        >>> filled.source, filled.licence
        ('nvidia/Nemotron-Personas: 17', 'CC-BY-4.0')
    """
    for record in records:
        if data_set is None or isinstance(record, BadRecord):
            yield record
            continue
        unknown = record.licence == default_labels(record.row, shard)["licence"]
        yield replace(
            record,
            source=f"{data_set.name}: {record.source}",
            licence=data_set.licence if unknown else record.licence,
        )


def _parquet_columns(path: Path) -> list[str]:
    # By name, because pyarrow has no types to import.
    pa: Any = import_module("pyarrow")
    pq: Any = import_module("pyarrow.parquet")
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError, ValueError):
        return []


def _header(text: str) -> list[str]:
    line = next((line for line in text.splitlines() if line.strip()), "")
    headers: list[list[str]] = []
    for delimiter in DELIMITERS:
        with suppress(csv.Error):
            headers.append(next(csv.reader([line], delimiter=delimiter), []))
    return [name.strip() for name in max(headers, key=len, default=[]) if name.strip()]


def _objects(text: str) -> Iterator[dict[str, object]]:
    """Yield the first objects of JSON lines or of an array; broken lines are passed over."""
    decoder = json.JSONDecoder()
    at = 0
    for _ in range(_HEAD_ROWS):
        while at < len(text) and text[at] in " \t\r\n,[":
            at += 1
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("\n", at) + 1
            if not at:
                return
            continue
        if isinstance(value, dict):
            yield value
