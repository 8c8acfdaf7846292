"""Shard keys: their validation, and the file name of each key.

A key is the path of a corpus file relative to the corpus root, with `/` between the parts and the
extension included. The key of a file of ready personas begins with `READY`. Dagster accepts any
string as a partition key, so keys are validated here.
"""

import re
import unicodedata
from pathlib import PureWindowsPath

from persona_assets.ids import content_id

MAX_KEY_BYTES = 400
"""Largest length of a key in UTF-8."""

SLUG_CHARS = 60
"""Largest length of the readable part of a file name."""

HASH_DIGITS = 12
"""Hexadecimal digits of the key's hash in a file name."""

READY = ".personas/"
"""Beginning of the keys of ready personas: a corpus has no such shard, as hidden folders are not
read."""

# Controls, lone surrogates (undecodable file names), line and paragraph separators.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


def check_shard_key(key: str) -> str:
    """Return a key unchanged if it is valid.

    Raises:
        ValueError: The key is empty, absolute, too long or unsafe; the message gives the reason.

    Example:
        >>> check_shard_key("forum/birds.jsonl")
        'forum/birds.jsonl'
    """
    if not key:
        raise ValueError("a shard key must not be empty")
    if any(unicodedata.category(char) in _REFUSED_CATEGORIES for char in key):
        raise ValueError(
            f"shard key {key!r} has a control or undecodable character: rename the file"
        )
    if len(key.encode()) > MAX_KEY_BYTES:
        raise ValueError(
            f"shard key {key[:40]!r}... is over {MAX_KEY_BYTES} bytes: shorten the file's path"
        )
    if "\\" in key:
        raise ValueError(f"shard key {key!r} has a backslash: use / between its parts")
    if key.startswith("/") or PureWindowsPath(key).drive:
        raise ValueError(f"shard key {key!r} is absolute: give it relative to the corpus root")
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise ValueError(f"shard key {key!r} has an empty, . or .. part: name the file plainly")
    return key


def is_ready(key: str) -> bool:
    """Return True for a shard of ready personas, False for a shard of texts.

    Example:
        >>> is_ready(".personas/fine.parquet"), is_ready("personas/letters.jsonl")
        (True, False)
    """
    return key.startswith(READY)


def file_stem(key: str) -> str:
    """Return a safe path component for a key: a readable slug, `-`, and a hash of the whole key.

    The hash is lower-case hexadecimal: two keys that differ only in case, or only in characters
    that the slug omits, get different names on a case-insensitive file system, too.

    Example:
        >>> file_stem("forum/birds.jsonl")
        'forum-birds.jsonl-ee2b6b36f735'
    """
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", key).lstrip(".-")[:SLUG_CHARS] or "shard"
    return f"{slug}-{content_id(key)[:HASH_DIGITS]}"
