"""Copies of a withdrawn text are found in every shard, also where a text was cut."""

from persona_assets.assets.corpus import MAX_CHARS
from persona_assets.catalog.catalog import Catalog
from persona_assets.planning.withdrawal import find_texts
from persona_assets.readers import TextRecord
from persona_assets.steps.corpus import build_raw_corpus
from persona_assets.storage.footer import Footer, data_version
from persona_assets.storage.storage import Storage


def test_copy_of_a_cut_text_with_other_spaces_is_found(storage: Storage, catalog: Catalog) -> None:
    words = [f"word{number}" for number in range(MAX_CHARS // 8)]
    texts = {"a.jsonl": " ".join(words), "b.jsonl": "  \n".join(words), "c.jsonl": "word0 alone"}
    for shard, text in texts.items():
        write_corpus(storage, shard, text)
    first, second, _ = (storage.scan("raw_corpus", shard).collect() for shard in texts)
    assert first["text"].str.len_chars().item() != second["text"].str.len_chars().item()
    found = find_texts(storage, catalog, [first["text_id"].item()])
    assert [text.shard for text in found] == ["a.jsonl", "b.jsonl"]


def write_corpus(storage: Storage, shard: str, text: str) -> None:
    result = build_raw_corpus(
        shard, [TextRecord(1, text, "notes", "CC0-1.0", "en")], limit=None, max_chars=MAX_CHARS
    )
    footer = Footer(
        asset="raw_corpus",
        shard=shard,
        run_id="run",
        code_version="1",
        data_version=data_version(result.rows),
        rows=len(result.rows),
    )
    storage.write(result, footer)
