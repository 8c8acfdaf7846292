"""Columns of a record: which fields of an object hold its text, source, licence and language."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeGuard

from persona_assets.readers.base import BadRecord, TextRecord

FIELDS: Mapping[str, tuple[str, ...]] = {
    "text": ("text", "raw_content"),
    "source": (
        "source",
        "url",
        "meta.url",
        "metadata.url",
        "meta.source",
        "metadata.source",
        "source_domain",
        "meta.source_domain",
        "id",
    ),
    "licence": (
        "licence",
        "license",
        "meta.licence",
        "meta.license",
        "metadata.licence",
        "metadata.license",
    ),
    "language": ("language", "meta.language", "metadata.language"),
}
"""Paths of each column, in order of preference: the layouts of RedPajama, FineWeb and Dolma.

A dot enters an object, or a string that holds an object as JSON (RedPajama's `meta`).
"""

LABELS = ("source", "licence", "language")
"""Columns of a record beside its text."""


def field_paths(fields: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return `FIELDS` with the user's own paths in place of a column's known paths.

    Args:
        fields: Dotted path by column, for columns that are stored under a name unknown to `FIELDS`.

    Raises:
        ValueError: A column is unknown.

    Example:
        >>> field_paths({"text": "body"})["text"]
        ('body',)
    """
    if unknown := sorted(set(fields) - set(FIELDS)):
        raise ValueError(f"no column is called {', '.join(unknown)}: choose among {sorted(FIELDS)}")
    return dict(FIELDS) | {column: (path,) for column, path in fields.items()}


def to_record(
    data: object, row: int, shard: str, paths: Mapping[str, tuple[str, ...]]
) -> TextRecord | BadRecord:
    """Convert an object of any known layout to a record.

    Missing values get a default: licence `unknown`, language `und`, source `shard#row`.

    Args:
        data: Decoded object; a value of another type gives a BadRecord.
        row: Number of the record in its file, from 1.
        shard: Shard key.
        paths: Dotted paths of each column, from `field_paths`.

    Example:
        >>> to_record({"raw_content": "Hello.", "meta": {"url": "u"}}, 7, "a.jsonl", FIELDS)
        TextRecord(row=7, text='Hello.', source='u', licence='unknown', language='und')
    """
    if not _is_object(data):
        return BadRecord(row, f"not_an_object: {type(data).__name__}")
    text = next(_values(data, paths["text"]), None)
    if text is None:
        return BadRecord(row, f"missing_text: no {' or '.join(paths['text'])}")
    if not isinstance(text, str):
        return BadRecord(row, f"text_not_a_string: {type(text).__name__}")
    if not text.strip():
        return BadRecord(row, "empty_text")
    return TextRecord(row, text, **(default_labels(row, shard) | find_labels(data, paths)))


def find_labels(data: Mapping[str, object], paths: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return source, licence and language of an object, without those that it does not have.

    Example:
        >>> find_labels({"meta": {"language": "de"}, "license": " "}, FIELDS)
        {'language': 'de'}
    """
    labels = {column: _label(data, paths[column]) for column in LABELS}
    return {column: label for column, label in labels.items() if label is not None}


def default_labels(row: int, shard: str) -> dict[str, str]:
    """Return source, licence and language of a record that has none of its own."""
    return {"source": f"{shard}#{row}", "licence": "unknown", "language": "und"}


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def _values(data: Mapping[str, object], paths: Iterable[str]) -> Iterator[object]:
    values = (lookup(data, path) for path in paths)
    return (value for value in values if value is not None)


def _label(data: Mapping[str, object], paths: Iterable[str]) -> str | None:
    for value in _values(data, paths):
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return None


def lookup(data: Mapping[str, object], path: str) -> object:
    """Return the value at a dotted path (or under the path as a plain name), None if absent."""
    if path in data:
        return data[path]
    value: object = data
    for part in path.split("."):
        if isinstance(value, str) and value.lstrip().startswith("{"):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return None
        if not _is_object(value):
            return None
        value = value.get(part)
    return value
