"""What asks no model needs no key, embedder or grader: files of all formats become tables.

Each process has an environment of a few paths, and no package of models can be imported in it.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from persona_assets.storage.storage import Storage
from persona_assets_tests.readers.shard_files import write
from persona_assets_tests.readers.zoo.making import make_bytes
from persona_assets_tests.sample_project import ROOT

PROGRAMS = Path(__file__).parent / "programs"
PAGE = {"type": "conversion", "url": "https://a.example/mill", "body": "The mill stands still."}
ROWS = [{"text": "Swifts nest in the mill."}, {"text": "Storks pass by the canal."}]
CORPUS = {
    "array.json": (ROWS, ["indented"]),
    "language=de/table.parquet": (ROWS, ["parquet"]),
    "lines.jsonl.bz2": (ROWS, ["lines", "bzip2"]),
    "lines.ndjson.zst": (ROWS, ["lines", "wide-zstd 31"]),
    "pages.warc.wet.gz": ([PAGE], ["archive gzip"]),
    "sheet.csv": ('text,licence\n"A bell, cast",CC0-1.0\ntoo,many,fields\n', []),
    "sheet.tsv": ("text\tlanguage\nOne line.\ten\n", ["encode utf-16"]),
    "text.txt.xz": ("A letter.", ["xz"]),
}
UNREAD = "2 files in {} are not read: 1 .docx, 1 .pdf; readers take .jsonl "


class BareProject:
    """Project whose processes have only its paths in their environment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.corpus = root / "corpus"
        self.storage = Storage(root / "data")

    def python(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            "PYTHONPATH": f"{PROGRAMS / 'no_models'}:{ROOT}",
            "PERSONA_DATA_DIR": str(self.root / "data"),
            "PERSONA_CORPUS": str(self.corpus),
            "PERSONA_PROMPTS": str(ROOT / "prompts"),
            "PERSONA_BENCHMARK": str(ROOT / "data" / "benchmarks" / "sample.jsonl"),
            "DAGSTER_HOME": str(self.root / "data" / "dagster_home"),
        }
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def commands(self, *lines: str) -> list[tuple[int, str, str]]:
        """Run commands in a process; return code, output and errors of each."""
        program = str(PROGRAMS / "run_commands.py")
        process = self.python(program, json.dumps([line.split() for line in lines]))
        assert (process.returncode, process.stderr) == (0, "")
        return [tuple(json.loads(line)) for line in process.stdout.splitlines()]

    def texts(self) -> dict[str, int]:
        """Return the number of texts of each shard with a table."""
        footers = [footer for _, footer in self.storage.footers()]
        assert {footer.asset for footer in footers} <= {"raw_corpus"}
        return {str(footer.shard): footer.rows for footer in footers}


@pytest.fixture
def bare(folder: Path) -> BareProject:
    project = BareProject(folder)
    for key, (content, steps) in CORPUS.items():
        write(project.corpus, key, make_bytes(content, steps))
    for name in ("letter.docx", "scan.pdf", "_SUCCESS"):
        write(project.corpus, name, b"x")
    return project


def test_commands_need_no_model(bare: BareProject) -> None:
    unread = UNREAD.format(bare.corpus)
    planned, run = bare.commands("plan", "run --select key:raw_corpus")
    for code, out, err in (planned, run):
        assert (code, err) == (0, ""), out
        assert out.startswith(unread)
    assert "8 shards: at most 0 model calls" in run[1]
    assert bare.texts() == {
        "array.json": 2,
        "language=de/table.parquet": 2,
        "lines.jsonl.bz2": 2,
        "lines.ndjson.zst": 2,
        "pages.warc.wet.gz": 1,
        "sheet.csv": 1,
        "sheet.tsv": 1,
        "text.txt.xz": 1,
    }
    quarantine = bare.storage.quarantine("raw_corpus", "sheet.csv")
    assert quarantine["reason"].to_list() == ["ragged_row: more fields than the header"]
    rows = bare.storage.scan("raw_corpus", "language=de/table.parquet").collect()
    assert rows["language"].to_list() == ["de", "de"]
    [page] = bare.storage.scan("raw_corpus", "pages.warc.wet.gz").collect().to_dicts()
    assert page["source"] == "https://a.example/mill 2024-05-13T07:22:15Z"

    write(bare.corpus, "late.csv", b"text\nLate.\n")
    status, planned, catalog, run = bare.commands(
        "status", "plan --json", "catalog", "run --select key:text_personas"
    )
    code, out, err = status
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "1 new shard: late.csv"
    assert out.splitlines()[1].startswith(unread)
    assert "raw_corpus late.csv: missing" in out
    notes = json.loads(planned[1])["notes"]
    assert notes[0] == "1 new shard: late.csv"
    assert catalog[0] == 0
    # The first asset that asks a model needs the key, and is told so before any work.
    assert run[0] == 1
    assert "OPENAI_API_KEY is not set" in run[2]


def test_dagster_needs_no_model(bare: BareProject) -> None:
    used = bare.python(str(PROGRAMS / "dagster_without_models.py"))
    assert used.returncode == 0, used.stderr
    result = json.loads(used.stdout.splitlines()[-1])
    assert result["shards"] == sorted(CORPUS)
    assert result["run"] is True
    assert result["ticks"]["nightly_backfill"] == len(CORPUS)

    location = ["-m", "persona_assets.definitions", "--select", "raw_corpus"]
    made = bare.python(
        *("-m", "dagster", "asset", "materialize", *location, "--partition", "sheet.tsv")
    )
    assert made.returncode == 0, made.stderr
    assert bare.texts() == {"array.json": 2, "sheet.tsv": 1}


def test_corpus_without_a_shard_is_an_error_of_each_command(folder: Path) -> None:
    bare = BareProject(folder)
    write(bare.corpus, "letter.docx", b"x")
    answers = bare.commands("run", "status", "plan --json")
    assert len(answers) == 3
    for code, out, err in answers:
        assert (code, out) == (1, "")
        assert f"corpus folder {bare.corpus} has no file that a reader takes (1 .docx found)" in err
