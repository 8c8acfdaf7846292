"""`docs/settings.md`: current, complete, and independent of the caller's environment."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from persona_assets.generation import Price
from persona_assets.settings import ModelEndpoint, Prompting, Settings, Task, Training
from persona_assets.training.job import Hyperparameters

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "settings.md"
MODELS = [Settings, ModelEndpoint, Price, Prompting, Task, Training, Hyperparameters]


def test_page_is_current() -> None:
    changed = {"PYTHONPATH": str(ROOT), "PERSONA_PROFILE": "demo", "PERSONA_TEXT_CHARS": "123"}
    done = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "docs" / "settings_page.py"],
        capture_output=True,
        text=True,
        env=os.environ | changed,
        check=True,
    )
    assert done.stdout == PAGE.read_text("utf-8"), (
        "run: python docs/settings_page.py > docs/settings.md"
    )


def test_page_has_a_row_for_every_setting() -> None:
    rows = re.findall(r"^\| `PERSONA_([A-Z0-9_]+)` \|", PAGE.read_text("utf-8"), re.M)
    top = [name.lower() for name in rows if "__" not in name]
    assert sorted(top) == sorted(Settings.model_fields)
    for name in ModelEndpoint.model_fields:
        assert f"WRITER__{name.upper()}" in rows


@pytest.mark.parametrize("model", MODELS)
def test_setting_is_described_in_sentences(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        description = field.description or ""
        assert description.strip().endswith("."), name
        assert description[0].isupper() or description[0] == "`" or name == "bf16", name


def test_page_states_the_defaults_of_both_profiles() -> None:
    lines = PAGE.read_text("utf-8").splitlines()
    [row] = [line for line in lines if line.startswith("| `PERSONA_TEXTS_PER_SHARD` ")]
    assert row.split(" | ")[1:3] == ["integer ≥ 1 or `null`", "`null`; `demo`: `8`"]
