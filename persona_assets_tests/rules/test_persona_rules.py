"""Installed packages add persona rules by entry point: after the built-in rules, in the version."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from persona_assets.persona_rules import GROUP, RULES, PersonaRule
from persona_assets.registry import Registry, RegistryError
from persona_assets.rules import BUILTIN_PERSONA as BUILTIN
from persona_assets.steps.quality import VERSION, rejection_reason, rules_version
from persona_assets_tests.installed import write_distribution
from persona_assets_tests.steps.answers_double import ROOT

PROGRAM = Path(__file__).parent / "programs" / "judge_related_personas.py"
DOG = "A border collie that herds sheep in the hills"

Install = Callable[..., Registry[PersonaRule]]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs rules of `relation_rules` by name, and reads all rules."""
    monkeypatch.syspath_prepend(tmp_path)

    def install_rules(**functions: str) -> Registry[PersonaRule]:
        module = "persona_assets_tests.rules.relation_rules"
        points = {name: f"{module}:{rule}" for name, rule in functions.items()}
        write_distribution(tmp_path, "relation-rules", GROUP, points)
        return Registry(GROUP, BUILTIN)

    return install_rules


def test_version_of_the_built_in_rules_is_the_plain_version() -> None:
    assert rules_version(Registry(GROUP, BUILTIN)) == VERSION == "2"
    assert RULES.names()[: len(BUILTIN)] == list(BUILTIN)


def test_installed_rule_rejects_by_relation_under_its_own_name(install: Install) -> None:
    rules = install(no_pets="is_pet")
    assert rejection_reason(DOG, relation="pet", hop=1, rules=rules) == "no_pets"
    assert rejection_reason(DOG, relation="colleague", hop=1, rules=rules) is None


def test_installed_rule_sees_hop_and_language(install: Install) -> None:
    rules = install(near="is_remote_stranger")
    assert rejection_reason(DOG, hop=6, rules=rules) == "near"
    assert rejection_reason(DOG, hop=6, language="en", rules=rules) is None
    assert rejection_reason(DOG, hop=5, rules=rules) is None


def test_built_in_rules_precede_installed_rules(install: Install) -> None:
    rules = install(a_rule_that_sorts_first="is_pet")
    assert rejection_reason("Dog", relation="pet", hop=1, rules=rules) == "too_short"


def test_names_of_installed_rules_are_part_of_the_version(install: Install) -> None:
    rules = install(no_pets="is_pet", near="is_remote_stranger")
    assert rules_version(rules) == f"{VERSION}+near+no_pets"


def test_installed_rule_that_cannot_be_imported_is_named(install: Install) -> None:
    rules = install(no_pets="no_such_rule")
    with pytest.raises(RegistryError, match=r"'no_pets' .* installed by relation-rules"):
        rejection_reason(DOG, rules=rules)


def test_installed_rule_rejects_candidates_and_stops_their_expansion(
    install: Install, tmp_path: Path
) -> None:
    install(no_pets="is_pet")
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    printed = subprocess.check_output([sys.executable, PROGRAM], text=True, env=environment)
    assert json.loads(printed) == {
        "version": f"{VERSION}+no_pets",
        "reasons": {"pet": "no_pets", "colleague": None},
        "expanded": ["colleague"],
    }
