"""Values and rows are told apart in linear time, wherever the chunks of a file are cut."""

import csv
import io
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from persona_assets.readers import DamagedFileError
from persona_assets.readers.delimited_text import split_rows
from persona_assets.readers.http_page import PageError, content_text, response_text
from persona_assets.readers.json_document import split_values
from persona_assets.readers.text_chunks import to_utf8
from persona_assets_tests.readers.shard_files import Record, read, texts

MARKS = '"\\,;{}[]\n\r\t aé\ufeff\0'
HOSTILE = [
    *('"' * 100_000, "\\" * 100_000, "[" * 100_000, "{" * 100_000, '{"' * 50_000),
    *(',"' * 50_000, '""' * 50_000, '"\n' * 50_000, "\n" * 100_000, '","\\' * 25_000),
    *("[{" * 50_000, "]}" * 50_000, '"text"\n"' + '"",' * 30_000, "[" + '"\\' * 50_000),
    *("<div>" * 20_000, "<a " * 30_000, "<p><b>" * 15_000, "&amp" * 25_000, "<!--" * 25_000),
    *("HTTP/1.1 200 OK\r\n" + "a:" * 50_000, "HTTP/1.1 200 " + " " * 100_000),
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + "0;" * 50_000,
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + "1\r\nx\r\n" * 15_000,
    "WARC/1.0\r\n" * 10_000,
    "WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 99999999999999999999\r\n\r\n"
    + "x" * 100_000,
]
ENDINGS = [".json", ".csv", ".tsv", ".warc", ".jsonl", ".txt"]


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut data into chunks of the sizes, and the rest."""
    chunks = []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    return [*chunks, data]


def collect(values: Any) -> list[object]:
    """Return the values of an iterator, and its error."""
    found: list[object] = []
    try:
        found.extend(iter(values.__next__, object()))
    except StopIteration:
        pass
    except DamagedFileError as damage:
        found.append(str(damage))
    return found


@given(st.text(MARKS, max_size=60), st.lists(st.integers(0, 7), max_size=20), st.integers(1, 20))
def test_chunks_decide_nothing(text: str, sizes: list[int], limit: int) -> None:
    data = text.encode()
    for split in (
        lambda chunks: split_values(chunks, limit),
        lambda chunks: split_rows(chunks, b",", limit),
    ):
        assert collect(iter(split(cut(data, sizes)))) == collect(iter(split([data])))
    for encoded in (data, text.encode("utf-16")):
        joined = b"".join(to_utf8(cut(encoded, sizes)))
        assert joined == b"".join(to_utf8([encoded]))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(
    st.lists(st.dictionaries(st.text(max_size=5), values, max_size=4), max_size=5),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
)
def test_elements_of_any_array_are_those_of_json(
    rows: list[dict[str, Any]], indent: int | None, escaped: bool
) -> None:
    data = json.dumps(rows, indent=indent, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    found = [json.loads(value) for value in split_values([data], 10_000) if value and value.strip()]
    assert found == rows


@given(
    st.lists(st.lists(st.text(MARKS, max_size=8), min_size=2, max_size=3), min_size=1, max_size=5),
    # With "\n", the module csv writes a carriage return without quotes, and cannot read it.
    st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\r\n", csv.QUOTE_ALL), ("\n", csv.QUOTE_ALL)]),
)
def test_rows_of_any_table_are_those_of_the_module_csv(
    rows: list[list[str]], style: tuple[str, Any]
) -> None:
    newline, quoting = style
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=newline, quoting=quoting).writerows(rows)
    found = list(split_rows([file.getvalue().encode()], b",", 10_000))
    assert [next(csv.reader([row.decode()])) for row in found if row is not None] == rows


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from([".json", ".csv"]))
@example("\r0\n", ".csv")
def test_any_text_is_read_without_an_error(text: str, ending: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        records: list[Record] = read(Path(folder), f"a{ending}", text.encode())
    assert isinstance(records, list)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile_text_is_read_in_linear_time(tmp_path: Path, text: str) -> None:
    # Quadratic time would be minutes.
    for ending in ENDINGS:
        assert len(texts(read(tmp_path, f"a{ending}", text.encode()))) <= 1
    for parse in (
        lambda: response_text(text.encode(), 100_000),
        lambda: content_text(text.encode(), "text/html"),
    ):
        with suppress(PageError):
            assert isinstance(parse(), str)
