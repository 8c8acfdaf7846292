"""An asset is declared once: a faulty declaration fails at load, a sound one works everywhere."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from persona_assets.assets import graph
from persona_assets.assets.model_calls import open_session
from persona_assets.assets.table_asset import DeclarationError, Reads, table_asset
from persona_assets.definitions import build_defs
from persona_assets.planning.plan import make_plan
from persona_assets.project import Project
from persona_assets.registry import Registry
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table
from persona_assets_tests.installed import write_distribution
from persona_assets_tests.sample_project import TEXTS, SampleProject

ROOT = Path(__file__).parents[2]
AIME_SOURCE = (ROOT / "examples" / "new_benchmark" / "aime_accuracy.py").read_text()
SCHEMA = pl.Schema({"sample_id": pl.String(), "persona_id": pl.String()})
ROWS = Table(SCHEMA, "sample_id", "persona_id", makes=True)
AIME = [
    {"problem": f"Find the remainder when {n}! is divided by 1000.", "answer": f"0{n}"}
    for n in (24, 72)
]


def rows() -> StepResult:
    return StepResult(pl.DataFrame(schema=SCHEMA))


Install = Callable[[str, str], None]


@pytest.fixture
def install_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Install:
    """Installs a module of assets, given its name and source, as another package would."""

    def install_source(name: str, source: str) -> None:
        write_distribution(tmp_path, name, "persona_assets.assets", {name: name})
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(graph, "MODULES", Registry("persona_assets.assets", {}))
        monkeypatch.delitem(sys.modules, name, raising=False)

    return install_source


def test_table_asset_without_a_contract_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"letters states no contract: add table=Table\("):
        table_asset(group="datasets", version="1", name="letters")(rows)


@pytest.mark.parametrize("reads", [{"prompts": ["letters"]}, {"settings": ["embedder"]}])
def test_table_asset_that_asks_a_model_without_a_bound_is_refused(reads: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match=r"letters asks a model .* add calls= to its"):
        table_asset(group="datasets", version="1", name="letters", table=ROWS, **reads)(rows)


def test_table_with_a_row_id_that_is_no_column_is_refused() -> None:
    with pytest.raises(ValueError, match="the contract names letter_id, which its schema lacks"):
        Table(SCHEMA, "letter_id")


def test_plain_dagster_asset_in_a_module_of_assets_fails_at_load(
    finished: SampleProject, install_module: Install
) -> None:
    install_module("plain", "import dagster as dg\n\n@dg.asset\ndef letters(): ...\n")
    with pytest.raises(DeclarationError, match="letters in plain states no contract"):
        build_defs(finished.settings)


def test_asset_with_the_name_of_a_table_of_the_catalog_fails_at_load(
    finished: SampleProject, install_module: Install
) -> None:
    install_module("taken", AIME_SOURCE.replace("def aime_accuracy(", "def lineage("))
    with pytest.raises(DeclarationError, match="lineage is the name of a table of the catalog"):
        build_defs(finished.settings)


def test_asset_with_the_name_of_another_fails_at_load(
    finished: SampleProject, install_module: Install
) -> None:
    install_module("twin", AIME_SOURCE.replace("def aime_accuracy(", "def math_accuracy("))
    with pytest.raises(DeclarationError, match="two assets are named math_accuracy"):
        build_defs(finished.settings)


BOUND = "    calls=lambda bounds: accuracy_calls(bounds, PROBLEMS),\n"
CONTRACT = '    table=Table(steps.ACCURACY, "training_size", aggregates=True),\n'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["equality",', '["equalities",', "aime_accuracy reads an unknown setting equalities"),
        ("accuracy_calls(bounds, PROBLEMS)", 'bounds.rows("math_train")', "add rows= to its"),
        (BOUND, "", "aime_accuracy asks a model and states no bound on its calls: add calls="),
        (CONTRACT, "", "aime_accuracy states no contract: add table="),
        ("data/benchmarks/aime.jsonl", "nowhere.jsonl", "aime_accuracy reads nowhere.jsonl, which"),
    ],
)
def test_asset_with_a_faulty_declaration_fails_at_load(
    finished: SampleProject, install_module: Install, old: str, new: str, message: str
) -> None:
    assert old in AIME_SOURCE
    sample = str(ROOT / "data" / "benchmarks" / "sample.jsonl")
    source = AIME_SOURCE.replace(old, new).replace("data/benchmarks/aime.jsonl", sample)
    install_module("faulty", source)
    with pytest.raises(ValueError, match=message):
        build_defs(finished.settings)


def test_tables_of_a_judge_have_another_version_and_those_without_one_stay(
    fresh: SampleProject,
) -> None:
    compares = Reads("7", settings=("equality",), earlier=("6",))
    judged = Project(fresh.settings)
    assert compares.versions(judged) == ("7.3", "7", "6")
    assert Reads("7").versions(judged) == ("7",)
    fresh.values["equality"] = "math_verify"
    assert compares.versions(Project(fresh.settings)) == ("7", "6")


def test_session_is_refused_to_an_asset_that_declares_no_prompt(fresh: SampleProject) -> None:
    def letters(context: dg.AssetExecutionContext, models: dg.ResourceParam[Any]) -> StepResult:
        with open_session(context, models):
            return rows()

    declared = table_asset(group="datasets", version="1", table=ROWS)(letters)
    asset = declared.versioned(Project(fresh.settings)).definition
    resources = fresh.defs.resources or {}
    with pytest.raises(DeclarationError, match=r"letters opens a session .* declares no prompt"):
        dg.materialize([asset], resources=dict(resources))


def test_report_of_the_page_on_extending_works(
    project: SampleProject, install_module: Install
) -> None:
    page = (ROOT / "docs" / "extending.md").read_text()
    source = page.partition('```python\n"""Group `analysis`')[2].partition("```")[0]
    install_module("hop_report", f'"""Group `analysis`{source}')
    assert [run.error for run in project.run("key:hop_report")] == [""]
    report = project.rows("hop_report")
    personas = [project.rows("persona_candidates", shard) for shard in TEXTS]
    assert report["personas"].sum() == sum(len(rows) for rows in personas)
    assert report["kept"].sum() == sum(rows["kept"].sum() for rows in personas)
    assert report["hop"].to_list() == sorted(set(report["hop"]))


def test_new_accuracy_in_one_file_works_in_every_part(
    project: SampleProject, install_module: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_module("aime_accuracy", AIME_SOURCE)
    monkeypatch.chdir(project.root)
    file = project.root / "data" / "benchmarks" / "aime.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in AIME))

    # Status: missing at each training size, and nothing else is stale.
    assert {name: reason for work in project.stale() for name, reason in work.reasons.items()} == {
        "aime_accuracy": "missing"
    }
    # Plan: bounded by 30 problems at each of two sizes, with verdicts by no judge.
    with project.runner() as runner:
        [forecast] = make_plan(Project(project.settings), runner).assets
    assert (forecast.asset, forecast.tables) == ("aime_accuracy", 2)
    assert forecast.most is not None

    assert [run.error for run in project.run()] == ["", ""]
    table = project.rows("aime_accuracy", "3")
    assert table["benchmark"].to_list() == ["aime"]
    assert table["n"].to_list() == [2]
    assert sorted(result["expected"] for result in table["results"][0]) == ["24", "72"]

    # Catalog: a view, the calls in `usage`, and a place downstream of the texts it was trained on.
    catalog = project.catalog
    assert len(catalog.query("SELECT * FROM aime_accuracy")) == 2
    calls = catalog.query("SELECT sum(calls) AS n FROM usage WHERE asset = 'aime_accuracy'")
    assert calls["n"].item() > 0
    affected = [
        catalog.query("SELECT DISTINCT asset FROM affected_by(?)", [text_id])["asset"].to_list()
        for shard in TEXTS
        for text_id in project.rows("raw_corpus", shard)["text_id"]
    ]
    assert any("aime_accuracy" in assets for assets in affected)
    assert all(("aime_accuracy" in assets) == ("math_accuracy" in assets) for assets in affected)
    assert project.stale() == []

    # An edit of the problems makes this asset stale and no other.
    file.write_text(json.dumps(AIME[0]) + "\n")
    assert {name for work in project.stale() for name in work.reasons} == {"aime_accuracy"}
