"""A card names the models behind its rows, whichever table has paid for their answers."""

from dataclasses import replace
from decimal import Decimal

from persona_assets.catalog.catalog import Catalog
from persona_assets.generation import CallRecord, Journal
from persona_assets.generation.journal.journal import compact
from persona_assets.publishing.provenance import ModelFigures, find_models
from persona_assets.storage.storage import Storage
from persona_assets_tests.sample_tables import write


def test_copied_answers_name_their_model_once(storage: Storage, catalog: Catalog) -> None:
    """Copies are all that is left of the answers where the file of a shard was renamed."""
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    paid = [
        CallRecord(key, 200, {"usage": usage}, model="writer", cost=Decimal("0.5"))
        for key in ("first", "second")
    ]
    with Journal(storage.journal("texts", "b.txt")) as journal:
        journal.append(*(replace(record, reused=True) for record in paid))
    compact(storage.journal("texts", "b.txt"), storage.completions("texts", "b.txt"))
    catalog.add(*write(storage, "texts", "b.txt", {"b": None}))
    whole = (ModelFigures("writer", 2, 6, 8, Decimal("1.0")),)
    assert find_models(catalog, ["texts"]) == whole
    with Journal(storage.journal("texts", "a.txt")) as journal:
        journal.append(*paid)
    compact(storage.journal("texts", "a.txt"), storage.completions("texts", "a.txt"))
    catalog.add(*write(storage, "texts", "a.txt", {"a": None}))
    assert find_models(catalog, ["texts"]) == whole
