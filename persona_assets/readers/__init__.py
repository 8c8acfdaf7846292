"""Readers: the file of a shard in, its records out.

Belongs here: the differences between file formats, a module per format. Does not belong here: the
corpus folder and fingerprints (`resources/corpus_folder.py`), cleaning and cutting of texts
(`steps/corpus.py`), Dagster.

| name | endings | records |
|---|---|---|
| json_lines | .jsonl .ndjson .jsonl.gz .jsonl.zst .json.gz | a JSON object per line |
| parquet | .parquet | the rows |
| plain_text | .txt .txt.gz | the whole file |

A further format is a module here, with a class that has `endings` and `read`, and a line in
`READERS`. In another package, an entry point replaces that line:

    [project.entry-points."persona_assets.readers"]
    warc = "my_package.warc:WarcReader"
"""

from persona_assets.readers.base import (
    BadRecord,
    DamagedFileError,
    Reader,
    ShardFile,
    TextRecord,
)
from persona_assets.readers.compression import read_chunks
from persona_assets.readers.fields import field_paths, to_record
from persona_assets.readers.json_lines import split_lines
from persona_assets.registry import Registry

__all__ = [
    "READERS",
    "BadRecord",
    "DamagedFileError",
    "Reader",
    "ShardFile",
    "TextRecord",
    "field_paths",
    "known_endings",
    "read_chunks",
    "reader_for",
    "split_lines",
    "to_record",
]

READERS: Registry[type[Reader]] = Registry(
    "persona_assets.readers",
    {
        "json_lines": "persona_assets.readers.json_lines:JsonLinesReader",
        "parquet": "persona_assets.readers.parquet:ParquetReader",
        "plain_text": "persona_assets.readers.plain_text:PlainTextReader",
    },
)
"""Reader classes by name; each is called without arguments."""


def known_endings() -> tuple[str, ...]:
    """Return the file-name endings of all readers.

    Example:
        >>> known_endings()[:3]
        ('.jsonl', '.ndjson', '.jsonl.gz')
    """
    return tuple(_names_by_ending())


def reader_for(key: str) -> Reader:
    """Return the reader of a shard, by the longest ending that matches its key in any case.

    Raises:
        ValueError: No reader has a matching ending, or two readers have the same ending.

    Example:
        >>> type(reader_for("2024/Part-1.JSONL.GZ")).__name__
        'JsonLinesReader'
    """
    names = _names_by_ending()
    matching = [ending for ending in names if key.lower().endswith(ending)]
    if not matching:
        known = " ".join(names)
        raise ValueError(f"shard {key!r} has an unknown extension: use one of {known}")
    return READERS.get(names[max(matching, key=len)])()


def _names_by_ending() -> dict[str, str]:
    names: dict[str, str] = {}
    for name, reader in READERS.all():
        for ending in reader().endings:
            if names.setdefault(ending, name) != name:
                raise ValueError(f"readers {names[ending]} and {name} both read {ending} files")
    return names
