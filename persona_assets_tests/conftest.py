"""A sample project for all tests: one that is finished, shared, and copies to change."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import CANARY, KEY_VARIABLE, TEXTS, SampleProject


@pytest.fixture(scope="session")
def api_key() -> Iterator[None]:
    """The key that the server is sent; Dagster's home is put back as it was."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, CANARY)
        patch.setenv("DAGSTER_HOME", "/nowhere")
        yield


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="session")
def finished(api_key: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleProject]:
    """A project of two shards, run once from end to end. Not to be changed."""
    with ModelServer() as server:
        sample = SampleProject(tmp_path_factory.mktemp("finished"), server)
        for shard, texts in TEXTS.items():
            sample.write(shard, texts)
        runs = sample.run()
        assert [run.error for run in runs if run.error] == []
        yield sample


@pytest.fixture
def project(finished: SampleProject, server: ModelServer, tmp_path: Path) -> SampleProject:
    """A copy of the finished project, with a server that has answered nothing yet."""
    return finished.copy(tmp_path / "project", server)


@pytest.fixture
def fresh(api_key: None, server: ModelServer, tmp_path: Path) -> SampleProject:
    """A project with a corpus, and nothing made of it yet."""
    sample = SampleProject(tmp_path / "fresh", server)
    for shard, texts in TEXTS.items():
        sample.write(shard, texts)
    return sample
