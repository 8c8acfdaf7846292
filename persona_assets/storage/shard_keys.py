"""Shard keys: which strings may name a shard, and the file name that each one gets.

A key is the corpus file's path relative to the corpus root, with `/` between the parts and the
extension included. Dagster accepts any string as a partition key, so the refusals are here.
"""

import re
import unicodedata
from pathlib import PureWindowsPath

from persona_assets.ids import content_id

MAX_KEY_BYTES = 400
SLUG_CHARS = 60
HASH_DIGITS = 12

# Controls, lone surrogates (undecodable file names), line and paragraph separators.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


def check_shard_key(key: str) -> str:
    """The key itself if it may name a shard; raises ValueError saying what is wrong with it."""
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


def file_stem(key: str) -> str:
    """One safe path component for a key: a readable slug, `-`, and a hash of the whole key.

    The hash is lower-case hexadecimal, so keys that differ only in case, or only in characters the
    slug leaves out, get names that a case-insensitive file system keeps apart too.
    """
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", key).lstrip(".-")[:SLUG_CHARS] or "shard"
    return f"{slug}-{content_id(key)[:HASH_DIGITS]}"
