"""Every column that the project defines has a description, and no description is left over."""

from persona_assets.assets.graph import project_assets
from persona_assets.column_descriptions import DESCRIPTIONS, EXCEPTIONS, FIELD, describe_column
from persona_assets.project import Project
from persona_assets.settings import Settings
from persona_assets_tests.sample_project import ROOT

SAMPLE = str(ROOT / "data" / "benchmarks" / "sample.jsonl")


def contracts() -> dict[str, list[str]]:
    """Return the columns of all assets of all shipped tasks, with every optional asset."""
    settings = Settings.load(
        profile="current",
        prompts=ROOT / "prompts",
        benchmark=SAMPLE,
        decontaminate=[SAMPLE],
        decontaminate_cosine=0.9,
        decontaminate_judge_from=0.7,
        train_without_personas=True,
        baselines={"other": {"model": "m", "base_url": "http://127.0.0.1:9/v1"}},
    )
    project = Project(settings)
    return {name: asset.table.schema.names() for name, asset in project_assets(project).items()}


def test_descriptions_and_columns_agree() -> None:
    columns = contracts()
    every = {column for names in columns.values() for column in names}
    assert DESCRIPTIONS.keys() - every == set()
    assert [
        (asset, column)
        for asset, column in EXCEPTIONS
        if asset in columns and column not in columns[asset]
    ] == []
    prompts = Project(Settings.load(profile="current", prompts=ROOT / "prompts")).prompts
    fields = {name for task in prompts.tasks.values() for name in task.head.output}
    undescribed = {
        f"{asset}.{column}"
        for asset, names in columns.items()
        for column in names
        if describe_column(asset, column) == FIELD and column not in fields
    }
    assert undescribed == set()


def test_descriptions_are_sentences() -> None:
    for description in (*DESCRIPTIONS.values(), *EXCEPTIONS.values()):
        assert description[0].isupper() or description.startswith("US")
        assert description.endswith(".")
        assert len(description) <= 100
