import gzip
import json
import os
import tempfile
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.ids import content_id
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.readers import BadRecord, TextRecord
from persona_assets.steps.corpus import build_raw_corpus
from persona_assets.storage.footer import SourceFile


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def write(root: Path, key: str, data: bytes) -> Path:
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def read(
    root: Path, key: str, data: bytes, max_record_bytes: int = 8_000_000
) -> list[TextRecord | BadRecord]:
    write(root, key, data)
    return list(Corpus(root, max_record_bytes=max_record_bytes).read(key))


def texts(records: Sequence[TextRecord | BadRecord]) -> list[str]:
    return [record.text for record in records if isinstance(record, TextRecord)]


def reasons(records: Sequence[TextRecord | BadRecord]) -> list[tuple[int, str]]:
    """Row and bare reason of each bad record."""
    return [
        (record.row, record.reason.partition(":")[0])
        for record in records
        if isinstance(record, BadRecord)
    ]


# Finding shards


def test_shards_are_the_recognised_files_by_relative_path(tmp_path: Path) -> None:
    wanted = [
        "B.JSONL",
        "a.jsonl",
        "a.ndjson",
        "c.json.gz",
        "deep/er/a.jsonl.gz",
        "deep/er/a.jsonl.zst",
        "t.parquet",
        "t.txt",
        "t.txt.gz",
    ]
    unwanted = [
        ".a.jsonl",
        ".hidden/a.jsonl",
        "README.md",
        "a.jsonl.part",
        "a.jsonl.tmp",
        "a.jsonl~",
        "bare",
        "c.json",
        "~$t.txt",
    ]
    for key in wanted + unwanted:
        write(tmp_path, key, b"x")
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert Corpus(tmp_path).shards() == wanted


def test_links_are_followed_inside_the_root_only(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    inside = write(root, "a.txt", b"in")
    outside = write(tmp_path, "secret.txt", b"out")
    (root / "b.txt").symlink_to(inside)
    (root / "c.txt").symlink_to(outside)
    (root / "d.txt").symlink_to(tmp_path / "nowhere.txt")
    (root / "loop").symlink_to(root)
    (root / "e").symlink_to(tmp_path)
    corpus = Corpus(root)
    assert corpus.shards() == ["a.txt", "b.txt"]
    assert corpus.fingerprint("c.txt") is None
    assert corpus.fingerprint("e/secret.txt") is None
    with pytest.raises(FileNotFoundError, match=r"c\.txt"):
        corpus.read("c.txt")


def test_a_linked_root_is_a_root(tmp_path: Path) -> None:
    write(tmp_path, "real/a.txt", b"hello")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    corpus = Corpus(tmp_path / "link")
    assert corpus.shards() == ["a.txt"]
    assert texts(list(corpus.read("a.txt"))) == ["hello"]


def test_an_empty_root_has_no_shards(tmp_path: Path) -> None:
    assert Corpus(tmp_path).shards() == []


def test_a_missing_root_is_an_error_and_not_a_corpus_whose_files_are_gone(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "unmounted")
    ask: list[Callable[[], object]] = [
        corpus.shards,
        lambda: corpus.fingerprint("a.txt"),
        lambda: corpus.read("a.txt"),
    ]
    for question in ask:
        with pytest.raises(FileNotFoundError, match="unmounted does not exist"):
            question()


def test_a_root_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="not a folder"):
        Corpus(write(tmp_path, "a.txt", b"x")).shards()


def test_a_file_name_that_cannot_be_a_key_is_named(tmp_path: Path) -> None:
    write(tmp_path, "two\nlines.txt", b"x")
    with pytest.raises(ValueError, match=r"two\\nlines\.txt"):
        Corpus(tmp_path).shards()


@pytest.mark.parametrize("key", ["", "../a.txt", "/etc/passwd", "a\\b.txt"])
def test_a_key_that_leaves_the_root_is_refused(tmp_path: Path, key: str) -> None:
    for method in (Corpus(tmp_path).read, Corpus(tmp_path).fingerprint):
        with pytest.raises(ValueError, match="shard key"):
            method(key)


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose among"):
        Corpus(tmp_path, {"title": "x"})
    with pytest.raises(ValueError, match="max_record_bytes"):
        Corpus(tmp_path, max_record_bytes=0)


# Noticing changes


def test_a_fingerprint_tells_a_changed_file_from_a_touched_one(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", b"one")
    corpus = Corpus(tmp_path)
    known = corpus.fingerprint("a.txt")
    assert known is not None
    assert known.size == 3
    assert known.sha256 == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert corpus.changed("a.txt", known) is None

    os.utime(path, ns=(1, known.mtime_ns + 10**9))
    assert corpus.changed("a.txt", known) is None

    path.write_bytes(b"two")
    os.utime(path, ns=(1, known.mtime_ns + 2 * 10**9))
    assert corpus.changed("a.txt", known) == corpus.fingerprint("a.txt") != known


def test_equal_size_and_time_are_taken_for_unchanged_without_reading(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", b"one")
    corpus = Corpus(tmp_path)
    unread = SourceFile(size=3, mtime_ns=path.stat().st_mtime_ns, sha256="of something else")
    assert corpus.changed("a.txt", unread) is None
    assert corpus.changed("a.txt", unread.model_copy(update={"mtime_ns": 0})) is not None


def test_a_file_that_is_gone_has_no_fingerprint_and_is_not_called_unchanged(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    write(tmp_path, "b.txt", b"x")
    assert (corpus.has("b.txt"), corpus.has("a.txt")) == (True, False)
    assert corpus.fingerprint("a.txt") is None
    with pytest.raises(FileNotFoundError, match=r"a\.txt"):
        corpus.changed("a.txt", SourceFile(size=0, mtime_ns=0, sha256=""))
    with pytest.raises(FileNotFoundError, match=r"a\.txt"):
        corpus.read("a.txt")


# Reading what is whole

PLAIN = {"text": "Grüße 😀", "source": "s", "licence": "CC0-1.0", "language": "de"}


@pytest.mark.parametrize(
    ("extension", "pack"),
    [
        ("jsonl", bytes),
        ("ndjson", bytes),
        ("jsonl.gz", gzip.compress),
        ("JSONL.GZ", gzip.compress),
        ("json.gz", gzip.compress),
        ("jsonl.zst", zstd),
    ],
)
def test_json_lines_read_the_same_however_packed(
    tmp_path: Path, extension: str, pack: Callable[[bytes], bytes]
) -> None:
    data = pack(lines(PLAIN, {"text": "b"}))
    key = f"a.{extension}"
    assert read(tmp_path, key, data) == [
        TextRecord(1, "Grüße 😀", "s", "CC0-1.0", "de"),
        TextRecord(2, "b", f"{key}#2", "unknown", "und"),
    ]


@pytest.mark.parametrize(("extension", "pack"), [("gz", gzip.compress), ("zst", zstd)])
def test_joined_archives_are_read_to_the_end(
    tmp_path: Path, extension: str, pack: Callable[[bytes], bytes]
) -> None:
    parts = pack(lines({"text": "a"})) + pack(b"") + pack(lines({"text": "b"}))
    assert texts(read(tmp_path, f"a.jsonl.{extension}", parts)) == ["a", "b"]


def test_a_zstd_skippable_frame_is_skipped(tmp_path: Path) -> None:
    skippable = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    data = skippable + zstd(lines({"text": "a"})) + skippable
    assert texts(read(tmp_path, "a.jsonl.zst", data)) == ["a"]


def test_blank_lines_bom_crlf_and_a_missing_last_newline_do_no_harm(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbf{"text":"a"}\r\n\r\n  \n{"text":"b"}'
    assert [(r.row, texts([r])) for r in read(tmp_path, "a.jsonl", data)] == [
        (1, ["a"]),
        (4, ["b"]),
    ]


@pytest.mark.parametrize(("extension", "pack"), [("txt", bytes), ("txt.gz", gzip.compress)])
def test_a_text_file_is_one_text(
    tmp_path: Path, extension: str, pack: Callable[[bytes], bytes]
) -> None:
    data = "\ufeffFirst.\n\nSecond: é.\n".encode()
    key = f"dir/a.{extension}"
    assert read(tmp_path, key, pack(data)) == [
        TextRecord(1, "First.\n\nSecond: é.\n", f"{key}#1", "unknown", "und")
    ]


def test_own_field_names_are_for_objects_and_not_for_text_files(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl", lines({"body": "x", "page": {"url": "u"}}))
    write(tmp_path, "a.txt", b"y")
    corpus = Corpus(tmp_path, {"text": "body", "source": "page.url"})
    assert list(corpus.read("a.jsonl")) == [TextRecord(1, "x", "u", "unknown", "und")]
    assert list(corpus.read("a.txt")) == [TextRecord(1, "y", "a.txt#1", "unknown", "und")]


def test_parquet_rows_are_records(tmp_path: Path) -> None:
    rows = [{"text": f"t{i}", "url": f"u{i}", "language": "en", "dump": "d"} for i in range(50)]
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet", row_group_size=20)
    assert list(Corpus(tmp_path).read("a.parquet")) == [
        TextRecord(i + 1, f"t{i}", f"u{i}", "unknown", "en") for i in range(50)
    ]


@pytest.mark.parametrize(
    "meta",
    [
        {"url": "u", "language": "en", "other": [1, 2]},
        json.dumps({"url": "u", "language": "en"}),
    ],
)
def test_parquet_nests_as_structs_or_json_strings(tmp_path: Path, meta: object) -> None:
    pl.DataFrame([{"raw_content": "t", "meta": meta}]).write_parquet(tmp_path / "a.parquet")
    assert list(Corpus(tmp_path).read("a.parquet")) == [TextRecord(1, "t", "u", "unknown", "en")]


def test_parquet_with_own_field_names(tmp_path: Path) -> None:
    rows = [{"body": "t", "page": {"url": "u", "at": 5}, "rights.name": "CC0-1.0"}]
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
    fields = {"text": "body", "source": "page.url", "licence": "rights.name"}
    records = list(Corpus(tmp_path, fields).read("a.parquet"))
    assert records == [TextRecord(1, "t", "u", "CC0-1.0", "und")]


json_strings = st.text(st.characters(), min_size=1).filter(lambda text: text.strip())


@given(
    st.lists(st.fixed_dictionaries({"text": json_strings, "source": json_strings}), max_size=8),
    st.sampled_from(["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"]),
    st.booleans(),
)
def test_what_is_written_as_json_lines_is_read_back(
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
    if not rows:
        assert records == [BadRecord(1, "empty_file")]
    else:
        assert records == [
            TextRecord(i, row["text"], row["source"].strip(), "unknown", "und")
            for i, row in enumerate(rows, 1)
        ]


# Reading what is damaged


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
def test_a_bad_line_is_named_and_reading_goes_on(tmp_path: Path, line: bytes, reason: str) -> None:
    data = b'{"text": "before"}\n' + line + b'\n{"text": "after"}\n'
    before, bad, after = read(tmp_path, "a.jsonl", data, max_record_bytes=150_000)
    assert bad == BadRecord(2, reason)
    assert texts([before, after]) == ["before", "after"]
    assert after.row == 3


def test_a_torn_last_line_is_a_bad_record(tmp_path: Path) -> None:
    records = read(tmp_path, "a.jsonl", lines({"text": "a"}, {"text": "b"})[:-4])
    assert texts(records) == ["a"]
    assert reasons(records) == [(2, "malformed_json")]


def test_a_reason_never_quotes_the_record(tmp_path: Path) -> None:
    secret = "correct horse"
    bad = [f'{{"text": "{secret}', secret, f'{{"text": ["{secret}"]}}', f'["{secret}"]']
    bad += [f'{{"{secret}": 1}}', f'{{"text": "{secret}\\q"}}']
    data = b'{"text": "correct horse\xff"}\n' + "\n".join(bad).encode()
    records = read(tmp_path, "a.jsonl", data)
    assert len(reasons(records)) == 7
    assert "horse" not in repr(records)


@pytest.mark.parametrize("size", [99, 100, 101])
def test_the_size_limit_is_inclusive_and_counts_bytes(tmp_path: Path, size: int) -> None:
    line = b'{"text": "' + "é".encode() * ((size - 12) // 2)
    line += b"x" * (size - len(line) - 2) + b'"}'
    assert len(line) == size
    records = read(tmp_path, "a.jsonl", line + b"\n" + line, max_record_bytes=100)
    expected = [(1, "record_too_large"), (2, "record_too_large")] if size > 100 else []
    assert reasons(records) == expected
    assert len(texts(records)) == 2 - len(expected)


def noise(count: int) -> list[dict[str, str]]:
    """Rows that do not pack well, so that an archive of them is cut in the middle of its data."""
    return [{"text": content_id(str(i))} for i in range(count)]


@pytest.mark.parametrize(
    ("extension", "pack", "reason"),
    [("gz", gzip.compress, "truncated_gzip"), ("zst", zstd, "truncated_zstd")],
)
def test_a_truncated_archive_gives_what_is_whole_and_says_so(
    tmp_path: Path, extension: str, pack: Callable[[bytes], bytes], reason: str
) -> None:
    rows = noise(10_000)
    packed = pack(lines(*rows))
    cuts = [len(packed) // 2, len(packed) - 1, 5]
    for cut_at in cuts:
        records = read(tmp_path, f"a.jsonl.{extension}", packed[:cut_at])
        whole = texts(records)
        assert whole == [row["text"] for row in rows[: len(whole)]]
        assert reasons(records) == [(len(whole) + 1, reason)]
        assert len(whole) >= (2000 if cut_at > 5 else 0)


def test_a_truncated_second_frame_is_noticed_too(tmp_path: Path) -> None:
    second = zstd(lines(*noise(100)))
    records = read(tmp_path, "a.jsonl.zst", zstd(lines({"text": "a"})) + second[:50])
    assert texts(records)[0] == "a"
    assert reasons(records)[-1][1] == "truncated_zstd"


@pytest.mark.parametrize(
    ("extension", "pack", "reason"),
    [("gz", gzip.compress, "corrupt_gzip"), ("zst", zstd, "corrupt_zstd")],
)
def test_a_corrupt_archive_says_so(
    tmp_path: Path, extension: str, pack: Callable[[bytes], bytes], reason: str
) -> None:
    key = f"a.jsonl.{extension}"
    assert reasons(read(tmp_path, key, b"this was never packed at all")) == [(1, reason)]
    trailing = read(tmp_path, key, pack(lines({"text": "a"})) + b"trailing rubbish")
    assert texts(trailing) == ["a"]
    assert reasons(trailing) == [(2, reason)]


def test_a_gzip_checksum_that_does_not_match_is_corrupt(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(lines({"text": "a"})))
    packed[-6] ^= 0xFF
    assert reasons(read(tmp_path, "a.jsonl.gz", bytes(packed))) == [(2, "corrupt_gzip")]


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("a.jsonl", b""),
        ("a.jsonl", b"\n \n"),
        ("a.jsonl", b"\xef\xbb\xbf"),
        ("a.jsonl.gz", b""),
        ("a.jsonl.gz", gzip.compress(b"")),
        ("a.jsonl.zst", b""),
        ("a.jsonl.zst", zstd(b"")),
        ("a.txt", b""),
        ("a.txt", b" \n"),
        ("a.txt.gz", gzip.compress(b"")),
        ("a.parquet", b""),
    ],
)
def test_a_file_without_records_is_an_empty_file(tmp_path: Path, key: str, data: bytes) -> None:
    assert read(tmp_path, key, data) == [BadRecord(1, "empty_file")]


def test_a_parquet_file_without_rows_is_an_empty_file(tmp_path: Path) -> None:
    pl.DataFrame(schema={"text": pl.String}).write_parquet(tmp_path / "a.parquet")
    assert list(Corpus(tmp_path).read("a.parquet")) == [BadRecord(1, "empty_file")]


@pytest.mark.parametrize(
    ("key", "data", "reason"),
    [
        ("a.txt", b"caf\xe9", "invalid_utf8"),
        ("a.txt", "utf-16".encode("utf-16"), "invalid_utf8"),
        ("a.txt", b"x" * 1001, "record_too_large"),
        ("a.txt.gz", gzip.compress(b"x" * 1001), "record_too_large"),
        ("a.txt.gz", gzip.compress(b"hello")[:-3], "truncated_gzip"),
        ("a.txt.gz", b"hello", "corrupt_gzip"),
    ],
)
def test_a_bad_text_file_is_one_bad_record(
    tmp_path: Path, key: str, data: bytes, reason: str
) -> None:
    assert reasons(read(tmp_path, key, data, max_record_bytes=1000)) == [(1, reason)]


def test_bad_parquet_rows_are_named_and_reading_goes_on(tmp_path: Path) -> None:
    values = [b"good", None, b"", b"\xff\xfe", b"x" * 2000, b"last"]
    column = pa.array(values, pa.binary())
    unchecked = pa.StringArray.from_buffers(len(column), *column.buffers()[1:], column.buffers()[0])
    pq.write_table(pa.table({"text": unchecked}), tmp_path / "a.parquet")
    records = list(Corpus(tmp_path, max_record_bytes=1000).read("a.parquet"))
    assert texts(records) == ["good", "last"]
    assert reasons(records) == [
        (2, "missing_text"),
        (3, "empty_text"),
        (4, "invalid_utf8"),
        (5, "record_too_large"),
    ]


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ({"title": ["a", "b"]}, "missing_text"),
        ({"text": [1, 2]}, "text_not_a_string"),
        ({"text": [["a"], ["b"]]}, "text_not_a_string"),
    ],
)
def test_parquet_of_another_shape_has_a_reason_a_row(
    tmp_path: Path, column: dict[str, list[object]], reason: str
) -> None:
    pl.DataFrame(column).write_parquet(tmp_path / "a.parquet")
    assert reasons(list(Corpus(tmp_path).read("a.parquet"))) == [(1, reason), (2, reason)]


def test_parquet_columns_of_one_name_do_no_harm(tmp_path: Path) -> None:
    table = pa.table([["a"], ["b"]], names=["text", "text"])
    pq.write_table(table, tmp_path / "a.parquet")
    assert texts(list(Corpus(tmp_path).read("a.parquet"))) == ["b"]


def test_unreadable_parquet_is_one_bad_record(tmp_path: Path) -> None:
    assert reasons(read(tmp_path, "a.parquet", b"PAR1 but no more")) == [(1, "unreadable_parquet")]
    pl.DataFrame(noise(1000)).write_parquet(tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    records = read(tmp_path, "a.parquet", whole[: len(whole) // 2])
    assert reasons(records) == [(1, "unreadable_parquet")]
    records = read(tmp_path, "a.parquet", whole.replace(b"text", b"\xff\xff\xff\xff"))
    assert reasons(records) == [(1, "unreadable_parquet")]


def test_a_damaged_row_group_names_the_rows_lost_and_reading_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame(noise(900)).write_parquet(path, row_group_size=300)
    group = pq.read_metadata(path).row_group(1).column(0)
    start = group.dictionary_page_offset or group.data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + group.total_compressed_size] = bytes(group.total_compressed_size)
    records = read(tmp_path, "a.parquet", bytes(data))
    assert [r.row for r in records] == [*range(1, 302), *range(601, 901)]
    assert reasons(records) == [(301, "unreadable_parquet")]
    assert "rows 301 to 600" in repr(records[300])


def test_an_unknown_extension_is_an_error_that_lists_the_known(tmp_path: Path) -> None:
    write(tmp_path, "README.md", b"x")
    with pytest.raises(ValueError, match=r"unknown extension: use one of \.jsonl"):
        Corpus(tmp_path).read("README.md")


# Memory


@pytest.mark.parametrize(
    ("key", "pack"),
    [("a.jsonl", bytes), ("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstd), ("a.txt", bytes)],
)
def test_a_huge_record_is_never_held(
    tmp_path: Path, key: str, pack: Callable[[bytes], bytes]
) -> None:
    huge = b'{"text": "' + b"0123456789" * 2_000_000 + b'"}\n{"text": "after"}\n'
    write(tmp_path, key, pack(huge))
    del huge
    corpus = Corpus(tmp_path, max_record_bytes=100_000)
    tracemalloc.start()
    records = list(corpus.read(key))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reasons(records) == [(1, "record_too_large")]
    assert texts(records) == ([] if key == "a.txt" else ["after"])
    assert peak < 10_000_000, "part of the 20 MB was held"


def test_a_reader_that_stops_early_reads_no_further(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl.gz", gzip.compress(lines(*noise(10_000)))[:-100])
    records = Corpus(tmp_path).read("a.jsonl.gz")
    outcome = build_raw_corpus("a.jsonl.gz", records, limit=3, max_chars=1000)
    assert len(outcome.rows) == 3
    assert len(outcome.dropped) == 0
