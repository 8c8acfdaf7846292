"""`docs/settings.md`: current, complete, and independent of the caller's environment."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from persona_assets.generation.calls.endpoint import Price
from persona_assets.scaffold.settings_page import SECTIONS, settings_page
from persona_assets.settings import ModelEndpoint, Prompting, Settings, Task, Training
from persona_assets.training.job import Hyperparameters

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
MODELS = [Settings, ModelEndpoint, Price, Prompting, Task, Training, Hyperparameters]


def test_page_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSONA_PROFILE", "demo")
    monkeypatch.setenv("PERSONA_TEXT_CHARS", "123")
    assert settings_page() == PAGE.read_text("utf-8"), (
        "run: python -m persona_assets.scaffold.settings_page > docs/settings.md"
    )


def test_page_has_every_setting_in_one_section() -> None:
    names = [name for section in SECTIONS.values() for name in section]
    assert sorted(names) == sorted(Settings.model_fields)


@pytest.mark.parametrize("model", MODELS)
def test_setting_is_described_in_sentences(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        description = field.description or ""
        assert description.strip().endswith("."), name
        assert description[0].isupper() or description[0] == "`" or name == "bf16", name


def test_page_states_the_defaults_of_both_profiles() -> None:
    lines = settings_page().splitlines()
    [row] = [line for line in lines if line.startswith("| `PERSONA_TEXTS_PER_SHARD` ")]
    assert row.split(" | ")[1:3] == ["integer ≥ 1 or `null`", "`null`; `demo`: `8`"]
