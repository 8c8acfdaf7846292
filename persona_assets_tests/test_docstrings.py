"""Every example in a docstring gives the result that it shows."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "persona_assets").rglob("*.py")
    if ">>>" in path.read_text()
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Some examples name files of the repository.
    monkeypatch.chdir(ROOT)
    results = doctest.testmod(import_module(name), raise_on_error=False)
    assert results.attempted > 0
    assert results.failed == 0
