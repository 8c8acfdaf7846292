"""A corpus folder finds its shards, notices changed files, and has their records read."""

import bz2
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from persona_assets.readers import BadRecord, TextRecord
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.storage.footer import SourceFile
from persona_assets_tests.readers.shard_files import lines, texts, write, zstd


def test_shards_are_the_files_with_known_endings_by_relative_path(tmp_path: Path) -> None:
    wanted = [
        "B.JSONL",
        "a.jsonl",
        "a.ndjson",
        "c.json",
        "c.json.gz",
        "deep/er/a.jsonl.gz",
        "deep/er/a.jsonl.zst",
        "deep/er/c.csv.xz",
        "language=de/t.parquet",
        "t.parquet",
        "t.txt",
        "t.txt.gz",
        "w.warc.wet.gz",
    ]
    unwanted = [
        ".a.jsonl",
        ".hidden/a.jsonl",
        "README.md",
        "a.jsonl.part",
        "a.jsonl.tmp",
        "a.jsonl~",
        "bare",
        "~$t.txt",
        "_SUCCESS",
        "_metadata",
        "_common_metadata",
        "_committed_17.json",
        "_started_17.json",
        "t.txt.crc",
        "_temporary/0/t.parquet",
        "_delta_log/00000.json",
    ]
    for key in wanted + unwanted:
        write(tmp_path, key, b"x")
    os.mkfifo(tmp_path / "pipe.jsonl")
    files = Corpus(tmp_path).files()
    assert files.shards == Corpus(tmp_path).shards() == wanted
    assert files.unread == {
        ".md": 1,
        ".part": 1,
        ".tmp": 1,
        ".jsonl~": 1,
        "without an ending": 1,
    }


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], ""),
        (["a.txt"], ""),
        (
            ["a.PDF", "b.docx", "c.DOCX"],
            "3 files in {} are not read: 2 .docx, 1 .pdf; readers take",
        ),
        (["a.docx.gz"], "1 file in {} is not read: 1 .docx.gz; readers take .jsonl "),
        (["a.\x1b[31mred"], "1 file in {} is not read: 1 with an unusual ending; readers"),
        ([f"{n}.x{n}" for n in range(8)], "1 .x4, 1 .x5, 2 others; readers take"),
    ],
)
def test_unread_files_are_counted_by_their_ending(
    tmp_path: Path, names: list[str], sentence: str
) -> None:
    for name in names:
        write(tmp_path, name, b"x")
    told = Corpus(tmp_path).files().describe_unread()
    assert bool(told) == bool(sentence)
    assert sentence.format(tmp_path) in told
    assert "\x1b" not in told


def test_corpus_without_a_shard_is_an_error_that_names_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path} has no file .* \(it is empty\): add"):
        Corpus(tmp_path).files().check()
    write(tmp_path, "a.docx", b"x")
    with pytest.raises(
        FileNotFoundError, match=r"\(1 \.docx found\): add files of \.jsonl .*\.warc"
    ):
        Corpus(tmp_path).files().check()
    write(tmp_path, "a.txt", b"x")
    Corpus(tmp_path).files().check()


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
    assert corpus.files().unread == {"link": 4}
    assert corpus.fingerprint("c.txt") is None
    assert corpus.fingerprint("e/secret.txt") is None
    with pytest.raises(FileNotFoundError, match=r"c\.txt"):
        corpus.read("c.txt")


def test_root_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path, "real/a.txt", b"hello")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    corpus = Corpus(tmp_path / "link")
    assert corpus.shards() == ["a.txt"]
    assert texts(list(corpus.read("a.txt"))) == ["hello"]


def test_empty_root_has_no_shards(tmp_path: Path) -> None:
    assert Corpus(tmp_path).shards() == []


def test_missing_root_is_an_error_and_not_a_corpus_whose_files_are_gone(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "unmounted")
    calls: list[Callable[[], object]] = [
        corpus.shards,
        lambda: corpus.fingerprint("a.txt"),
        lambda: corpus.read("a.txt"),
    ]
    for call in calls:
        with pytest.raises(FileNotFoundError, match="unmounted does not exist"):
            call()


def test_root_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="not a folder"):
        Corpus(write(tmp_path, "a.txt", b"x")).shards()


def test_file_name_that_cannot_be_a_key_is_named(tmp_path: Path) -> None:
    write(tmp_path, "two\nlines.txt", b"x")
    with pytest.raises(ValueError, match=r"two\\nlines\.txt"):
        Corpus(tmp_path).shards()


@pytest.mark.parametrize("key", ["", "../a.txt", "/etc/passwd", "a\\b.txt"])
def test_key_outside_the_root_is_refused(tmp_path: Path, key: str) -> None:
    for method in (Corpus(tmp_path).read, Corpus(tmp_path).fingerprint):
        with pytest.raises(ValueError, match="shard key"):
            method(key)


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose among"):
        Corpus(tmp_path, {"title": "x"})
    with pytest.raises(ValueError, match="max_record_bytes"):
        Corpus(tmp_path, max_record_bytes=0)


def test_fingerprint_distinguishes_a_changed_file_from_a_touched_file(tmp_path: Path) -> None:
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


def test_file_of_equal_size_and_time_is_unchanged_without_being_read(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", b"one")
    corpus = Corpus(tmp_path)
    unread = SourceFile(size=3, mtime_ns=path.stat().st_mtime_ns, sha256="of something else")
    assert corpus.changed("a.txt", unread) is None
    assert corpus.changed("a.txt", unread.model_copy(update={"mtime_ns": 0})) is not None


def test_missing_file_has_no_fingerprint_and_is_not_unchanged(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    write(tmp_path, "b.txt", b"x")
    assert (corpus.has("b.txt"), corpus.has("a.txt")) == (True, False)
    assert corpus.fingerprint("a.txt") is None
    with pytest.raises(FileNotFoundError, match=r"a\.txt"):
        corpus.changed("a.txt", SourceFile(size=0, mtime_ns=0, sha256=""))
    with pytest.raises(FileNotFoundError, match=r"a\.txt"):
        corpus.read("a.txt")


def test_records_are_read_with_the_corpus_own_field_paths(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl", lines({"body": "x", "page": {"url": "u"}}))
    write(tmp_path, "a.txt", b"y")
    corpus = Corpus(tmp_path, {"text": "body", "source": "page.url"})
    assert list(corpus.read("a.jsonl")) == [TextRecord(1, "x", "u", "unknown", "und")]
    assert list(corpus.read("a.txt")) == [TextRecord(1, "y", "a.txt#1", "unknown", "und")]


def test_records_over_the_corpus_size_limit_are_bad_records(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl", lines({"text": "x" * 100}, {"text": "y"}))
    assert list(Corpus(tmp_path, max_record_bytes=100).read("a.jsonl")) == [
        BadRecord(1, "record_too_large: over 100 bytes"),
        TextRecord(2, "y", "a.jsonl#2", "unknown", "und"),
    ]


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("a.jsonl", b""),
        ("a.jsonl", b"\n \n"),
        ("a.jsonl", b"\xef\xbb\xbf"),
        ("a.jsonl.gz", b""),
        ("a.jsonl.gz", gzip.compress(b"", mtime=0)),
        ("a.jsonl.zst", b""),
        ("a.jsonl.zst", zstd(b"")),
        ("a.txt", b""),
        ("a.txt", b" \n"),
        ("a.txt.gz", gzip.compress(b"", mtime=0)),
        ("a.parquet", b""),
        ("a.json", b" "),
        ("a.csv.bz2", bz2.compress(b"")),
        ("a.warc", b""),
    ],
)
def test_file_without_records_is_an_empty_file(tmp_path: Path, key: str, data: bytes) -> None:
    write(tmp_path, key, data)
    assert list(Corpus(tmp_path).read(key)) == [BadRecord(1, "empty_file")]


def test_parquet_file_without_rows_is_an_empty_file(tmp_path: Path) -> None:
    pl.DataFrame(schema={"text": pl.String}).write_parquet(tmp_path / "a.parquet")
    assert list(Corpus(tmp_path).read("a.parquet")) == [BadRecord(1, "empty_file")]


def test_shard_with_an_unknown_ending_is_an_error_that_lists_the_known_endings(
    tmp_path: Path,
) -> None:
    write(tmp_path, "README.md", b"x")
    with pytest.raises(ValueError, match=r"unknown extension: use one of \.jsonl"):
        Corpus(tmp_path).read("README.md")


def test_ready_personas_are_shards_after_the_texts_and_only_of_tables(tmp_path: Path) -> None:
    for name in ("texts/z.txt", "texts/.personas/a.jsonl", "ready/b/a.jsonl", "ready/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"persona": "A night nurse in Riga"}')
    corpus = Corpus(tmp_path / "texts", personas=tmp_path / "ready")
    files = corpus.files()
    assert files.shards == ["z.txt", ".personas/b/a.jsonl"]
    told = files.describe_unread()
    assert told.startswith(f"1 file in {tmp_path / 'ready'} is not read: 1 .txt; readers take ")
    assert ".parquet" in told
    assert ".warc" not in told
    assert Corpus(tmp_path / "texts").fingerprint(".personas/b/a.jsonl") is None


def test_folder_of_ready_personas_that_is_missing_or_empty_is_named_with_its_setting(
    tmp_path: Path,
) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("A text.")
    corpus = Corpus(tmp_path / "texts", personas=tmp_path / "ready")
    with pytest.raises(FileNotFoundError, match=r"PERSONA_READY_PERSONAS .* does not exist"):
        corpus.files()
    (tmp_path / "ready").mkdir()
    with pytest.raises(FileNotFoundError, match=r"it is empty.*set PERSONA_READY_PERSONAS"):
        corpus.files().check()
