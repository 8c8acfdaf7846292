"""`trace` follows a row back to its text; `affected_by` follows it forward to descendants."""

import json
from collections import defaultdict

import polars as pl
import pytest

from persona_assets.catalog.catalog import Catalog, CatalogError
from persona_assets.storage.storage import Storage
from persona_assets_tests.sample_project import TEXTS, SampleProject
from persona_assets_tests.sample_tables import write

BIRDS, LETTERS = TEXTS


def descendants(finished: SampleProject, text_id: str) -> set[str]:
    """Return the ids of a text and all rows made from it, without the catalog."""
    children = defaultdict[str, set[str]](set)
    for name, table in finished.tables.items():
        for _, footer in finished.storage.footers():
            if footer.asset == name and table.makes and table.parent:
                rows = finished.rows(name, footer.shard).select(table.parent, table.row_id)
                for parent, row in rows.iter_rows():
                    children[parent].add(row)
    ids, waiting = {text_id}, [text_id]
    while waiting:
        new = children[waiting.pop()] - ids
        ids |= new
        waiting += new
    return ids


def test_trace_leads_from_a_solution_to_its_text(finished: SampleProject) -> None:
    solution = finished.rows("math_solutions", LETTERS).filter(solver="program").row(0, named=True)
    chain = finished.catalog.trace(solution["solution_id"])
    assets = chain["asset"].to_list()
    assert assets[:2] == ["math_solutions", "math_problems"]
    assert assets[-2:] == ["text_personas", "raw_corpus"]
    assert chain["step"].to_list() == list(range(len(chain)))
    assert chain["row_id"].to_list()[1:] == chain["parent_id"].to_list()[:-1]
    assert chain["parent_id"].to_list()[-1] is None
    contents = [json.loads(content) for content in chain["content"]]
    assert contents[0]["model"] == "solver"
    assert contents[1]["model"] == contents[-2]["model"] == "writer"
    assert contents[-2]["perspective"] == "reads"
    assert all(content["relation"] for content in contents[2:-2])
    assert contents[-1]["text"] == TEXTS[LETTERS][0]
    for row in chain.iter_rows(named=True):
        footer = finished.storage.existing_footer(row["asset"], row["shard"])
        assert row["run_id"] == footer.run_id
        assert json.loads(row["prompt_versions"]) == footer.prompt_versions
    assert set(json.loads(chain["prompt_versions"][0])) == {
        "math_solution",
        "math_program",
        "math_solution@second_solver",
    }


@pytest.mark.parametrize("shard", TEXTS)
def test_affected_by_reaches_training_sets_and_models(finished: SampleProject, shard: str) -> None:
    trained = set(finished.rows("math_train")["sample_id"])
    problem = next(
        sample_id
        for sample_id in finished.rows("math_problems", shard)["sample_id"]
        if sample_id in trained
    )
    text_id = finished.catalog.trace(problem)["row_id"][-1]
    affected = finished.catalog.query("FROM affected_by(?)", [text_id])
    held = set(finished.catalog.query("SELECT DISTINCT asset FROM held")["asset"])
    aggregates = {name for name, table in finished.tables.items() if table.aggregates}
    # Of these, some are made from a draw of rows.
    whole = {name for name in aggregates & held if not finished.tables[name].members}
    rows = affected.filter(~pl.col("asset").is_in(aggregates))
    assert set(rows["row_id"]) == descendants(finished, text_id)
    assert set(rows["shard"]) == {shard, None}
    assert set(affected["asset"]) >= {
        "raw_corpus",
        "persona_hub",
        "tools",
        "math_train",
        *whole,
    }
    assert affected.filter(pl.col("row_id").is_null())["asset"].is_in(aggregates).all()
    assert affected.equals(finished.catalog.affected_by(text_id))
    assert len(affected) == len(affected.unique())


def test_affected_by_a_refused_text_is_the_text_alone(finished: SampleProject) -> None:
    refused = finished.storage.quarantine("text_personas", BIRDS)["id"].item()
    affected = finished.catalog.query("FROM affected_by(?)", [refused])
    assert affected.rows() == [("raw_corpus", BIRDS, refused)]


@pytest.mark.parametrize("row_id", ["nothing", "'; DROP TABLE usage; --", ""])
def test_trace_of_an_unknown_row_is_an_error(
    storage: Storage, catalog: Catalog, row_id: str
) -> None:
    with pytest.raises(CatalogError, match="no catalog at"):
        catalog.trace(row_id)
    catalog.rebuild()
    with pytest.raises(CatalogError, match="in the tables"):
        catalog.trace(row_id)
    catalog.add(*write(storage, "texts", "a.txt", {"t": None}))
    with pytest.raises(CatalogError, match="in the tables"):
        catalog.trace(row_id)
