"""Tables of ready personas: their columns, and the data sets that are known by them."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.readers import (
    BadRecord,
    PersonaColumnError,
    TextRecord,
    check_persona_column,
    column_names,
    known_data_set,
    persona_paths,
)
from persona_assets.resources.corpus_folder import Corpus

CLOCKS = "A retired tram driver who repairs station clocks"
ELITE = {
    "persona": CLOCKS,
    "general domain (top 1 percent)": "Transport",
    "specific domain (top 1 percent)": "Trams",
    "general domain (top 0.1 percent)": "None",
    "specific domain (top 0.1 percent)": "None",
}
MISTYPED = {name.replace("(top 0.1", "(top 0.0.1"): value for name, value in ELITE.items()}

HUB = ("proj-persona/PersonaHub", "CC-BY-NC-SA-4.0")
FINE = ("argilla/FinePersonas-v0.1", "llama3")
NEMOTRON = ("nvidia/Nemotron-Personas", "CC-BY-4.0")

LAYOUTS = [
    # (case, rows, source, licence)
    ("elite", [ELITE], f"{HUB[0]}: {{key}}#1", HUB[1]),
    ("elite_mistyped", [ELITE, MISTYPED], f"{HUB[0]}: {{key}}#1", HUB[1]),
    (
        "release",
        [{"input persona": CLOCKS, "synthesized text": "x", "description": "tool synthesis"}],
        f"{HUB[0]}: {{key}}#1",
        HUB[1],
    ),
    (
        "fine",
        [{"id": "<urn:uuid:1>", "persona": CLOCKS, "labels": "[]"}],
        f"{FINE[0]}: <urn:uuid:1>",
        FINE[1],
    ),
    (
        "nemotron",
        [{"uuid": "a1", "professional_persona": "x", "persona": CLOCKS, "age": 71}],
        f"{NEMOTRON[0]}: a1",
        NEMOTRON[1],
    ),
    ("licence_of_the_row", [ELITE | {"license": "MIT"}], f"{HUB[0]}: {{key}}#1", "MIT"),
    ("persona_alone", [{"persona": CLOCKS}], "{key}#1", "unknown"),
    ("own_columns", [{"persona": CLOCKS, "source": "ours", "licence": "CC0"}], "ours", "CC0"),
]

WRITERS: dict[str, Callable[[Path, list[dict[str, object]]], object]] = {
    "jsonl": lambda path, rows: path.write_text("".join(json.dumps(row) + "\n" for row in rows)),
    "jsonl.gz": lambda path, rows: path.write_bytes(
        gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
    ),
    "json": lambda path, rows: path.write_text(json.dumps(rows, indent=1)),
    "parquet": lambda path, rows: pl.DataFrame(rows, infer_schema_length=None).write_parquet(path),
    "csv": lambda path, rows: pl.DataFrame(rows, infer_schema_length=None).write_csv(path),
    "tsv": lambda path, rows: pl.DataFrame(rows).write_csv(path, separator="\t"),
}


def corpus_of(folder: Path, fields: dict[str, str] | None = None) -> Corpus:
    (folder / "texts").mkdir(exist_ok=True)
    (folder / "ready").mkdir(exist_ok=True)
    return Corpus(folder / "texts", personas=folder / "ready", persona_fields=fields or {})


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize(("case", "rows", "source", "licence"), LAYOUTS)
def test_layout_is_read_in_every_format(
    tmp_path: Path,
    ending: str,
    case: str,
    rows: list[dict[str, object]],
    source: str,
    licence: str,
) -> None:
    corpus = corpus_of(tmp_path)
    WRITERS[ending](tmp_path / "ready" / f"{case}.{ending}", rows)
    [key] = corpus.shards()
    assert key == f".personas/{case}.{ending}"
    records = list(corpus.read(key))
    assert len(records) == len(rows)
    assert records[0] == TextRecord(1, CLOCKS, source.format(key=key), licence, "und")
    for record in records:
        assert isinstance(record, TextRecord)
        assert (record.text, record.licence) == (CLOCKS, licence)


@pytest.mark.parametrize("ending", WRITERS)
def test_table_without_personas_is_an_error_that_names_its_columns(
    tmp_path: Path, ending: str
) -> None:
    corpus = corpus_of(tmp_path)
    WRITERS[ending](tmp_path / "ready" / f"a.{ending}", [{"bio": CLOCKS, "n": 1}])
    with pytest.raises(PersonaColumnError, match=r"its columns are 'bio', 'n'.*READY_FIELDS"):
        corpus.read(f".personas/a.{ending}")
    [record] = corpus_of(tmp_path, {"persona": "bio", "source": "n"}).read(f".personas/a.{ending}")
    assert record == TextRecord(1, CLOCKS, "1", "unknown", "und")


def test_column_map_enters_objects_and_takes_another_persona_of_a_known_data_set(
    tmp_path: Path,
) -> None:
    row = {"uuid": "a1", "persona": "x", "professional_persona": "y", "sports_persona": CLOCKS}
    WRITERS["parquet"](corpus_of(tmp_path).personas / "a.parquet", [row])  # type: ignore[operator]
    [record] = corpus_of(tmp_path, {"persona": "sports_persona"}).read(".personas/a.parquet")
    assert record == TextRecord(1, CLOCKS, f"{NEMOTRON[0]}: a1", NEMOTRON[1], "und")
    (tmp_path / "ready" / "b.jsonl").write_text(json.dumps({"who": {"is": CLOCKS}}))
    [record] = corpus_of(tmp_path, {"persona": "who.is"}).read(".personas/b.jsonl")
    assert isinstance(record, TextRecord)
    assert record.text == CLOCKS


def test_folders_give_licence_and_language(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path)
    folder = tmp_path / "ready" / "language=pl" / "licence=CC%20BY"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text(json.dumps(ELITE))
    [record] = corpus.read(corpus.shards()[0])
    assert isinstance(record, TextRecord)
    assert (record.licence, record.language) == ("CC BY", "pl")


def test_unknown_column_of_the_map_is_an_error() -> None:
    with pytest.raises(ValueError, match="PERSONA_READY_FIELDS: no column is called text: choose"):
        persona_paths({"text": "bio"})


def test_damaged_tables_are_records_with_a_reason(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path)
    for name, content in (
        ("a.parquet", b"PAR1 nonsense"),
        ("b.jsonl.gz", b"\x1f\x8b\x08 cut"),
        ("c.csv", b""),
        ("d.jsonl", b"[[[[{broken\n"),
    ):
        (tmp_path / "ready" / name).write_bytes(content)
        records = list(corpus.read(f".personas/{name}"))
        assert [type(record) for record in records] == [BadRecord], name


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 20_000, '"' * 100_000, "9" * 100_000, ",\n" * 50_000]
)
def test_head_of_a_hostile_file_has_no_columns(tmp_path: Path, text: str) -> None:
    for ending in ("json", "csv"):
        path = tmp_path / f"a.{ending}"
        path.write_text(text)
        names = column_names(path.name, path)
        assert ending == "csv" or names == []


@given(st.binary(max_size=300), st.sampled_from(["jsonl", "json", "csv", "tsv", "parquet"]))
def test_columns_of_any_bytes_are_found_without_an_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, ending: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{ending}"
    path.write_bytes(content)
    names = column_names(path.name, path)
    assert all(isinstance(name, str) for name in names)
    known_data_set(names)
    check_persona_column(path.name, [*names, "persona"], ["persona"])
