"""A sample project for all tests: one that is finished and shared, and copies to change."""

import os
import re
import tempfile
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy
from hypothesis import HealthCheck, settings

from persona_assets.catalog.catalog import Catalog
from persona_assets.storage.storage import Storage
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import CANARY, KEY_VARIABLE, TEXTS, SampleProject
from persona_assets_tests.sample_tables import TABLES

MEMORY = Path("/dev/shm")
"""Dagster's SQLite syncs at every event: in memory a run takes a third of the time."""

SQLITE = ("event_log.sqlite.sqlite_event_log", "runs.sqlite.sqlite_run_storage")
"""Modules of Dagster's that make an engine for each connection, which compiles each statement anew:
a quarter of what a run of the whole graph takes."""

REQUIRE_ALL = "PERSONA_ASSETS_TESTS_REQUIRE_ALL"
"""Environment variable. Where it is 1, as in CI, a test that would be skipped fails."""

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# Test processes share cores, so the wall time of an example depends on the tests beside it.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file in a process of pytest-xdist, and all files that use `finished`.

    The scopes do not depend on marks: pytest-xdist 3.8 ignores its groups under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class FileScheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "finished" if _uses_finished(config.rootpath / file) else file

    return FileScheduling(config, log)


@cache
def _uses_finished(path: Path) -> bool:
    return bool(re.search(r"\b(?:finished|project): SampleProject\b", path.read_text("utf-8")))


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
def environment() -> Iterator[None]:
    """The key that the server is sent; Dagster's home is put back as it was."""
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
    with ModelServer() as server:
        yield server


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder in memory, where the machine has that."""
    with _in_memory() as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def finished(environment: None) -> Iterator[SampleProject]:
    """A project of two shards, run once from end to end. Not to be changed."""
    with ModelServer() as server, _in_memory() as folder:
        sample = SampleProject(Path(folder) / "finished", server)
        for shard, texts in TEXTS.items():
            sample.write(shard, texts)
        assert [run.error for run in sample.run() if run.error] == []
        yield sample


@pytest.fixture
def project(finished: SampleProject, server: ModelServer, folder: Path) -> SampleProject:
    """A copy of the finished project, with a server that has answered nothing yet."""
    return finished.copy(folder / "project", server)


@pytest.fixture
def fresh(environment: None, server: ModelServer, folder: Path) -> SampleProject:
    """A project with a corpus, and nothing made of it yet."""
    sample = SampleProject(folder / "fresh", server)
    for shard, texts in TEXTS.items():
        sample.write(shard, texts)
    return sample


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """The tables of a project that has none yet."""
    return Storage(tmp_path)


@pytest.fixture
def catalog(storage: Storage) -> Catalog:
    """Their catalog."""
    return Catalog(storage, TABLES)


def _in_memory() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(
        dir=MEMORY if os.access(MEMORY, os.W_OK) else None, ignore_cleanup_errors=True
    )
