"""The catalog: what it says of a finished project, and that no one can break it for others."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from persona_assets.footer import Footer, Upstream
from persona_assets.generation import Journal, Record
from persona_assets.generation.journal import compact
from persona_assets.outcome import Outcome, drops, frame
from persona_assets.resources.catalog import Catalog, CatalogError
from persona_assets.resources.storage import Storage
from persona_assets.steps import corpus, hub, personas
from persona_assets.tables import Table, tables
from persona_assets_tests.sample_project import ROOT, TEXTS, SampleProject
from persona_assets_tests.sample_tables import ROWS, TABLES, write
from persona_assets_tests.steps.answers_double import PROMPTS

BIRDS, LETTERS = TEXTS


def contents(catalog: Catalog) -> dict[str, list[tuple[object, ...]]]:
    names = ("materializations", "lineage", "usage", "held", "links", "quarantine")
    return {name: catalog.query(f"FROM {name} ORDER BY ALL").rows() for name in names}


def made_from(finished: SampleProject, text_id: str) -> set[str]:
    """Ids of the rows made from a text, row by row, without the catalog."""
    children = defaultdict[str, set[str]](set)
    for name, table in finished.tables.items():
        for _, footer in finished.storage.footers():
            if footer.asset == name and table.makes and table.parent:
                rows = finished.rows(name, footer.shard).select(table.parent, table.row_id)
                for parent, row in rows.iter_rows():
                    children[parent].add(row)
    found, waiting = {text_id}, [text_id]
    while waiting:
        new = children[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def test_a_solution_is_traced_to_its_text(finished: SampleProject) -> None:
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
def test_what_a_text_affects_reaches_training_sets_and_models(
    finished: SampleProject, shard: str
) -> None:
    trained = set(finished.rows("math_train")["sample_id"])
    problem = next(p for p in finished.rows("math_problems", shard)["sample_id"] if p in trained)
    text_id = finished.catalog.trace(problem)["row_id"][-1]
    found = finished.catalog.query("FROM affected_by(?)", [text_id])
    aggregates = {name for name, table in finished.tables.items() if table.aggregates}
    rows = found.filter(~pl.col("asset").is_in(aggregates))
    assert set(rows["row_id"]) == made_from(finished, text_id)
    assert set(rows["shard"]) == {shard, None}
    assert set(found["asset"]) >= {"raw_corpus", "persona_hub", "tools", "math_train", *aggregates}
    assert len(found) == len(found.unique())


def test_a_text_that_made_nothing_affects_itself_alone(finished: SampleProject) -> None:
    refused = finished.storage.quarantine("text_personas", BIRDS)["id"].item()
    found = finished.catalog.query("FROM affected_by(?)", [refused])
    assert found.rows() == [("raw_corpus", BIRDS, refused)]


def test_usage_is_what_the_endpoint_counted(finished: SampleProject) -> None:
    usage = finished.catalog.usage()
    calls = finished.server.calls
    assert usage["calls"].sum() == calls.total()
    assert usage["tokens"].sum() == 10 * (calls.total() - calls["embeddings"]) + 5 * 4
    of = dict(usage.group_by("asset").agg(pl.col("calls").sum()).iter_rows())
    assert of["text_personas"] == calls["text_to_persona"]
    assert sum(of[f"hop_{n}_personas"] for n in range(1, 7)) == calls["persona_to_persona"]
    assert of["math_solutions"] == calls["math_solution"] + calls["math_program"]
    assert of["tools"] == calls["tools"]


def test_a_rebuilt_catalog_is_the_one_that_grew(finished: SampleProject, tmp_path: Path) -> None:
    rebuilt = finished.catalog
    rebuilt.path = tmp_path / "rebuilt.duckdb"
    assert rebuilt.rebuild() == len(finished.versions())
    assert contents(rebuilt) == contents(finished.catalog)


def test_views_show_the_rows_of_all_shards(finished: SampleProject) -> None:
    for asset, shards in (("persona_hub", list(TEXTS)), ("math_train", [None])):
        rows = sum(len(finished.rows(asset, shard)) for shard in shards)
        found = finished.catalog.query(f"SELECT shard, count(*) AS n FROM {asset} GROUP BY ALL")
        assert found["n"].sum() == rows
        assert set(found["shard"]) == set(shards)


def test_what_a_failed_table_paid_counts(project: SampleProject) -> None:
    project.values["writer"]["concurrency"] = 1
    project.edit("text_to_persona", "# User\n", "Be brief.\n\n# User\n")
    project.server.meets = lambda prompt, message: "401" if "storks" in message else None
    project.storage.path("text_personas", BIRDS).unlink()
    runs = project.run("key:text_personas", [BIRDS])
    assert runs[0].error
    project.catalog.rebuild()
    usage = project.catalog.usage([run.run_id for run in runs])
    assert usage["new_calls"].sum() == project.server.calls.total() == 1
    assert usage.filter(pl.col("new_calls") > 0)["shard"].to_list() == [BIRDS]


@pytest.mark.parametrize(
    "shard",
    ["a b/ü'ñ.jsonl", "x'); DROP TABLE usage; --.txt", "[a]*?.jsonl", '"%_\u202e.txt', "CON.txt"],
)
def test_odd_names_are_only_names(tmp_path: Path, shard: str) -> None:
    storage = Storage(tmp_path / "it's [1] * \u00fc")
    catalog = Catalog(storage, TABLES)
    with Journal(storage.journal("texts", shard)) as journal:
        journal.append(Record("k", 200, {}))
    compact(storage.journal("texts", shard), storage.completions("texts", shard))
    catalog.add(*write(storage, "texts", shard, {"t1": None}))
    catalog.add(*write(storage, "texts", "plain.txt", {"t2": None}))
    paid = catalog.query("SELECT asset, shard, key FROM completions").rows()
    assert paid == [("texts", shard, "k")]
    assert catalog.usage().select("asset", "shard", "calls").rows() == [("texts", shard, 1)]
    catalog.add(*write(storage, "rows", shard, {"r1": "t1"}))
    assert catalog.trace("r1")["row_id"].to_list() == ["r1", "t1"]
    assert catalog.query("SELECT shard FROM texts WHERE id = 't1'")["shard"].to_list() == [shard]
    assert catalog.query("FROM materializations").height == 3
    assert storage.scan("texts", shard).collect().height == 1
    assert catalog.query("SELECT shard FROM why('t1')")["shard"].to_list() == [shard]
    _, footer = write(storage, "texts", shard, {"t1": None})
    rows = storage.scan("texts", shard).collect()
    refused = drops("texts", [("t0", shard)])
    catalog.add(storage.write(Outcome(rows, refused), footer), footer)
    assert catalog.query("FROM quarantine").rows() == [("texts", shard, "t0", "texts", shard)]
    assert catalog.query("SELECT shard, reason FROM why('t0')").rows() == [(shard, shard)]
    grown = contents(catalog)
    catalog.rebuild()
    assert contents(catalog) == grown


@pytest.mark.parametrize("row_id", ["nothing", "'; DROP TABLE usage; --", ""])
def test_an_unknown_row_is_an_error_that_says_so(tmp_path: Path, row_id: str) -> None:
    storage = Storage(tmp_path)
    catalog = Catalog(storage, TABLES)
    with pytest.raises(CatalogError, match="no catalog at"):
        catalog.trace(row_id)
    catalog.rebuild()
    with pytest.raises(CatalogError, match="in the tables"):
        catalog.trace(row_id)
    catalog.add(*write(storage, "texts", "a.txt", {"t": None}))
    with pytest.raises(CatalogError, match="in the tables"):
        catalog.trace(row_id)


def test_a_reader_is_not_disturbed_by_an_update(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    catalog = Catalog(storage, TABLES)
    catalog.add(*write(storage, "texts", "a.txt", {"t1": None}))
    with duckdb.connect(catalog.path, read_only=True) as reader:
        catalog.add(*write(storage, "texts", "b.txt", {"t2": None}))
        catalog.rebuild()
        assert reader.execute("SELECT count(*) FROM materializations").fetchall() == [(1,)]
    assert catalog.query("SELECT count(*) AS n FROM materializations")["n"].item() == 2


def test_a_table_made_again_replaces_what_was_known(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    catalog = Catalog(storage, TABLES)
    for rows in ({"t1": None}, {"t1": None, "t2": None}):
        catalog.add(*write(storage, "texts", "a.txt", rows))
        catalog.add(*write(storage, "rows", "a.txt", dict.fromkeys(["r"], "t1")))
    assert catalog.query("SELECT row_count FROM materializations WHERE asset = 'texts'").rows() == [
        (2,)
    ]
    assert catalog.query("FROM lineage").height == 1


def test_a_view_follows_the_schema_of_its_tables(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    catalog = Catalog(storage, TABLES)
    for shard in ("a.txt", "b.txt"):
        catalog.add(*write(storage, "texts", shard, {f"of {shard}": None}))
    wider = Table(pl.Schema({**ROWS, "tone": pl.String()}), "id", makes=True)
    catalog = Catalog(storage, {**TABLES, "texts": wider})
    tones = "SELECT tone FROM texts ORDER BY id"
    catalog.add(*write(storage, "texts", "a.txt", {"of a.txt": None}, tone="dry"))
    assert catalog.query(tones)["tone"].to_list() == ["dry", None]
    catalog.add(*write(storage, "texts", "b.txt", {"of b.txt": None}, tone="warm"))
    assert catalog.query(tones)["tone"].to_list() == ["dry", "warm"]


def test_a_removed_table_does_not_stop_the_others(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    catalog = Catalog(storage, TABLES)
    path, footer = write(storage, "texts", "a.txt", {"t1": None})
    catalog.add(path, footer)
    path.unlink()
    catalog.add(*write(storage, "rows", "a.txt", {"r": "t1"}))
    assert catalog.trace("r")["row_id"].to_list() == ["r"]


@pytest.mark.parametrize("damage", [b"", b"not a database" * 1000, None])
def test_a_corrupt_catalog_is_an_error_and_a_rebuild_mends_it(
    tmp_path: Path, damage: bytes | None
) -> None:
    storage = Storage(tmp_path)
    catalog = Catalog(storage, TABLES)
    table = write(storage, "texts", "a.txt", {"t1": None})
    catalog.add(*table)
    # Without damage of its own: the tail of a good file is missing.
    catalog.path.write_bytes(catalog.path.read_bytes()[:5000] if damage is None else damage)
    with pytest.raises(CatalogError, match="persona-assets catalog"):
        catalog.trace("t1")
    with pytest.raises(CatalogError, match="persona-assets catalog"):
        catalog.add(*table)
    assert catalog.rebuild() == 1
    assert catalog.trace("t1")["asset"].to_list() == ["texts"]


def test_what_a_killed_writer_left_is_not_taken_up(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    catalog = Catalog(storage, TABLES)
    catalog.add(*write(storage, "texts", "a.txt", {"t1": None}))
    scratch = catalog.path.with_name(f".{catalog.path.name}.tmp")
    scratch.write_bytes(b"half a database")
    scratch.with_name(f"{scratch.name}.wal").write_bytes(b"half a log")
    catalog.add(*write(storage, "texts", "b.txt", {"t2": None}))
    assert catalog.query("FROM materializations").height == 2
    assert [file.name for file in tmp_path.glob(".*")] == []


def test_a_table_that_is_damaged_or_no_table_of_ours_is_named(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    path, _ = write(storage, "texts", "a.txt", {"t1": None})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CatalogError, match=r"a\.txt.* is damaged"):
        Catalog(storage, TABLES).rebuild()
    pl.DataFrame({"x": [1]}).write_parquet(path)
    with pytest.raises(CatalogError, match=r"a\.txt.* is not a table of this project"):
        Catalog(storage, TABLES).rebuild()


def test_an_endpoint_that_counts_oddly_costs_no_table(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    table = write(storage, "texts", "a.txt", {"t1": None})
    with Journal(storage.journal("texts", "a.txt")) as journal:
        for usage in ({"prompt_tokens": "many", "completion_tokens": None}, {"prompt_tokens": 3}):
            journal.append(Record(key=str(usage), status_code=200, body={"usage": usage}))
    catalog = Catalog(storage, TABLES)
    catalog.add(*table)
    assert catalog.usage().rows() == [("texts", "a.txt", 2, 3, 0, None, 2, None)]


def paid_for(storage: Storage) -> None:
    """Answers with and without a cost, an error, and a doubt, over two runs and models."""
    tokens = {"prompt_tokens": 9, "completion_tokens": 5} | {
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    with Journal(storage.journal("texts", "a.txt"), storage.completions("texts", "a.txt")) as it:
        for run, cost in (("r1", Decimal("0.0000000001")), ("r1", None), ("r2", Decimal("1.25"))):
            key = f"{run} {cost}"
            it.append(
                Record(key, 200, {"usage": tokens}, model="m", run_id=run, cost=cost, uncertain=2)
            )
        it.append(
            Record("late", error={"code": "timeout", "message": ""}, model="m", run_id="r2"),
            Record("refused", 400, {}, error={"code": "bad_request", "message": ""}, model="n"),
        )


PAID = [
    ("texts", "a.txt", "m", "r1", 2, 0, 4, 18, 8, 10, 4, Decimal("0.0000000001"), 1),
    ("texts", "a.txt", "m", "r2", 2, 1, 2, 9, 4, 5, 2, Decimal("1.25"), 0),
    ("texts", "a.txt", "n", "", 1, 1, 0, 0, 0, 0, 0, None, 0),
]


def test_what_was_paid_is_counted_once_wherever_it_lies(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    table = write(storage, "texts", "a.txt", {"t1": None})
    paid_for(storage)
    journal, completions = storage.journal("texts", "a.txt"), storage.completions("texts", "a.txt")
    catalog, everything = Catalog(storage, TABLES), "FROM usage ORDER BY ALL"
    line = journal.read_bytes()
    for step in ("live", "compacted", "left in both", "compacted again"):
        if step == "left in both":
            journal.write_bytes(line)
        elif step != "live":
            compact(journal, completions)
        catalog.add(*table)
        assert catalog.query(everything).rows() == PAID, step
        catalog.rebuild()
        assert catalog.query(everything).rows() == PAID, step
    with Journal(journal, completions) as it:
        it.append(Record("new", 200, {}, model="n", cost=Decimal("0.5")))
    catalog.add(*table)
    [more] = catalog.query("FROM usage WHERE model = 'n'").rows()
    assert more == ("texts", "a.txt", "n", "", 2, 1, 0, 0, 0, 0, 0, Decimal("0.5"), 0)


def test_usage_adds_up_dollars_and_says_what_it_does_not_know(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    catalog = Catalog(storage, TABLES)
    paid_for(storage)
    compact(storage.journal("texts", "a.txt"), storage.completions("texts", "a.txt"))
    catalog.add(*write(storage, "texts", "a.txt", {"t1": None}))
    usage = catalog.usage(["r2"])
    assert usage.schema["cost_usd"] == usage.schema["new_cost_usd"] == pl.Decimal(38, 12)
    assert usage.rows(named=True) == [
        {
            "asset": "texts",
            "shard": "a.txt",
            "calls": 5,
            "tokens": 42,
            "new_calls": 2,
            "cost_usd": Decimal("1.2500000001"),
            "unpriced": 1,
            "new_cost_usd": Decimal("1.25"),
        }
    ]
    assert catalog.usage()["new_cost_usd"].to_list() == [None]


def test_a_row_is_joined_to_its_raw_answer(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    schema = pl.Schema({**ROWS, "completion_id": pl.String()})
    tables = {**TABLES, "texts": Table(schema, "id", makes=True), "curve": Table(ROWS, "id")}
    catalog = Catalog(storage, tables)
    catalog.add(*write(storage, "texts", "a.txt", {"t1": None}, completion_id="r2 1.25"))
    assert catalog.query("FROM completions").is_empty()
    empty = catalog.query("DESCRIBE completions").select("column_name", "column_type")
    paid_for(storage)
    compact(storage.journal("texts", "a.txt"), storage.completions("texts", "a.txt"))
    with Journal(storage.journal("curve", None)) as journal:
        journal.append(Record("c", 200, {}))
    compact(storage.journal("curve", None), storage.completions("curve", None))
    catalog.add(*write(storage, "texts", "a.txt", {"t1": None}, completion_id="r2 1.25"))
    catalog.add(*write(storage, "curve", None, {"x": None}))
    joined = catalog.query(
        "SELECT t.id, c.asset, c.shard, c.cost_usd, c.body->>'$.usage.prompt_tokens' AS said "
        "FROM texts t JOIN completions c ON c.key = t.completion_id AND c.shard = t.shard"
    )
    assert joined.rows() == [("t1", "texts", "a.txt", Decimal("1.25"), "9")]
    assert catalog.query("SELECT asset, shard FROM completions WHERE key = 'c'").rows() == [
        ("curve", None)
    ]
    assert catalog.query("SELECT count(*) FROM completions").item() == 6
    full = catalog.query("DESCRIBE completions").select("column_name", "column_type")
    assert full.equals(empty)
    assert full["column_name"].to_list()[:3] == ["asset", "shard", "key"]
    assert "line" not in full["column_name"]


def test_an_asset_may_be_named_as_what_the_catalog_works_with(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    macros = ("chain", "made", "found", "words", "fate", "depth", "place", "lexical", "f")
    names = ("paid", "places", "live", "m", "t", *macros)
    catalog = Catalog(storage, {name: TABLES["texts"] for name in names})
    for name in names:
        with Journal(storage.journal(name, None)) as journal:
            journal.append(Record("k", 200, {}))
        catalog.add(*write(storage, name, None, {f"of {name}": None}))
    catalog.rebuild()
    for name in names:
        row_id = f"of {name}"
        assert catalog.query(f"FROM {name}")["id"].to_list() == [row_id]
        assert catalog.trace(row_id)["asset"].to_list() == [name]
        assert catalog.query("FROM affected_by(?)", [row_id]).rows() == [(name, None, row_id)]
        assert catalog.query("SELECT asset FROM why(?)", [row_id]).rows() == [(name,)]
    assert catalog.usage()["calls"].to_list() == [1] * len(names)


def test_writers_in_many_processes_lose_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "persona_assets_tests.sample_tables", str(tmp_path)]
    writers = [subprocess.Popen([*command, str(number)], cwd=ROOT) for number in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    catalog = Catalog(Storage(tmp_path), TABLES)
    assert catalog.query("FROM materializations").height == 18
    assert catalog.query("FROM texts").height == 18


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


def outcomes(shard: str) -> Iterator[tuple[str, str | None, Outcome]]:
    """Tables from a shard's text to its part of the hub, as the steps make them."""
    text = {"text_id": f"text of {shard}", "text": "Dear sir"}
    yield "raw_corpus", shard, Outcome(frame([text], corpus.SCHEMA))
    said = [
        {"persona_id": name, "parent_id": text["text_id"], "persona": persona}
        for name, persona in SAID.items()
        if SHARD_OF[name] == shard
    ]
    made = frame(said, personas.TEXT_PERSONAS)
    refused = drops("text_personas", [(text["text_id"], "refused"), (text["text_id"], "refused")])
    yield "text_personas", shard, Outcome(made, refused)
    candidates = personas.candidates(made, []).rows
    yield "persona_candidates", shard, Outcome(candidates)
    lexical, semantic = (
        pl.DataFrame(rows, schema=hub.DUPLICATES, orient="row") for rows in (LEXICAL, SEMANTIC)
    )
    yield "lexical_duplicates", None, Outcome(lexical)
    survivors = hub.lexical_survivors(candidates, lexical)
    yield "lexical_survivors", shard, survivors
    yield "semantic_duplicates", None, Outcome(semantic)
    yield "persona_hub", shard, hub.persona_hub(survivors.rows, semantic)


def publish(
    catalog: Catalog, storage: Storage, asset: str, shard: str | None, outcome: Outcome
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
    catalog = Catalog(storage, tables(PROMPTS))
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


def test_why_tells_as_much_as_there_is(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    catalog = Catalog(storage, tables(PROMPTS))
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


def test_survivors_that_name_each_other_end_the_search(tmp_path: Path) -> None:
    """Tables of different days: what was the survivor is now the duplicate."""
    storage = Storage(tmp_path)
    catalog = Catalog(storage, tables(PROMPTS))
    for asset, one, other in (("lexical", "a", "b"), ("semantic", "b", "a")):
        rows = pl.DataFrame([(one, other, 1.0, asset)], schema=hub.DUPLICATES, orient="row")
        publish(catalog, storage, f"{asset}_duplicates", None, Outcome(rows))
    found = catalog.query("SELECT step, row_id, reason, survivor_id FROM why('a')")
    assert found.rows() == [(0, "a", "lexical_duplicate", "b"), (1, "b", "semantic_duplicate", "a")]


def test_what_was_dropped_for_a_table_counts_with_the_table(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    catalog = Catalog(storage, TABLES)
    path, footer = write(storage, "texts", "a.txt", {"t1": None})
    quarantined = storage.path("texts", "a.txt", "quarantine")
    quarantined.unlink()
    catalog.add(path, footer)
    assert catalog.query("FROM quarantine").is_empty()
    dropped = drops("texts", [("t2", "odd")])
    rows = storage.scan("texts", "a.txt").collect()
    catalog.add(storage.write(Outcome(rows, dropped), footer), footer)
    odd = [("texts", "a.txt", "t2", "texts", "odd")]
    assert catalog.query("FROM quarantine").rows() == odd
    # Its table is not yet published, or was removed.
    storage.write(Outcome(rows, dropped), footer.model_copy(update={"shard": "b.txt"})).unlink()
    assert catalog.query("FROM quarantine").rows() == odd
    assert catalog.query("SELECT row_id, outcome FROM why('t2')").rows() == [("t2", "dropped")]
