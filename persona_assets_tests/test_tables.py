import polars as pl
import pytest

from persona_assets.assets.graph import table_contracts
from persona_assets.definitions import build_defs
from persona_assets.settings import Settings
from persona_assets_tests.steps.answers_double import PROMPTS, ROOT

TABLES = table_contracts(PROMPTS)


def test_every_asset_has_a_contract_and_every_contract_an_asset() -> None:
    settings = Settings.load(
        prompts=ROOT / "prompts", benchmark=ROOT / "data/benchmarks/sample.jsonl"
    )
    keys = {spec.key.to_user_string() for spec in build_defs(settings).resolve_all_asset_specs()}
    assert keys == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_ids_and_links_are_columns(name: str) -> None:
    table = TABLES[name]
    linked = [table.row_id, *table.key, *([table.parent] if table.parent else [])]
    assert set(linked) <= set(table.schema)
    if table.makes:
        assert table.schema[table.row_id] == pl.String()


def test_links_lead_back_from_every_row_to_its_text() -> None:
    links = {name: table.parent for name, table in TABLES.items() if table.makes}
    rounds = [f"hop_{number}_personas" for number in range(1, 7)]
    personas = dict.fromkeys(["text_personas", *rounds], "parent_id")
    datasets = dict.fromkeys(PROMPTS.tasks, "persona_id")
    assert links == {
        "raw_corpus": None,
        **personas,
        **datasets,
        "math_solutions": "sample_id",
    }


def test_a_row_that_a_model_made_says_which_and_by_which_call() -> None:
    made = [name for name, table in TABLES.items() if table.makes and name != "raw_corpus"]
    assert len(made) == 1 + 6 + len(PROMPTS.tasks) + 1
    for name in made:
        assert {"model", "completion_id", "licence"} <= set(TABLES[name].schema)


def test_a_dataset_has_the_fields_of_its_prompt() -> None:
    for name, prompt in PROMPTS.tasks.items():
        assert set(prompt.head.output) < set(TABLES[name].schema)
        assert TABLES[name].key == ("sample_id",)
    # One pair may lie in two buckets.
    assert TABLES["diversity_report"].key == ("panel", "bucket", "pair_id")
