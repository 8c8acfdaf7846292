"""The corpus folder: finds its shards, tells its other files, notices changes, has records read.

Beside it, the folder of ready personas, whose keys begin with `shard_keys.READY`.

Does not belong here: file formats (`readers/`).
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from persona_assets.readers import (
    BadRecord,
    ShardFile,
    TextRecord,
    check_persona_column,
    column_names,
    field_paths,
    fill_data_set,
    fill_labels,
    known_data_set,
    known_endings,
    list_formats,
    persona_paths,
    reader_for,
    table_endings,
)
from persona_assets.readers.compression import PACKINGS
from persona_assets.settings import Settings
from persona_assets.storage.footer import SourceFile
from persona_assets.storage.shard_keys import READY, check_shard_key, is_ready

LINK = "link"
"""Kind of an unread link: out of the folder, to a folder, or to nothing."""

PLAIN = "without an ending"
"""Kind of an unread file whose name has no ending."""

CORPUS = "PERSONA_CORPUS"
PERSONAS = "PERSONA_READY_PERSONAS"

_MOST_KINDS = 6
_HIDDEN = (".", "~")
# Notes of Hadoop, Spark and Delta Lake beside their files.
_MARKERS = ("_SUCCESS", "_metadata", "_common_metadata")
_MARKER_STARTS = ("_committed_", "_started_")
_MARKER_FOLDERS = ("_temporary", "_delta_log", "_spark_metadata")
_CHECKSUM = ".crc"
_ENDING = re.compile(r"(?:\.[a-z0-9]{1,10})?\.[a-z0-9~_-]{1,10}", re.ASCII)


@dataclass(frozen=True)
class CorpusFiles:
    """Files of a corpus folder, from one walk.

    Attributes:
        root: The folder.
        shards: Keys of all shards, sorted; those of ready personas come last, so that of two
            duplicates in a new project its own persona stays.
        unread: Number of files that are no shards, by kind: their ending, LINK or PLAIN.
        personas: Files of the folder of ready personas; None without such a folder.
    """

    root: Path
    shards: list[str]
    unread: Mapping[str, int]
    personas: "CorpusFiles | None" = None

    def describe_unread(self) -> str:
        """Return a sentence on the files that are not read; empty if there are none.

        Each folder has a line.

        Example:
            >>> CorpusFiles(Path("texts"), [], {".docx": 2, ".pdf": 1}).describe_unread()[:55]
            '3 files in texts are not read: 2 .docx, 1 .pdf; readers'
        """
        own = self._describe_unread(known_endings())
        others = self.personas._describe_unread(table_endings()) if self.personas else ""
        return "\n".join(filter(None, (own, others)))

    def _describe_unread(self, endings: tuple[str, ...]) -> str:
        count = sum(self.unread.values())
        if not count:
            return ""
        files = "1 file in {} is" if count == 1 else f"{count:,} files in {{}} are"
        formats = list_formats(endings)
        return f"{files.format(self.root)} not read: {self._kinds()}; readers take {formats}"

    def check(self) -> None:
        """Raise an error that names what was found if there is no shard, or no ready persona.

        Raises:
            FileNotFoundError: There is no shard, or none in the folder of ready personas.
        """
        if self.personas is not None and not self.personas.shards:
            raise FileNotFoundError(
                f"folder of ready personas {self.personas._nothing(table_endings(), PERSONAS)}"
            )
        if not self.shards:
            raise FileNotFoundError(f"corpus folder {self._nothing(known_endings(), CORPUS)}")

    def _nothing(self, endings: tuple[str, ...], setting: str) -> str:
        found = f"{self._kinds()} found" if self.unread else "it is empty"
        return (
            f"{self.root} has no file that a reader takes ({found}): add files of "
            f"{list_formats(endings)}, or set {setting} to their folder"
        )

    def _kinds(self) -> str:
        by_count = sorted(self.unread.items(), key=lambda item: (-item[1], item[0]))
        kinds = [f"{count:,} {kind}" for kind, count in by_count[:_MOST_KINDS]]
        others = sum(count for _, count in by_count[_MOST_KINDS:])
        return ", ".join([*kinds, *([f"{others:,} others"] if others else [])])


@dataclass(frozen=True)
class Corpus:
    """Folder of text files, each file a shard, and perhaps a folder of ready personas.

    Args:
        root: The folder.
        fields: Dotted path of each column that is stored under an unknown name (see
            `readers.fields.FIELDS`): `{"text": "body", "source": "page.url"}`.
        max_record_bytes: Largest record that is read.
        personas: Folder of tables of ready personas, each file a shard; None for none.
        persona_fields: Dotted path of each column of these tables that is stored under an unknown
            name (see `readers.persona_tables.PERSONA_FIELDS`).

    Raises:
        ValueError: A column is unknown, or `max_record_bytes` is below 1.
    """

    root: Path
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    max_record_bytes: int = 8_000_000
    personas: Path | None = None
    persona_fields: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, settings: Settings) -> "Corpus":
        """Return the corpus that the settings name."""
        return cls(
            settings.corpus,
            settings.corpus_fields,
            personas=settings.ready_personas,
            persona_fields=settings.ready_fields or {},
        )

    def __post_init__(self) -> None:
        _ = field_paths(self.fields), persona_paths(self.persona_fields)
        if self.max_record_bytes < 1:
            raise ValueError(f"max_record_bytes must be positive; it is {self.max_record_bytes}")

    def files(self) -> CorpusFiles:
        """Return the shards of the folder, and the number of its other files by kind.

        No shards: files without a known ending, links that leave the root, and files in linked
        folders; all of these are counted. Neither shards nor counted: hidden names, which start
        with `.` or `~`; hidden folders; checksums, and the notes that Hadoop, Spark and Delta Lake
        leave beside their files (`_SUCCESS`, `_temporary/`).

        Raises:
            FileNotFoundError: A folder does not exist.
            NotADirectoryError: A folder is a file.
            ValueError: The path of a file cannot be a key.
        """
        texts = _walk(self.root, known_endings(), CORPUS)
        if self.personas is None:
            return texts
        ready = _walk(self.personas, table_endings(), PERSONAS, READY)
        return CorpusFiles(self.root, [*texts.shards, *ready.shards], texts.unread, ready)

    def shards(self) -> list[str]:
        """Return the keys of all shards; see `files`."""
        return self.files().shards

    def has(self, key: str) -> bool:
        """Return True if the file of the shard exists."""
        return self._file(key) is not None

    def stamp(self, key: str) -> tuple[int, int] | None:
        """Return size and modification time (ns) of a shard's file, unread; None if gone."""
        path = self._file(key)
        if path is None:
            return None
        status = path.stat()
        return status.st_size, status.st_mtime_ns

    def fingerprint(self, key: str) -> SourceFile | None:
        """Return the current fingerprint of a shard's file, read in full; None if gone."""
        path = self._file(key)
        return None if path is None else _hash(path)

    def changed(self, key: str, known: SourceFile) -> SourceFile | None:
        """Return the new fingerprint of a file whose content has changed, None if it has not.

        The file is read only if its size or modification time differs.

        Raises:
            FileNotFoundError: The file is gone.
        """
        path = self._present(key)
        status = path.stat()
        if (status.st_size, status.st_mtime_ns) == (known.size, known.mtime_ns):
            return None
        now = _hash(path)
        return None if now.sha256 == known.sha256 else now

    def read(self, key: str) -> Iterator[TextRecord | BadRecord]:
        """Return an iterator over a shard's records, with a BadRecord for each unreadable record.

        A bad record does not stop the reading. A file without any record gives `empty_file`. A
        label that the file does not have is that of its folders, as in `language=de`. The texts of
        ready personas are the personas; their licence is at last that of a known data set.

        Raises:
            FileNotFoundError: The file is gone.
            ValueError: No reader knows the file's ending, or its reader is not installed.
            PersonaColumnError: A table of ready personas has no column with personas.
        """
        path = self._present(key)
        reader = reader_for(key)
        paths = persona_paths(self.persona_fields) if is_ready(key) else field_paths(self.fields)
        file = ShardFile(key, path, paths, self.max_record_bytes)
        records = fill_labels(reader.read(file), key, paths)
        if is_ready(key):
            columns = column_names(key, path)
            check_persona_column(key, columns, paths["text"])
            records = fill_data_set(records, key, known_data_set(columns))
        return _or_empty_file(records)

    def _file(self, key: str) -> Path | None:
        check_shard_key(key)
        if not is_ready(key):
            base = _base(self.root, CORPUS)
        elif self.personas is not None:
            base = _base(self.personas, PERSONAS)
        else:
            return None
        path = base / key.removeprefix(READY)
        return path if _is_inside(path, base) else None

    def _present(self, key: str) -> Path:
        path = self._file(key)
        if path is None:
            raise FileNotFoundError(f"shard {key!r} is gone from the corpus {self.root}")
        return path


def _walk(root: Path, endings: tuple[str, ...], setting: str, prefix: str = "") -> CorpusFiles:
    """Return the files of a folder; see `Corpus.files`."""
    base = _base(root, setting)
    keys: list[str] = []
    unread = Counter[str]()
    for folder, folders, names in os.walk(base, onerror=_raise):
        folders[:] = [name for name in folders if not _is_hidden_folder(name)]
        unread[LINK] += sum(Path(folder, name).is_symlink() for name in folders)
        for name in names:
            if _is_hidden(name):
                continue
            path = Path(folder, name)
            if name.lower().endswith(endings) and _is_inside(path, base):
                keys.append(check_shard_key(prefix + path.relative_to(base).as_posix()))
            elif path.is_symlink():
                unread[LINK] += 1
            elif path.is_file():
                unread[_kind(name)] += 1
    return CorpusFiles(root, sorted(keys), +unread)


def _base(root: Path, setting: str) -> Path:
    what = "corpus folder" if setting == CORPUS else f"folder of {setting}"
    if not root.exists():
        raise FileNotFoundError(f"{what} {root} does not exist: create or mount it")
    if not root.is_dir():
        what = "corpus" if setting == CORPUS else setting
        raise NotADirectoryError(f"{what} {root} is not a folder: name the one with the files")
    return root.resolve()


def _raise(error: OSError) -> NoReturn:
    raise error


def _hash(path: Path) -> SourceFile:
    with path.open("rb") as file:
        # Status before hash: a write in between then shows as a newer time at the next look.
        status = os.fstat(file.fileno())
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return SourceFile(size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=sha256)


def _is_hidden(name: str) -> bool:
    is_marker = name in _MARKERS or name.startswith(_MARKER_STARTS)
    return name.startswith(_HIDDEN) or is_marker or name.lower().endswith(_CHECKSUM)


def _is_hidden_folder(name: str) -> bool:
    return name.startswith(".") or name in _MARKER_FOLDERS


def _kind(name: str) -> str:
    """Return the ending of a name, two of them for a packed file; names are untrusted."""
    suffixes = Path(name.lower()).suffixes
    if not suffixes:
        return PLAIN
    is_packed = suffixes[-1] in PACKINGS
    ending = "".join(suffixes[-2:] if is_packed else suffixes[-1:])
    return ending if _ENDING.fullmatch(ending) else "with an unusual ending"


def _is_inside(path: Path, base: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(base)


def _or_empty_file(records: Iterator[TextRecord | BadRecord]) -> Iterator[TextRecord | BadRecord]:
    first = next(records, None)
    yield BadRecord(1, "empty_file") if first is None else first
    yield from records
