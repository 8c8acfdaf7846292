"""Fixtures for all tests: an environment without the caller's settings, and sample projects."""

import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy
from hypothesis import HealthCheck, settings

from persona_assets.catalog.catalog import Catalog
from persona_assets.cli import main
from persona_assets.storage.storage import Storage
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import (
    CANARY,
    KEY_VARIABLE,
    TEXTS,
    SampleProject,
    is_setting,
)
from persona_assets_tests.sample_tables import TABLES

MEMORY = Path("/dev/shm")
"""Folder in memory: Dagster's SQLite syncs at every event, which takes two thirds of a run."""

SQLITE = ("event_log.sqlite.sqlite_event_log", "runs.sqlite.sqlite_run_storage")
"""Modules of Dagster that create an engine per connection. Each engine compiles all statements
again, which takes a quarter of a run of the whole graph."""


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_the_caller() -> Iterator[None]:
    """Remove the caller's settings and key from the environment of all tests and their children.

    The scope is the session because the finished project, of that scope, reads settings too.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in filter(is_setting, list(os.environ)):
            patch.delenv(name)
        yield


REQUIRE_ALL = "REQUIRE_ALL_TESTS"
"""Environment variable. Where it is 1, as in CI, a test that would be skipped fails."""

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# Test processes share cores, so the wall time of an example depends on the tests beside it.
settings.register_profile(
    "shared", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _without_skips((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _without_skips((yield))


def _without_skips(report: Report) -> Report:
    """Turn a skip into a failure if all tests are required."""
    expected = hasattr(report, "wasxfail")
    if report.skipped and not expected and os.environ.get(REQUIRE_ALL) == "1":
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason} ({REQUIRE_ALL} is set)"
    return report


@pytest.fixture(scope="session")
def environment(no_settings_of_the_caller: None) -> Iterator[None]:
    """Set the key for the model server, share Dagster's engines, and restore Dagster's home."""
    engines: dict[str, sqlalchemy.Engine] = {}

    def engine(url: str, **options: Any) -> sqlalchemy.Engine:
        if url not in engines:
            engines[url] = sqlalchemy.create_engine(url, **options)
        return engines[url]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, CANARY)
        patch.setenv("DAGSTER_HOME", "/nowhere")
        for module in SQLITE:
            patch.setattr(f"dagster._core.storage.{module}.create_engine", engine)
        yield


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """Model server that has received no request."""
    with ModelServer() as server:
        yield server


@pytest.fixture
def folder() -> Iterator[Path]:
    """Empty folder, in memory if the machine has such a file system."""
    with in_memory() as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def finished(environment: None) -> Iterator[SampleProject]:
    """Project of two shards, run once from end to end and shared: tests must not change it."""
    with ModelServer() as server, in_memory() as folder:
        sample = SampleProject(Path(folder) / "finished", server)
        for shard, texts in TEXTS.items():
            sample.write(shard, texts)
        assert [run.error for run in sample.run() if run.error] == []
        yield sample


@pytest.fixture
def project(finished: SampleProject, server: ModelServer, folder: Path) -> SampleProject:
    """Copy of the finished project, with a server that has received no request."""
    return finished.copy(folder / "project", server)


@pytest.fixture
def fresh(environment: None, server: ModelServer, folder: Path) -> SampleProject:
    """Project with a corpus and no tables."""
    sample = SampleProject(folder / "fresh", server)
    for shard, texts in TEXTS.items():
        sample.write(shard, texts)
    return sample


@pytest.fixture
def command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs a command in this process: exit code, output and errors.

    The command has the settings of one sample project and no others.
    """

    def run(project: SampleProject, *arguments: str) -> tuple[int, str, str]:
        for name in [name for name in os.environ if name.startswith("PERSONA_")]:
            monkeypatch.delenv(name)
        for name, value in project.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(project.root)
        capfd.readouterr()
        code = main(arguments)
        return (code, *capfd.readouterr())

    return run


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """Storage of a project without tables."""
    return Storage(tmp_path)


@pytest.fixture
def catalog(storage: Storage) -> Catalog:
    """Catalog of that storage."""
    return Catalog(storage, TABLES)


def in_memory() -> "tempfile.TemporaryDirectory[str]":
    """Return an empty folder, in memory if the machine has such a file system."""
    return tempfile.TemporaryDirectory(
        dir=MEMORY if os.access(MEMORY, os.W_OK) else None, ignore_cleanup_errors=True
    )
