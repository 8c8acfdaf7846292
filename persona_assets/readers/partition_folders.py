"""Columns that the folders of a partitioned data set hold: `language=de/part-0.parquet`."""

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

from persona_assets.readers.base import BadRecord, TextRecord
from persona_assets.readers.fields import FIELDS, LABELS, default_labels, find_labels

NULL = "__HIVE_DEFAULT_PARTITION__"
"""Value of a folder whose rows have no value in the column."""


def folder_columns(key: str) -> dict[str, str]:
    """Return the columns in the folders of a shard key, percent-decoded; an inner folder wins.

    Example:
        >>> folder_columns("web/language=de/licence=CC%20BY/a.jsonl")
        {'language': 'de', 'licence': 'CC BY'}
    """
    columns: dict[str, str] = {}
    for folder in key.split("/")[:-1]:
        name, equals, value = folder.partition("=")
        if name and equals and value not in ("", NULL):
            columns[unquote(name)] = unquote(value)
    return columns


def fill_labels(
    records: Iterable[TextRecord | BadRecord], shard: str, paths: Mapping[str, tuple[str, ...]]
) -> Iterator[TextRecord | BadRecord]:
    """Yield records with the labels of their folders where their file has none.

    Args:
        records: Records of a reader.
        shard: Shard key.
        paths: Dotted paths of each column, from `field_paths`; a folder may have a known name too.

    Example:
        >>> record = TextRecord(1, "Hallo.", "a.txt#1", "unknown", "und")
        >>> [filled] = fill_labels([record], "language=de/a.txt", FIELDS)
        >>> filled.language
        'de'
    """
    known = {column: (*paths[column], *FIELDS[column]) for column in LABELS}
    labels = find_labels(folder_columns(shard), known)
    for record in records:
        if labels and isinstance(record, TextRecord):
            own = {name: getattr(record, name) for name in LABELS}
            default = default_labels(record.row, shard)
            missing = {name: label for name, label in labels.items() if own[name] == default[name]}
            yield TextRecord(record.row, record.text, **(own | missing))
        else:
            yield record
