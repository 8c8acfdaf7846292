"""What the catalog says became of a row, and which survivor stands for it."""

from collections.abc import Iterator, Mapping

import polars as pl
import pytest

from persona_assets.assets.graph import table_contracts
from persona_assets.catalog.catalog import Catalog
from persona_assets.steps import corpus, hub, personas
from persona_assets.storage.footer import Footer, Upstream
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame
from persona_assets.storage.storage import Storage
from persona_assets_tests.sample_project import TEXTS, SampleProject
from persona_assets_tests.steps.answers_double import PROMPTS

BIRDS, _ = TEXTS

SAID = {
    "collier": "An old collier who whittles birds from driftwood.",
    "miner": "A retired miner who carves birds and sells them.",
    "carver": "A retired miner who sells birds and carves them.",
    "whittler": "A whittler of gulls who once dug coal.",
    "short": "A nurse.",
    "tailor": "A tailor who mends the sails of racing boats.",
}
"""Personas by their ids. The miner stands for the carver, the collier for miner and whittler."""

SHARD_OF = {name: "b.txt" if name in ("carver", "whittler") else "a.txt" for name in SAID}
LEXICAL = [("carver", "miner", 0.95, "lexical")]
SEMANTIC = [("miner", "collier", 0.93, "semantic"), ("whittler", "collier", 0.91, "semantic")]


def outcomes(shard: str) -> Iterator[tuple[str, str | None, StepResult]]:
    """Tables from a shard's text to its part of the hub, as the steps make them."""
    text = {"text_id": f"text of {shard}", "text": "Dear sir"}
    yield "raw_corpus", shard, StepResult(typed_frame([text], corpus.SCHEMA))
    said = [
        {"persona_id": name, "parent_id": text["text_id"], "persona": persona}
        for name, persona in SAID.items()
        if SHARD_OF[name] == shard
    ]
    made = typed_frame(said, personas.TEXT_PERSONAS)
    refused = quarantine(
        "text_personas", [(text["text_id"], "refused"), (text["text_id"], "refused")]
    )
    yield "text_personas", shard, StepResult(made, refused)
    candidates = personas.build_persona_candidates(made, []).rows
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
    catalog: Catalog, storage: Storage, asset: str, shard: str | None, outcome: StepResult
) -> None:
    """Writes one of the `outcomes`; each is made from the one before it."""
    order = [name for name, _, _ in outcomes("a.txt")]
    upstream = [Upstream(asset=name, shard=shard, data_version="v") for name in order]
    before = tuple(upstream[: order.index(asset)][-1:])
    footer = Footer(
        asset=asset, shard=shard, run_id="r", code_version="c", data_version="v", upstream=before
    )
    catalog.add(storage.write(outcome, footer), footer)


@pytest.fixture(scope="module")
def sifted(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The catalog of two shards in which personas were dropped for every reason."""
    storage = Storage(tmp_path_factory.mktemp("it's [1]"))
    catalog = Catalog(storage, table_contracts(PROMPTS))
    for shard in ("a.txt", "b.txt"):
        for asset, place, outcome in outcomes(shard):
            publish(catalog, storage, asset, place, outcome)
    return catalog


def fates(catalog: Catalog, row_id: str) -> list[tuple[object, ...]]:
    """What became of a row, with what it says checked and left out."""
    found = catalog.query("FROM why(?)", [row_id])
    for row in found.iter_rows(named=True):
        assert row["text"] == SAID[row["row_id"]]
        assert row["survivor_text"] == SAID.get(row["survivor_id"])
        assert row["shard"] in (SHARD_OF[row["row_id"]], None)
    return found.drop("text", "survivor_text", "shard").rows()


def kept(step: int, row_id: str, *assets: str) -> list[tuple[object, ...]]:
    return [(step, row_id, asset, "kept", None, None, None, None) for asset in assets]


MADE = ("text_personas", "persona_candidates")
BY_WORDS = ("lexical_survivors", "dropped", "lexical_duplicate", "lexical", "miner", 0.95)
BY_MEANING = ("persona_hub", "dropped", "semantic_duplicate", "semantic", "collier")


def test_why_a_persona_is_in_the_hub(sifted: Catalog) -> None:
    everywhere = (*MADE, "lexical_survivors", "persona_hub")
    assert fates(sifted, "tailor") == kept(0, "tailor", *everywhere)


def test_why_the_quality_filter_dropped_a_persona(sifted: Catalog) -> None:
    assert fates(sifted, "short") == [
        *kept(0, "short", "text_personas"),
        (0, "short", "persona_candidates", "dropped", "too_short", None, None, None),
        (0, "short", "lexical_survivors", "dropped", "quality:too_short", None, None, None),
    ]


def test_why_a_semantic_duplicate_went_and_who_stands_for_it(sifted: Catalog) -> None:
    assert fates(sifted, "whittler") == [
        *kept(0, "whittler", *MADE, "lexical_survivors"),
        (0, "whittler", *BY_MEANING, 0.91),
        *kept(1, "collier", *MADE, "lexical_survivors", "persona_hub"),
    ]


def test_a_lexical_duplicate_is_followed_to_the_survivor_of_its_survivor(sifted: Catalog) -> None:
    assert fates(sifted, "carver") == [
        *kept(0, "carver", *MADE),
        (0, "carver", *BY_WORDS),
        *kept(1, "miner", *MADE, "lexical_survivors"),
        (1, "miner", *BY_MEANING, 0.93),
        *kept(2, "collier", *MADE, "lexical_survivors", "persona_hub"),
    ]


def test_what_became_of_a_row_is_told_in_the_order_of_the_graph(finished: SampleProject) -> None:
    persona = finished.rows("hop_3_personas", BIRDS)["persona_id"][0]
    found = finished.catalog.query("SELECT asset, shard, outcome FROM why(?)", [persona])
    assert found["asset"].to_list() == [
        "hop_3_personas",
        "persona_candidates",
        "lexical_survivors",
        "persona_embeddings",
        "persona_hub",
    ]
    assert set(found["shard"]) == {BIRDS}
    assert set(found["outcome"]) == {"kept"}


@pytest.mark.parametrize("row_id", ["nobody", "'; DROP TABLE usage; --", ""])
def test_nothing_became_of_an_unknown_row(sifted: Catalog, row_id: str) -> None:
    assert sifted.query("FROM why(?)", [row_id]).is_empty()


def test_what_happened_to_a_text_twice_is_told_once(sifted: Catalog) -> None:
    found = sifted.query("SELECT asset, outcome, reason, text FROM why('text of a.txt')")
    assert found.rows() == [
        ("raw_corpus", "kept", None, "Dear sir"),
        ("text_personas", "dropped", "refused", "Dear sir"),
    ]
    assert (
        sifted.query("FROM quarantine WHERE id = 'text of a.txt'").rows()
        == [("text_personas", "a.txt", "text of a.txt", "text_personas", "refused")] * 2
    )


def test_why_tells_as_much_as_there_is(storage: Storage) -> None:
    catalog = Catalog(storage, table_contracts(PROMPTS))
    catalog.rebuild()
    seen: Mapping[str, list[tuple[object, ...]]] = {}
    for asset, place, outcome in outcomes("b.txt"):
        publish(catalog, storage, asset, place, outcome)
        seen = {**seen, asset: catalog.query("FROM why('carver')").drop("text").rows()}
    by_words = ("dropped", "lexical_duplicate", "lexical", "miner", 0.95, None)
    made, candidate = (
        (0, "carver", asset, "b.txt", "kept", None, None, None, None, None) for asset in MADE
    )
    assert seen["raw_corpus"] == []
    assert seen["text_personas"] == [made]
    assert seen["persona_candidates"] == [made, candidate]
    known = (0, "carver", "lexical_duplicates", None, *by_words)
    assert seen["lexical_duplicates"] == [made, candidate, known]
    dropped = (0, "carver", "lexical_survivors", "b.txt", *by_words)
    assert seen["lexical_survivors"] == [made, candidate, dropped]
    later = (1, "miner", "semantic_duplicates", None, "dropped", "semantic_duplicate", "semantic")
    assert seen["persona_hub"] == [made, candidate, dropped, (*later, "collier", 0.93, None)]


def test_survivors_that_name_each_other_end_the_search(storage: Storage) -> None:
    """Tables of different days: what was the survivor is now the duplicate."""
    catalog = Catalog(storage, table_contracts(PROMPTS))
    for asset, one, other in (("lexical", "a", "b"), ("semantic", "b", "a")):
        rows = pl.DataFrame([(one, other, 1.0, asset)], schema=hub.DUPLICATES, orient="row")
        publish(catalog, storage, f"{asset}_duplicates", None, StepResult(rows))
    found = catalog.query("SELECT step, row_id, reason, survivor_id FROM why('a')")
    assert found.rows() == [(0, "a", "lexical_duplicate", "b"), (1, "b", "semantic_duplicate", "a")]
