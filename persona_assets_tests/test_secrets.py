"""The API key of a call is in no file of a project, even if an endpoint echoes the key."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import polars as pl
import pytest

from persona_assets_tests.sample_project import CANARY, TEXTS, SampleProject


def readable(path: Path) -> Iterator[str]:
    """Yield a file's bytes, and its decompressed content, as text."""
    yield path.read_bytes().decode("latin-1")
    if path.suffix == ".parquet":
        yield str(pl.read_parquet(path).rows())
        yield str(pl.read_parquet_metadata(path))
    elif path.suffix == ".duckdb":
        with duckdb.connect(path, read_only=True) as connection:
            for [name] in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                yield str(connection.execute(f"FROM {name}").fetchall())
    elif path.suffix == ".db":
        with closing(sqlite3.connect(path)) as events:
            yield "\n".join(map(str, events.iterdump()))


def files_with_the_key(project: SampleProject) -> list[Path]:
    """Return the files below the data folder that hold the key in any form."""
    files = [path for path in project.data.rglob("*") if path.is_file()]
    assert {".parquet", ".db"} <= {path.suffix for path in files}
    assert any("completions" in path.parts or "journals" in path.parts for path in files)
    return [path for path in files if any(CANARY in text for text in readable(path))]


def test_server_receives_the_key(finished: SampleProject) -> None:
    assert finished.server.authorizations == {f"Bearer {CANARY}"}


def test_finished_project_holds_no_key(finished: SampleProject) -> None:
    assert files_with_the_key(finished) == []
    assert CANARY not in finished.settings.model_dump_json()


@pytest.mark.parametrize("status", ["400", "401", "418", "500", "error-200", "html-200"])
def test_key_echoed_by_an_endpoint_is_stored_nowhere(project: SampleProject, status: str) -> None:
    project.values["max_quarantine_share"] = 0.9
    project.edit("text_to_persona", "# User\n", "Be brief.\n\n# User\n")
    project.server.meets = lambda prompt, message: status
    runs = project.run("key:text_personas")
    assert len(runs) == len(TEXTS)
    assert all(run.error for run in runs)
    assert CANARY not in str(runs)
    assert files_with_the_key(project) == []
