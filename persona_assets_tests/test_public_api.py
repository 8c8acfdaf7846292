"""The names that `persona_assets` exports: complete, typed, and light to import."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import persona_assets

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", persona_assets.__all__)
def test_export_is_the_object_of_its_module(name: str) -> None:
    module = import_module(f"persona_assets.{persona_assets._MODULES[name]}")
    assert getattr(persona_assets, name) is getattr(module, name)


def test_exports_are_listed_alike_for_people_and_type_checkers() -> None:
    tree = ast.parse(Path(persona_assets.__file__).read_text("utf-8"))
    [checked] = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        alias.name: node.module
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    expected = {name: f"persona_assets.{it}" for name, it in persona_assets._MODULES.items()}
    assert typed == expected
    assert sorted(expected) == sorted(persona_assets.__all__) == dir(persona_assets)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = persona_assets.nothing


def test_import_loads_no_other_package() -> None:
    command = [sys.executable, "-W", "error", "-X", "importtime", "-c", "import persona_assets"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "persona_assets" in loaded
    assert not {
        name for name in loaded if name.startswith(("persona_assets.", "pydantic", "polars"))
    }
