"""Reader of a user's demonstrations: conversations, or records with the fields of an answer.

Conversations have the shape of WildChat (`conversation`), ShareGPT (`conversations`) or the chat
API (`messages`), in JSON lines, a JSON array or Parquet. Of a conversation the first message of the
user is read.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from persona_assets.readers.base import DamagedFileError
from persona_assets.readers.fields import lookup
from persona_assets.readers.json_document import json_values

SHAPES = (
    ("conversation", "role", "content"),
    ("conversations", "from", "value"),
    ("messages", "role", "content"),
)
"""Names of the messages, of who speaks and of the text, in each shape."""

USERS = ("user", "human", "prompter")
"""Names of the speaker whose message is read."""

FLAGS = ("toxic", "redacted")
"""Members of a record or a message that are true where it is unfit for use."""

MAX_BYTES = 8_000_000
"""Largest record that is read."""


def read_demonstrations(
    path: Path, output: Collection[str], columns: Mapping[str, str]
) -> Iterator[Mapping[str, Any] | str]:
    """Yield the members of each demonstration of a file, or the reason why a record is none.

    Args:
        path: File. It is untrusted: its content may be damaged or hostile.
        output: Fields of an answer.
        columns: Dotted path by member, for records whose members have other names.

    Example:
        >>> wild = {"conversation": [{"role": "user", "content": "Hi?", "language": "English"}]}
        >>> to_demonstration(wild, ["instruction"], {})
        {'instruction': 'Hi?', 'language': 'English'}
    """
    for record in _records(path):
        yield record if isinstance(record, str) else to_demonstration(record, output, columns)


def to_demonstration(
    record: object, output: Collection[str], columns: Mapping[str, str]
) -> Mapping[str, Any] | str:
    """Return the members of a demonstration in a record; see `read_demonstrations`."""
    if not isinstance(record, dict):
        return "not_an_object"
    if any(record.get(flag) is True for flag in FLAGS):
        return "flagged"
    found = {member: lookup(record, path) for member, path in columns.items()}
    members = {**record, **{name: value for name, value in found.items() if value is not None}}
    if all(name in members for name in output):
        return members
    for messages, speaker, content in SHAPES:
        if isinstance(said := record.get(messages), list):
            return _first_message(record, said, speaker, content, output)
    return "unknown_shape"


def _first_message(
    record: Mapping[str, Any],
    messages: list[object],
    speaker: str,
    content: str,
    output: Collection[str],
) -> Mapping[str, Any] | str:
    first = next(
        (each for each in messages if isinstance(each, dict) and each.get(speaker) in USERS), None
    )
    if first is None or not isinstance(first.get(content), str):
        return "no_message_of_the_user"
    if any(first.get(flag) is True for flag in FLAGS):
        return "flagged"
    if len(output) != 1:
        return "unknown_shape"
    [field] = output
    language = first.get("language") or record.get("language")
    return {field: first[content]} | ({"language": language} if isinstance(language, str) else {})


def _records(path: Path) -> Iterator[object]:
    """Yield the records of a file; a string is the reason of an unreadable one."""
    if path.name.lower().endswith(".parquet"):
        yield from _parquet_records(path)
        return
    try:
        for value in json_values(path, MAX_BYTES):
            if value is None:
                yield "record_too_large"
            elif value.strip():
                yield _parse(value)
    except DamagedFileError as damage:
        yield str(damage).partition(":")[0]


def _parse(value: bytes) -> object:
    with suppress(ValueError, RecursionError):
        parsed = json.loads(value)
        return "not_an_object" if isinstance(parsed, str) else parsed
    return "malformed_json"


def _parquet_records(path: Path) -> Iterator[object]:
    # By name, because pyarrow has no types to import.
    pa: Any = import_module("pyarrow")
    pq: Any = import_module("pyarrow.parquet")
    try:
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(16, use_threads=False):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError):
        yield "unreadable_parquet"
