"""Runs and events of a project in PostgreSQL: concurrent commands, and no password on disk."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from persona_assets.orchestration.postgres_storage import SECTION, SETTING, URL, keep_in_postgres
from persona_assets.settings import SettingsError
from persona_assets_tests.postgres_server import CANARY, PostgresServer, running_postgres
from persona_assets_tests.sample_project import SampleProject

Command = Callable[..., tuple[int, str, str]]
SHARDS = [f"{number}.txt" for number in range(4)]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


def test_commands_at_once_keep_their_runs_in_the_database(
    fresh: SampleProject, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(URL, raising=False)
    fresh.values["dagster_postgres_url"] = postgres.url()
    for shard in SHARDS:
        fresh.write(shard, [f"A letter about the ferry of pier {shard}."])
    # The first makes the tables, and registers the shards.
    assert fresh.run("key:raw_corpus", only=SHARDS[:1])[-1].error == ""
    children = [
        fresh.command("run", "--select", "key:raw_corpus or key:text_personas", "--shards", *shards)
        for shards in (SHARDS[:2], SHARDS[2:])
    ]
    for child in children:
        _, error = child.communicate()
        assert child.returncode == 0, error
    with fresh.instance() as instance:
        runs = instance.get_runs()
        assert "Postgres" in type(instance.event_log_storage).__name__
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    assert {run.tags.get("dagster/partition") for run in runs} == set(SHARDS)
    assert not list((fresh.data / "dagster_home").rglob("runs.db"))
    assert fresh.stale()
    files = [path for path in fresh.root.rglob("*") if path.is_file()]
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []

    del fresh.values["dagster_postgres_url"]
    with pytest.raises(SettingsError, match=f"set {SETTING}"):
        fresh.run("key:raw_corpus")


@pytest.mark.parametrize(
    ("content", "url", "message"),
    [
        ("", f"mysql://user:{CANARY}@host/db", "must be postgresql://"),
        ("storage:\n  sqlite:\n    base_dir: here\n", "postgresql://host/db", "of its own"),
        (SECTION, None, f"set {SETTING}"),
    ],
)
def test_what_cannot_be_kept_is_refused_without_the_password(
    tmp_path: Path, content: str, url: str | None, message: str
) -> None:
    path = tmp_path / "dagster.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=message) as caught:
        keep_in_postgres(path, url)
    assert CANARY not in str(caught.value)
    assert path.read_text() == content
