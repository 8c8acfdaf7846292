"""Readers: the file of a shard in, its records out.

Belongs here: the differences between file formats, a module per format. Does not belong here: the
corpus folder and fingerprints (`resources/corpus_folder.py`), cleaning and cutting of texts
(`steps/corpus.py`), Dagster.

| name | endings | records |
|---|---|---|
| json_lines | .jsonl .ndjson | a JSON object per line |
| json_document | .json | the objects of an array, an object per line, or one object |
| parquet | .parquet | the rows |
| delimited_text | .csv .tsv | the rows after the header |
| web_archive | .warc .wet | the pages |
| plain_text | .txt | the whole file |

All but .parquet may be packed: .gz, .zst, .bz2, .xz. Folders as `language=de` fill in the labels
that a file does not have (`partition_folders.py`). The rows of a table may be ready personas
(`persona_tables.py`).

A further format is a module here, with a class that has `endings` and `read`, and a line in
`READERS`. In another package, an entry point replaces that line:

    [project.entry-points."persona_assets.readers"]
    mailbox = "my_package.mailbox:MailboxReader"
"""

from collections.abc import Iterable

from persona_assets.readers.base import (
    BadRecord,
    DamagedFileError,
    Reader,
    ReaderMissingError,
    ShardFile,
    TextRecord,
)
from persona_assets.readers.compression import PACKINGS, read_chunks
from persona_assets.readers.fields import field_paths, to_record
from persona_assets.readers.json_lines import split_lines
from persona_assets.readers.partition_folders import fill_labels
from persona_assets.readers.persona_tables import (
    PersonaColumnError,
    check_persona_column,
    column_names,
    fill_data_set,
    known_data_set,
    persona_paths,
)
from persona_assets.registry import Registry

__all__ = [
    "READERS",
    "BadRecord",
    "DamagedFileError",
    "PersonaColumnError",
    "Reader",
    "ReaderMissingError",
    "ShardFile",
    "TextRecord",
    "check_persona_column",
    "column_names",
    "field_paths",
    "fill_data_set",
    "fill_labels",
    "known_data_set",
    "known_endings",
    "list_formats",
    "persona_paths",
    "read_chunks",
    "reader_for",
    "split_lines",
    "table_endings",
    "to_record",
]

READERS: Registry[type[Reader]] = Registry(
    "persona_assets.readers",
    {
        "json_lines": "persona_assets.readers.json_lines:JsonLinesReader",
        "parquet": "persona_assets.readers.parquet:ParquetReader",
        "plain_text": "persona_assets.readers.plain_text:PlainTextReader",
        "json_document": "persona_assets.readers.json_document:JsonDocumentReader",
        "delimited_text": "persona_assets.readers.delimited_text:DelimitedTextReader",
        "web_archive": "persona_assets.readers.web_archive:WebArchiveReader",
    },
)
"""Reader classes by name; each is called without arguments."""

RESERVED = (
    ".jsonl",
    ".ndjson",
    ".jsonl.gz",
    ".jsonl.zst",
    ".json.gz",
    ".parquet",
    ".txt",
    ".txt.gz",
)
"""Endings that are read by the built-in readers alone. An installed reader of another ending, which
may be older than the built-in one, keeps it."""


WITHOUT_COLUMNS = ("plain_text", "web_archive")
"""Readers of files that are no tables, and so hold no ready personas."""


def known_endings() -> tuple[str, ...]:
    """Return the file-name endings of all readers.

    Example:
        >>> known_endings()[:3]
        ('.jsonl', '.ndjson', '.jsonl.gz')
    """
    return tuple(_names_by_ending())


def table_endings() -> tuple[str, ...]:
    """Return the file-name endings of the readers of rows with columns."""
    names = _names_by_ending().items()
    return tuple(ending for ending, name in names if name not in WITHOUT_COLUMNS)


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


def list_formats(endings: Iterable[str] | None = None) -> str:
    """Return endings, or those of all readers, as a phrase, those of packed files in short.

    Example:
        >>> list_formats()
        '.jsonl .ndjson .parquet .txt .json .csv .tsv .warc .wet (also packed: .gz .zst .bz2 .xz)'
    """
    all_endings = known_endings() if endings is None else endings
    plain = [ending for ending in all_endings if not ending.endswith(PACKINGS)]
    return f"{' '.join(plain)} (also packed: {' '.join(PACKINGS)})"


def _names_by_ending() -> dict[str, str]:
    names: dict[str, str] = {}
    builtin = set[str]()
    for name, reader in READERS.all():
        for ending in reader().endings:
            if names.get(ending, name) != name and (ending in RESERVED or ending not in builtin):
                raise ValueError(f"readers {names[ending]} and {name} both read {ending} files")
            names[ending] = name
            if READERS.is_builtin(name):
                builtin.add(ending)
            else:
                builtin.discard(ending)
    return names
