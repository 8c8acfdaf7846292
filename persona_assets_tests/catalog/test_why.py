"""`why` lists the tables that kept or dropped a row, and its survivor if it is a duplicate."""

from collections.abc import Iterator, Mapping

import polars as pl
import pytest

from persona_assets.assets.graph import load_assets, table_contracts
from persona_assets.catalog.catalog import Catalog
from persona_assets.steps import corpus, hub, personas
from persona_assets.storage.footer import Footer, Upstream
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame
from persona_assets.storage.storage import Storage
from persona_assets_tests.sample_project import TEXTS, SampleProject
from persona_assets_tests.steps.answers_double import PROMPTS

BIRDS, _ = TEXTS

PERSONAS = {
    "collier": "An old collier who whittles birds from driftwood.",
    "miner": "A retired miner who carves birds and sells them.",
    "carver": "A retired miner who sells birds and carves them.",
    "whittler": "A whittler of gulls who once dug coal.",
    "short": "A nurse.",
    "tailor": "A tailor who mends the sails of racing boats.",
}
"""Personas by id. The survivor of carver is miner; that of miner and whittler is collier."""

SHARD_OF = {name: "b.txt" if name in ("carver", "whittler") else "a.txt" for name in PERSONAS}
LEXICAL = [("carver", "miner", 0.95, "lexical")]
SEMANTIC = [("miner", "collier", 0.93, "semantic"), ("whittler", "collier", 0.91, "semantic")]


def step_results(shard: str) -> Iterator[tuple[str, str | None, StepResult]]:
    """Yield asset, shard and result of each step from a shard's text to its part of the hub."""
    text = {"text_id": f"text of {shard}", "text": "Dear sir"}
    yield "raw_corpus", shard, StepResult(typed_frame([text], corpus.SCHEMA))
    extracted = [
        {"persona_id": name, "parent_id": text["text_id"], "persona": persona}
        for name, persona in PERSONAS.items()
        if SHARD_OF[name] == shard
    ]
    text_personas = typed_frame(extracted, personas.TEXT_PERSONAS)
    dropped = quarantine(
        "text_personas", [(text["text_id"], "refused"), (text["text_id"], "refused")]
    )
    yield "text_personas", shard, StepResult(text_personas, dropped)
    candidates = personas.build_persona_candidates(text_personas, []).rows
    yield "persona_candidates", shard, StepResult(candidates)
    lexical, semantic = (
        pl.DataFrame(rows, schema=hub.DUPLICATES, orient="row") for rows in (LEXICAL, SEMANTIC)
    )
    yield "lexical_duplicates", None, StepResult(lexical)
    survivors = hub.build_lexical_survivors(candidates, lexical)
    yield "lexical_survivors", shard, survivors
    yield "semantic_duplicates", None, StepResult(semantic)
    yield "persona_hub", shard, hub.build_persona_hub(survivors.rows, semantic)


def publish(
    catalog: Catalog, storage: Storage, asset: str, shard: str | None, result: StepResult
) -> None:
    """Publish a result of `step_results`, with the previous asset as its upstream."""
    order = [name for name, _, _ in step_results("a.txt")]
    upstream = [Upstream(asset=name, shard=shard, data_version="v") for name in order]
    previous = tuple(upstream[: order.index(asset)][-1:])
    footer = Footer(
        asset=asset, shard=shard, run_id="r", code_version="c", data_version="v", upstream=previous
    )
    catalog.add(storage.write(result, footer), footer)


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """A catalog of two shards with personas dropped for every reason."""
    storage = Storage(tmp_path_factory.mktemp("it's [1]"))
    catalog = Catalog(storage, table_contracts(load_assets(PROMPTS)))
    for shard in ("a.txt", "b.txt"):
        for asset, table_shard, result in step_results(shard):
            publish(catalog, storage, asset, table_shard, result)
    return catalog


def outcomes(catalog: Catalog, row_id: str) -> list[tuple[object, ...]]:
    """Query `why`, check the columns of text and shard, and return the others."""
    rows = catalog.query("FROM why(?)", [row_id])
    for row in rows.iter_rows(named=True):
        assert row["text"] == PERSONAS[row["row_id"]]
        assert row["survivor_text"] == PERSONAS.get(row["survivor_id"])
        assert row["shard"] in (SHARD_OF[row["row_id"]], None)
    return rows.drop("text", "survivor_text", "shard").rows()


def kept(step: int, row_id: str, *assets: str) -> list[tuple[object, ...]]:
    return [(step, row_id, asset, "kept", None, None, None, None) for asset in assets]


UNFILTERED = ("text_personas", "persona_candidates")
LEXICAL_DROP = ("lexical_survivors", "dropped", "lexical_duplicate", "lexical", "miner", 0.95)
SEMANTIC_DROP = ("persona_hub", "dropped", "semantic_duplicate", "semantic", "collier")


def test_why_lists_every_table_of_a_kept_persona(filtered: Catalog) -> None:
    everywhere = (*UNFILTERED, "lexical_survivors", "persona_hub")
    assert outcomes(filtered, "tailor") == kept(0, "tailor", *everywhere)


def test_why_names_the_reason_of_the_quality_filter(filtered: Catalog) -> None:
    assert outcomes(filtered, "short") == [
        *kept(0, "short", "text_personas"),
        (0, "short", "persona_candidates", "dropped", "too_short", None, None, None),
        (0, "short", "lexical_survivors", "dropped", "quality:too_short", None, None, None),
    ]


def test_why_leads_from_a_semantic_duplicate_to_its_survivor(filtered: Catalog) -> None:
    assert outcomes(filtered, "whittler") == [
        *kept(0, "whittler", *UNFILTERED, "lexical_survivors"),
        (0, "whittler", *SEMANTIC_DROP, 0.91),
        *kept(1, "collier", *UNFILTERED, "lexical_survivors", "persona_hub"),
    ]


def test_why_leads_from_a_lexical_duplicate_to_its_last_survivor(filtered: Catalog) -> None:
    assert outcomes(filtered, "carver") == [
        *kept(0, "carver", *UNFILTERED),
        (0, "carver", *LEXICAL_DROP),
        *kept(1, "miner", *UNFILTERED, "lexical_survivors"),
        (1, "miner", *SEMANTIC_DROP, 0.93),
        *kept(2, "collier", *UNFILTERED, "lexical_survivors", "persona_hub"),
    ]


def test_why_lists_tables_in_the_order_of_the_graph(finished: SampleProject) -> None:
    persona = finished.rows("hop_3_personas", BIRDS)["persona_id"][0]
    rows = finished.catalog.query("SELECT asset, shard, outcome FROM why(?)", [persona])
    assert rows["asset"].to_list() == [
        "hop_3_personas",
        "persona_candidates",
        "lexical_survivors",
        "persona_embeddings",
        "persona_hub",
        "persona_map",
    ]
    assert set(rows["shard"]) == {BIRDS}
    assert set(rows["outcome"]) == {"kept"}


@pytest.mark.parametrize("row_id", ["nobody", "'; DROP TABLE usage; --", ""])
def test_why_of_an_unknown_row_is_empty(filtered: Catalog, row_id: str) -> None:
    assert filtered.query("FROM why(?)", [row_id]).is_empty()


def test_why_lists_a_repeated_drop_once(filtered: Catalog) -> None:
    rows = filtered.query("SELECT asset, outcome, reason, text FROM why('text of a.txt')")
    assert rows.rows() == [
        ("raw_corpus", "kept", None, "Dear sir"),
        ("text_personas", "dropped", "refused", "Dear sir"),
    ]
    assert (
        filtered.query("FROM quarantine WHERE id = 'text of a.txt'").rows()
        == [("text_personas", "a.txt", "text of a.txt", "text_personas", "refused")] * 2
    )


def test_why_uses_the_tables_that_exist(storage: Storage) -> None:
    catalog = Catalog(storage, table_contracts(load_assets(PROMPTS)))
    catalog.rebuild()
    seen: Mapping[str, list[tuple[object, ...]]] = {}
    for asset, table_shard, result in step_results("b.txt"):
        publish(catalog, storage, asset, table_shard, result)
        seen = {**seen, asset: catalog.query("FROM why('carver')").drop("text").rows()}
    lexical_drop = ("dropped", "lexical_duplicate", "lexical", "miner", 0.95, None)
    persona, candidate = (
        (0, "carver", asset, "b.txt", "kept", None, None, None, None, None) for asset in UNFILTERED
    )
    assert seen["raw_corpus"] == []
    assert seen["text_personas"] == [persona]
    assert seen["persona_candidates"] == [persona, candidate]
    duplicate = (0, "carver", "lexical_duplicates", None, *lexical_drop)
    assert seen["lexical_duplicates"] == [persona, candidate, duplicate]
    dropped = (0, "carver", "lexical_survivors", "b.txt", *lexical_drop)
    assert seen["lexical_survivors"] == [persona, candidate, dropped]
    survivor = (
        1,
        "miner",
        "semantic_duplicates",
        None,
        "dropped",
        "semantic_duplicate",
        "semantic",
    )
    survivor_drop = (*survivor, "collier", 0.93, None)
    assert seen["persona_hub"] == [persona, candidate, dropped, survivor_drop]


def test_why_ends_at_survivors_that_name_each_other(storage: Storage) -> None:
    # In tables of different days, a survivor can become the duplicate of its former duplicate.
    catalog = Catalog(storage, table_contracts(load_assets(PROMPTS)))
    for stage, duplicate, survivor in (("lexical", "a", "b"), ("semantic", "b", "a")):
        pairs = pl.DataFrame(
            [(duplicate, survivor, 1.0, stage)], schema=hub.DUPLICATES, orient="row"
        )
        publish(catalog, storage, f"{stage}_duplicates", None, StepResult(pairs))
    rows = catalog.query("SELECT step, row_id, reason, survivor_id FROM why('a')")
    assert rows.rows() == [(0, "a", "lexical_duplicate", "b"), (1, "b", "semantic_duplicate", "a")]
