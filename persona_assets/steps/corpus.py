"""From the records of one corpus file to the texts of one shard.

Which fields of an object are a record's text, source, licence and language, and what a record
becomes: cleaned, cut to length, identified, kept once. Files and compression are in
`resources/corpus.py`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeGuard

import polars as pl

from persona_assets.ids import content_id, text_id
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "1"
STAGE = "raw_corpus"

SCHEMA = pl.Schema(
    {
        "text_id": pl.String(),
        "text": pl.String(),
        "source": pl.String(),
        "licence": pl.String(),
        "language": pl.String(),
    }
)

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
"""Where each column is looked for; the first value wins. Covers RedPajama, FineWeb and Dolma.

A dot enters an object, or a string that holds one as JSON (RedPajama's `meta`).
"""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Each match has a fixed length, so a long run of full stops costs linear time.
_SENTENCE = re.compile(r"[.!?…。！？\n](?:(?<=[。！？\n])|[\"'”’)\]]?(?=\s))")
_WORD = re.compile(r"\S(?=\s)")


@dataclass(frozen=True, slots=True)
class TextRecord:
    """One text of a corpus file; `row` is its line (or Parquet row), counted from 1."""

    row: int
    text: str
    source: str
    licence: str
    language: str


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that could not be read; `reason` is a fixed word, then perhaps `: ` and a detail.

    The reason never holds the record's text, and its wordings are few, so that it can be counted.
    """

    row: int
    reason: str


def field_paths(fields: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """`FIELDS` with the user's own paths in the place of a column's known ones.

    Raises ValueError for a column that does not exist.
    """
    if unknown := sorted(set(fields) - set(FIELDS)):
        raise ValueError(f"no column is called {', '.join(unknown)}: choose among {sorted(FIELDS)}")
    return dict(FIELDS) | {column: (path,) for column, path in fields.items()}


def split_lines(chunks: Iterable[bytes], limit: int) -> Iterator[bytes | None]:
    """Lines without their newline; None for one over `limit` bytes, of which no more is held."""
    line = bytearray()
    for chunk in chunks:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            line += chunk[start:end]
            yield bytes(line) if len(line) <= limit else None
            line.clear()
            start = end + 1
        line += chunk[start:]
        del line[limit + 1 :]
    if line:
        yield bytes(line) if len(line) <= limit else None


def parse_line(
    line: bytes, row: int, shard: str, paths: Mapping[str, tuple[str, ...]]
) -> TextRecord | BadRecord | None:
    """One line of JSON as a record (see `to_record`); None for a blank line."""
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return BadRecord(row, f"invalid_utf8: {error.reason}")
    if not text.strip():
        return None
    try:
        data: object = json.loads(text)
    except json.JSONDecodeError as error:
        return BadRecord(row, f"malformed_json: {error.msg}")
    except ValueError:
        return BadRecord(row, "malformed_json: a number has too many digits")
    except RecursionError:
        return BadRecord(row, "malformed_json: nested too deeply")
    return to_record(data, row, shard, paths)


def to_record(
    data: object, row: int, shard: str, paths: Mapping[str, tuple[str, ...]]
) -> TextRecord | BadRecord:
    """An object of any known layout as a record; `paths` are those of `field_paths`.

    What is missing is filled: licence `unknown`, language `und`, source `shard#row`.
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
    return TextRecord(
        row,
        text,
        _label(data, paths["source"], f"{shard}#{row}"),
        _label(data, paths["licence"], "unknown"),
        _label(data, paths["language"], "und"),
    )


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def _values(data: Mapping[str, object], paths: Iterable[str]) -> Iterator[object]:
    values = (_lookup(data, path) for path in paths)
    return (value for value in values if value is not None)


def _label(data: Mapping[str, object], paths: Iterable[str], default: str) -> str:
    for value in _values(data, paths):
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return default


def _lookup(data: Mapping[str, object], path: str) -> object:
    """The value at a dotted path (or under the path as a plain name); None if there is none."""
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


def clean_text(text: str) -> str:
    """The text as tables can hold it: no NUL, lone surrogates as U+FFFD, outer white space off."""
    return _LONE_SURROGATE.sub("\ufffd", text.replace("\0", "")).strip()


def cut_text(text: str, max_chars: int) -> str:
    """At most `max_chars` characters from the head of the text.

    The cut falls after the last sentence or line that ends in the second half of the allowance,
    else after the last word that does, else at the allowance itself.
    """
    if len(text) <= max_chars:
        return text
    for unit in (_SENTENCE, _WORD):
        # One character more than allowed is in view, to tell whether a unit ends at the allowance.
        matches = unit.finditer(text, max_chars // 2, max_chars + 1)
        end = max((match.end() for match in matches if match.end() <= max_chars), default=None)
        if end is not None:
            return text[:end].rstrip()
    return text[:max_chars].rstrip()


def build_raw_corpus(
    shard: str,
    records: Iterable[TextRecord | BadRecord],
    *,
    limit: int | None,
    max_chars: int,
) -> StepResult:
    """The shard's texts in the file's order, as `SCHEMA`; bad and repeated records are dropped.

    Texts are cleaned (`clean`), cut (`cut`; a cut is not a drop), and compared with white space
    normalised: a text seen before in the shard, under whatever source, is dropped as `repeat` under
    its own text_id. A bad record is dropped under `shard#row`. A `limit` stops reading after that
    many kept texts, so it samples the head of the file; None reads all. Raises ValueError for a
    negative limit or a `max_chars` below 1.
    """
    if limit is not None and limit < 0:
        raise ValueError(f"limit must be 0 or more, or None for all texts; it is {limit}")
    if max_chars < 1:
        raise ValueError(f"max_chars must be at least 1; it is {max_chars}")
    kept: list[dict[str, str]] = []
    dropped: list[tuple[str, str]] = []
    seen: set[str] = set()
    remaining = iter(records)
    while limit is None or len(kept) < limit:
        record = next(remaining, None)
        if record is None:
            break
        if isinstance(record, BadRecord):
            dropped.append((f"{shard}#{record.row}", record.reason))
            continue
        text = cut_text(clean_text(record.text), max_chars)
        if not text:
            dropped.append((f"{shard}#{record.row}", "empty_text"))
            continue
        source = clean_text(record.source)
        row_id = text_id(shard, source, text)
        words = content_id(" ".join(text.split()))
        if words in seen:
            dropped.append((row_id, "repeat"))
            continue
        seen.add(words)
        kept.append(
            {
                "text_id": row_id,
                "text": text,
                "source": source,
                "licence": clean_text(record.licence),
                "language": clean_text(record.language),
            }
        )
    return StepResult(
        typed_frame(kept, SCHEMA), quarantine(STAGE, dropped), rows_in=len(kept) + len(dropped)
    )
