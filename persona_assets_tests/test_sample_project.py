"""Tests and their child processes see no settings and no OpenAI key of the caller."""

import os

import pytest

from persona_assets_tests.sample_project import SampleProject, is_setting


def test_tests_run_without_settings_of_the_caller() -> None:
    assert [name for name in os.environ if is_setting(name)] == []


@pytest.mark.parametrize(
    "name", ["PERSONA_FOO", "persona_foo", "OPENAI_API_KEY", "OPENAI_BASE_URL"]
)
def test_sample_project_hides_a_setting_of_the_caller_from_its_child_processes(
    fresh: SampleProject, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "of the caller")
    assert name not in fresh.environment()


def test_sample_project_passes_changes_to_its_child_processes(fresh: SampleProject) -> None:
    changed = fresh.environment(PERSONA_PROFILE="demo", PERSONA_CORPUS=None, OPENAI_API_KEY="key")
    assert (changed["PERSONA_PROFILE"], changed["OPENAI_API_KEY"]) == ("demo", "key")
    assert "PERSONA_CORPUS" not in changed
