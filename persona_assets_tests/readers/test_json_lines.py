"""JSON lines give a record per line, and a reason for each unreadable line."""

import gzip
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.readers import BadRecord, TextRecord, reader_for
from persona_assets.steps.corpus import build_raw_corpus
from persona_assets_tests.readers.shard_files import (
    lines,
    noise,
    read,
    reasons,
    shard_file,
    texts,
    write,
    zstd,
)

FULL = {"text": "Grüße 😀", "source": "s", "licence": "CC0-1.0", "language": "de"}


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        ("jsonl", bytes),
        ("ndjson", bytes),
        ("jsonl.gz", gzip.compress),
        ("JSONL.GZ", gzip.compress),
        ("json.gz", gzip.compress),
        ("jsonl.zst", zstd),
    ],
)
def test_json_lines_give_equal_records_however_packed(
    tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    key = f"a.{ending}"
    assert read(tmp_path, key, pack(lines(FULL, {"text": "b"}))) == [
        TextRecord(1, "Grüße 😀", "s", "CC0-1.0", "de"),
        TextRecord(2, "b", f"{key}#2", "unknown", "und"),
    ]


def test_json_lines_skip_but_count_blank_lines(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbf{"text":"a"}\r\n\r\n  \n{"text":"b"}'
    records = read(tmp_path, "a.jsonl", data)
    assert [(record.row, texts([record])) for record in records] == [(1, ["a"]), (4, ["b"])]


def test_json_lines_use_the_users_own_field_paths(tmp_path: Path) -> None:
    data = lines({"body": "x", "page": {"url": "u"}})
    records = read(tmp_path, "a.jsonl", data, fields={"text": "body", "source": "page.url"})
    assert records == [TextRecord(1, "x", "u", "unknown", "und")]


json_strings = st.text(st.characters(), min_size=1).filter(lambda text: text.strip())


@given(
    st.lists(st.fixed_dictionaries({"text": json_strings, "source": json_strings}), max_size=8),
    st.sampled_from(["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"]),
    st.booleans(),
)
def test_json_lines_read_back_every_written_string(
    rows: list[Mapping[str, str]], key: str, escaped: bool
) -> None:
    def dump(row: Mapping[str, str]) -> bytes:
        try:
            return json.dumps(row, ensure_ascii=escaped).encode()
        except UnicodeEncodeError:
            return json.dumps(row).encode()

    data = b"\n".join(dump(row) for row in rows)
    pack = {"gz": gzip.compress, "zst": zstd}.get(key.rpartition(".")[2], bytes)
    with tempfile.TemporaryDirectory() as folder:
        records = read(Path(folder), key, pack(data))
    assert records == [
        TextRecord(i, row["text"], row["source"].strip(), "unknown", "und")
        for i, row in enumerate(rows, 1)
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a', "malformed_json: Unterminated string starting at"),
        (b"nonsense", "malformed_json: Expecting value"),
        (b'{"text": "a\tb"}', "malformed_json: Invalid control character at"),
        (b'{"n": ' + b"1" * 5000 + b"}", "malformed_json: a number has too many digits"),
        (b"[" * 100_000, "malformed_json: nested too deeply"),
        (b"[1]", "not_an_object: list"),
        (b'"text"', "not_an_object: str"),
        (b"null", "not_an_object: NoneType"),
        (b"{}", "missing_text: no text or raw_content"),
        (b'{"text": null}', "missing_text: no text or raw_content"),
        (b'{"text": ""}', "empty_text"),
        (b'{"text": " \\n "}', "empty_text"),
        (b'{"text": 5}', "text_not_a_string: int"),
        (b'{"text": ["a"]}', "text_not_a_string: list"),
        (b'{"text": "\xff"}', "invalid_utf8: invalid start byte"),
        (b'{"text": "' + b"x" * 200_000 + b'"}', "record_too_large: over 150000 bytes"),
    ],
)
def test_json_lines_name_a_bad_line_and_read_on(tmp_path: Path, line: bytes, reason: str) -> None:
    data = b'{"text": "before"}\n' + line + b'\n{"text": "after"}\n'
    before, bad, after = read(tmp_path, "a.jsonl", data, max_record_bytes=150_000)
    assert bad == BadRecord(2, reason)
    assert texts([before, after]) == ["before", "after"]
    assert after.row == 3


def test_json_lines_name_a_torn_last_line(tmp_path: Path) -> None:
    records = read(tmp_path, "a.jsonl", lines({"text": "a"}, {"text": "b"})[:-4])
    assert texts(records) == ["a"]
    assert reasons(records) == [(2, "malformed_json")]


def test_bad_record_never_quotes_the_record(tmp_path: Path) -> None:
    secret = "correct horse"
    bad = [f'{{"text": "{secret}', secret, f'{{"text": ["{secret}"]}}', f'["{secret}"]']
    bad += [f'{{"{secret}": 1}}', f'{{"text": "{secret}\\q"}}']
    data = b'{"text": "correct horse\xff"}\n' + "\n".join(bad).encode()
    records = read(tmp_path, "a.jsonl", data)
    assert len(reasons(records)) == 7
    assert "horse" not in repr(records)


@pytest.mark.parametrize("size", [99, 100, 101])
def test_size_limit_is_inclusive_and_counts_bytes(tmp_path: Path, size: int) -> None:
    line = b'{"text": "' + "é".encode() * ((size - 12) // 2)
    line += b"x" * (size - len(line) - 2) + b'"}'
    assert len(line) == size
    records = read(tmp_path, "a.jsonl", line + b"\n" + line, max_record_bytes=100)
    expected = [(1, "record_too_large"), (2, "record_too_large")] if size > 100 else []
    assert reasons(records) == expected
    assert len(texts(records)) == 2 - len(expected)


def test_json_lines_are_read_no_further_than_their_consumer_needs(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl.gz", gzip.compress(lines(*noise(10_000)))[:-100])
    records = reader_for("a.jsonl.gz").read(shard_file(tmp_path, "a.jsonl.gz"))
    outcome = build_raw_corpus("a.jsonl.gz", records, limit=3, max_chars=1000)
    assert len(outcome.rows) == 3
    assert len(outcome.dropped) == 0
