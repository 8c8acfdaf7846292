"""Each asset has a table contract, which declares its schema, row id and links."""

import polars as pl
import pytest

from persona_assets.assets.graph import load_assets, table_contracts
from persona_assets.definitions import build_defs
from persona_assets.settings import Settings
from persona_assets_tests.steps.answers_double import PROMPTS, ROOT

TABLES = table_contracts(load_assets(PROMPTS))


def test_table_contracts_are_those_of_the_assets() -> None:
    settings = Settings.load(
        prompts=ROOT / "prompts", benchmark=ROOT / "data/benchmarks/sample.jsonl"
    )
    keys = {spec.key.to_user_string() for spec in build_defs(settings).resolve_all_asset_specs()}
    assert keys == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_table_contract_has_its_ids_and_links_as_columns(name: str) -> None:
    table = TABLES[name]
    columns = [table.row_id, *table.key, *([table.parent] if table.parent else [])]
    assert set(columns) <= set(table.schema)
    if table.makes:
        assert table.schema[table.row_id] == pl.String()


def test_table_contracts_link_each_row_back_to_its_text() -> None:
    links = {name: table.parent for name, table in TABLES.items() if table.makes}
    hops = [f"hop_{number}_personas" for number in range(1, 7)]
    personas = dict.fromkeys(["text_personas", *hops], "parent_id")
    datasets = {
        name: "persona_id" if prompt.head.source == "persona_hub" else "source_id"
        for name, prompt in PROMPTS.tasks.items()
    }
    assert links == {
        "raw_corpus": None,
        **personas,
        **datasets,
        "math_solutions": "sample_id",
    }


def test_table_of_model_answers_has_the_model_and_the_completion() -> None:
    names = [name for name, table in TABLES.items() if table.makes and name != "raw_corpus"]
    assert len(names) == 1 + 6 + len(PROMPTS.tasks) + 1
    for name in names:
        assert {"model", "completion_id", "licence"} <= set(TABLES[name].schema)


def test_dataset_has_the_fields_of_its_prompt_as_columns() -> None:
    for name, prompt in PROMPTS.tasks.items():
        fields = {"opening", "messages"} if prompt.head.turns else set(prompt.head.output)
        assert fields < set(TABLES[name].schema)
        assert TABLES[name].key == ("sample_id",)


def test_diversity_report_identifies_a_row_by_bucket_because_a_pair_may_be_in_two() -> None:
    assert TABLES["diversity_report"].key == ("panel", "bucket", "pair_id")
