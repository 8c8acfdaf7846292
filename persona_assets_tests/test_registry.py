"""A registry finds implementations by name: built-in ones and those of installed packages."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from persona_assets.registry import Registry, RegistryError
from persona_assets_tests.installed import write_distribution

GROUP = "persona_assets_tests.shapes"
BUILTIN = {"fraction": "fractions:Fraction", "decimal": "decimal:Decimal"}

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a distribution with entry points in the tests' group."""
    monkeypatch.syspath_prepend(tmp_path)

    def install_distribution(distribution: str, **references: str) -> None:
        write_distribution(tmp_path, distribution, GROUP, references)

    return install_distribution


def shapes() -> Registry[type]:
    return Registry(GROUP, BUILTIN)


def test_registry_lists_built_in_names_in_their_order() -> None:
    assert shapes().names() == ["fraction", "decimal"]


def test_registry_returns_a_built_in_implementation() -> None:
    from fractions import Fraction

    assert shapes().get("fraction") is Fraction


def test_registry_imports_nothing_before_first_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_on_first_use.py").write_text("answer = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "imported_on_first_use", raising=False)
    registry: Registry[int] = Registry(GROUP, {"answer": "imported_on_first_use:answer"})

    assert registry.names() == ["answer"]
    assert "imported_on_first_use" not in sys.modules
    assert registry.get("answer") == 42
    assert "imported_on_first_use" in sys.modules


def test_registry_finds_an_installed_implementation_by_entry_point(install: Install) -> None:
    from collections import Counter

    install("more-shapes", counter="collections:Counter")

    assert shapes().get("counter") is Counter


def test_registry_yields_built_in_implementations_first(install: Install) -> None:
    install("more-shapes", zeta="collections:deque", alpha="collections:Counter")

    assert [name for name, _ in shapes().all()] == ["fraction", "decimal", "alpha", "zeta"]
    assert [shape.__name__ for _, shape in shapes().all()] == [
        "Fraction",
        "Decimal",
        "Counter",
        "deque",
    ]


def test_registry_names_the_nearest_name_for_an_unknown_name() -> None:
    with pytest.raises(RegistryError, match="did you mean 'fraction'") as raised:
        shapes().get("fractoin")

    assert isinstance(raised.value, ValueError)
    assert "known: fraction, decimal" in str(raised.value)


def test_registry_lists_known_names_where_none_is_near() -> None:
    with pytest.raises(RegistryError, match=r"^'xyz' is not in '[\w.]+' \(known: fraction, dec"):
        shapes().get("xyz")


def test_registry_names_the_distribution_whose_module_is_missing(install: Install) -> None:
    install("broken-shapes", torus="no_such_module_of_shapes:Torus")

    with pytest.raises(RegistryError, match=r"'torus' .* installed by broken-shapes.*no_such_mod"):
        shapes().get("torus")


def test_registry_names_the_distribution_whose_attribute_is_missing(install: Install) -> None:
    install("broken-shapes", torus="collections:Torus")

    with pytest.raises(RegistryError, match="broken-shapes"):
        shapes().get("torus")


def test_broken_entry_point_does_not_hide_other_implementations(install: Install) -> None:
    install("broken-shapes", torus="no_such_module_of_shapes:Torus")

    assert shapes().names() == ["fraction", "decimal", "torus"]
    assert shapes().get("decimal").__name__ == "Decimal"


def test_entry_point_may_not_replace_a_built_in_name(install: Install) -> None:
    install("greedy-shapes", decimal="collections:Counter")

    with pytest.raises(RegistryError, match=r"greedy-shapes may not replace 'decimal'"):
        shapes().get("decimal")
    with pytest.raises(RegistryError, match="greedy-shapes"):
        shapes().names()


def test_two_distributions_may_not_install_one_name(install: Install) -> None:
    install("round-shapes", torus="collections:Counter")
    install("other-shapes", torus="collections:deque")

    with pytest.raises(RegistryError, match=r"shapes and .*shapes both install 'torus'"):
        shapes().names()
