"""A shard is read by the reader of its ending: a built-in reader or an installed package's."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from persona_assets.readers import READERS, known_endings, reader_for
from persona_assets_tests.installed import write_distribution
from persona_assets_tests.readers.shard_files import lines, write

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def install(site: Path, **references: str) -> None:
    """Install a distribution of readers into a folder of `sys.path`."""
    write_distribution(site, "paragraphs-reader", "persona_assets.readers", references)
    shutil.copy(HERE / "installed" / "paragraphs_reader.py", site)


def read_corpus(root: Path, site: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Read a corpus in a new process, to which the packages in `site` are installed."""
    return subprocess.run(
        [sys.executable, "-P", HERE / "programs" / "read_corpus.py", root],
        env={"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), **more},
        capture_output=True,
        text=True,
        check=False,
    )


def test_installed_reader_reads_the_shards_of_its_endings(tmp_path: Path) -> None:
    site, root = tmp_path / "site", tmp_path / "corpus"
    install(site, paragraphs="paragraphs_reader:ParagraphsReader")
    write(root, "a.jsonl", lines({"text": "built in"}))
    write(root, "b.paragraphs", b"one\n\ntwo")

    process = read_corpus(root, site)

    assert process.stderr == ""
    assert [json.loads(line) for line in process.stdout.splitlines()] == [
        ["a.jsonl", ["built in"]],
        ["b.paragraphs", ["one", "two"]],
    ]


def test_longest_matching_ending_selects_the_reader(tmp_path: Path) -> None:
    site, root = tmp_path / "site", tmp_path / "corpus"
    install(site, paragraphs="paragraphs_reader:ParagraphsReader")
    write(root, "a.paragraphs.txt", b"one\n\ntwo")
    write(root, "b.txt", b"one\n\ntwo")

    process = read_corpus(root, site)

    assert [json.loads(line) for line in process.stdout.splitlines()] == [
        ["a.paragraphs.txt", ["one", "two"]],
        ["b.txt", ["one\n\ntwo"]],
    ]


def test_two_readers_of_an_ending_are_refused(tmp_path: Path) -> None:
    site, root = tmp_path / "site", tmp_path / "corpus"
    install(site, second="paragraphs_reader:SecondJsonLinesReader")
    write(root, "a.jsonl", lines({"text": "a"}))

    process = read_corpus(root, site)

    assert process.returncode == 1
    assert "readers json_lines and second both read .jsonl files" in process.stderr


def test_installed_reader_keeps_an_ending_that_a_later_built_in_reader_has_too(
    tmp_path: Path,
) -> None:
    site, root = tmp_path / "site", tmp_path / "corpus"
    install(site, warc="paragraphs_reader:OlderArchiveReader")
    write(root, "a.warc.gz", gzip.compress(b"one\n\ntwo"))
    write(root, "b.csv", b"text\nbuilt in\n")

    process = read_corpus(root, site)

    assert process.stderr == ""
    assert [json.loads(line) for line in process.stdout.splitlines()] == [
        ["a.warc.gz", ["one", "two"]],
        ["b.csv", ["built in"]],
    ]


def test_two_installed_readers_of_an_ending_are_refused(tmp_path: Path) -> None:
    site, root = tmp_path / "site", tmp_path / "corpus"
    readers = {name: "paragraphs_reader:OlderArchiveReader" for name in ("first", "second")}
    install(site, **readers)
    write(root, "a.warc.gz", gzip.compress(b"one"))
    process = read_corpus(root, site)
    assert process.returncode == 1
    assert "readers first and second both read .warc.gz files" in process.stderr


@pytest.mark.parametrize("package", ["fastwarc", "resiliparse"])
def test_web_archive_without_its_packages_names_the_extra(tmp_path: Path, package: str) -> None:
    root = tmp_path / "corpus"
    write(root, "a.warc.gz", gzip.compress(b"WARC/1.0"))
    no_packages = ROOT / "persona_assets_tests" / "programs" / "no_models"
    process = read_corpus(root, no_packages, ALSO_REFUSED=package)
    assert process.returncode == 1
    assert "shard 'a.warc.gz' is a web archive" in process.stderr
    assert "pip install 'persona_assets[warc]'" in process.stderr


def test_file_of_an_ending_without_a_reader_is_no_shard(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    write(root, "b.paragraphs", b"one\n\ntwo")
    process = read_corpus(root, tmp_path / "empty")
    assert (process.stdout, process.stderr) == ("", "")


def test_builtin_readers_have_lower_case_endings() -> None:
    assert READERS.names()[:3] == ["json_lines", "parquet", "plain_text"]
    assert all(ending.startswith(".") and ending.islower() for ending in known_endings())


@pytest.mark.parametrize("key", ["README.md", "jsonl", "a.jsonl.tmp", "a.parquet.gz"])
def test_unknown_ending_is_an_error_that_lists_the_known_endings(key: str) -> None:
    with pytest.raises(ValueError, match=r"unknown extension: use one of \.jsonl .*\.txt\.gz"):
        reader_for(key)
