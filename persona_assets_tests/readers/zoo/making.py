"""Bytes of the zoo's files: the content of a case, taken through its steps.

A step is a name, perhaps with an argument after a space: `gzip`, `cut 3`, `append rubbish`.
"""

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl
import zstandard


def make_bytes(content: Any, steps: Sequence[str]) -> bytes:
    """Return the bytes of a file.

    Args:
        content: Text, or what the first step takes: a list of parts, of archive records or of rows.
        steps: Steps, in order.
    """
    for step in steps:
        name, _, argument = step.partition(" ")
        if name in FROM_CONTENT:
            content = FROM_CONTENT[name](content, argument)
        else:
            content = STEPS[name](_encoded(content), argument)
    return _encoded(content)


def _encoded(content: Any) -> bytes:
    return content if isinstance(content, bytes) else str(content).encode("utf-8", "surrogatepass")


def _members(parts: Sequence[str], packing: str) -> bytes:
    """Pack each part on its own, one member after the other."""
    return b"".join(STEPS[packing](_encoded(part), "") for part in parts)


def _wide_zstd(data: bytes, log: str) -> bytes:
    """Write a Zstandard frame of one raw block (RFC 8878) with a window of 2 ** log bytes."""
    window = (int(log) - 10) << 3
    block = (len(data) << 3) | 1
    return b"\x28\xb5\x2f\xfd\x00" + bytes([window]) + block.to_bytes(3, "little") + data


def _archive(records: Sequence[Mapping[str, Any]], packing: str) -> bytes:
    """Write web archive records, each a member of its own if they are packed."""
    packed = STEPS[packing] if packing else lambda data, _: data
    return b"".join(packed(_archive_record(record), "") for record in records)


def _archive_record(record: Mapping[str, Any]) -> bytes:
    """Write a record: `type`, `url`, `headers`, and its `body` or an HTTP response."""
    body = make_bytes(record.get("body", ""), record.get("make", []))
    if "http" in record:
        body = "\r\n".join([*record["http"], "", ""]).encode() + body
    headers = {
        "WARC-Type": record["type"],
        "WARC-Target-URI": record.get("url"),
        "WARC-Date": "2024-05-13T07:22:15Z",
        "Content-Type": "application/http" if "http" in record else "text/plain",
        "Content-Length": len(body),
        **record.get("headers", {}),
    }
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join(["WARC/1.0", *lines, "", ""]).encode() + body + b"\r\n\r\n"


def _parquet(rows: Sequence[Mapping[str, Any]], _: str) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(list(rows)).write_parquet(file)
    return file.getvalue()


def _chunked(data: bytes, size: str) -> bytes:
    """Write HTTP's chunks of a size."""
    step = int(size)
    chunks = [data[at : at + step] for at in range(0, len(data), step)]
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])


FROM_CONTENT: Mapping[str, Callable[[Any, str], Any]] = {
    "members": _members,
    "archive": _archive,
    "parquet": _parquet,
    "json": lambda content, _: json.dumps(content),
    "indented": lambda content, _: json.dumps(content, indent=2),
    "lines": lambda content, _: "".join(json.dumps(each) + "\n" for each in content),
    "encode": lambda content, encoding: content.encode(encoding),
    "repeat": lambda content, count: content * int(count),
}

STEPS: Mapping[str, Callable[[bytes, str], bytes]] = {
    "gzip": lambda data, _: gzip.compress(data),
    "zstd": lambda data, _: zstandard.ZstdCompressor().compress(data),
    "wide-zstd": _wide_zstd,
    "bzip2": lambda data, _: bz2.compress(data),
    "xz": lambda data, _: lzma.compress(data),
    "cut": lambda data, count: data[: -int(count)],
    "append": lambda data, text: data + text.encode(),
    "zeros": lambda data, count: data + bytes(int(count)),
    "hex": lambda data, _: bytes.fromhex(data.decode()),
    "chunked": _chunked,
}
