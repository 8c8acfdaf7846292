"""The command line in this process, with the settings of one sample project and no others."""

import os
from collections.abc import Callable

import pytest

from persona_assets.cli import main
from persona_assets_tests.sample_project import SampleProject


@pytest.fixture
def command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Return a function from a project and arguments to exit code, output and errors."""

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
