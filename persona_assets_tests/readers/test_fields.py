"""An object of any known layout becomes a record; own layouts are named by dotted paths."""

import pytest

from persona_assets.readers import BadRecord, TextRecord, field_paths, to_record
from persona_assets.readers.fields import FIELDS

SHARD = "a.jsonl"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"text": "t"}, ("t", f"{SHARD}#3", "unknown", "und")),
        (
            {"text": "t", "source": "s", "licence": "MIT", "language": "fr"},
            ("t", "s", "MIT", "fr"),
        ),
        ({"text": "t", "source": " ", "license": "MIT"}, ("t", f"{SHARD}#3", "MIT", "und")),
        # RedPajama v2, flat and with its meta as a JSON string.
        (
            {"raw_content": "t", "url": "https://a.example/x", "source_domain": "a.example"}
            | {"language": "de"},
            ("t", "https://a.example/x", "unknown", "de"),
        ),
        ({"raw_content": "t", "source_domain": "a.example"}, ("t", "a.example", "unknown", "und")),
        (
            {
                "raw_content": "t",
                "doc_id": "1",
                "meta": '{"url": "https://b.example", "language": "it"}',
            },
            ("t", "https://b.example", "unknown", "it"),
        ),
        ({"raw_content": "t", "meta": "{broken"}, ("t", f"{SHARD}#3", "unknown", "und")),
        ({"raw_content": "t", "meta": "[" * 9999}, ("t", f"{SHARD}#3", "unknown", "und")),
        ({"raw_content": "t", "meta": '{"a":' * 9999}, ("t", f"{SHARD}#3", "unknown", "und")),
        # FineWeb.
        (
            {"text": "t", "id": "<urn:1>", "url": "https://c.example", "dump": "CC-MAIN-2013-20"}
            | {"language": "en", "language_score": 0.9},
            ("t", "https://c.example", "unknown", "en"),
        ),
        ({"text": "t", "id": 17}, ("t", "17", "unknown", "und")),
        ({"text": "t", "id": True, "language": ["en"]}, ("t", f"{SHARD}#3", "unknown", "und")),
        # Dolma.
        (
            {"text": "t", "id": "1", "source": "wiki"}
            | {"metadata": {"license": "CC BY-SA", "language": "en"}},
            ("t", "wiki", "CC BY-SA", "en"),
        ),
    ],
)
def test_record_of_a_known_layout_needs_no_settings(
    data: dict[str, object], expected: tuple[str, str, str, str]
) -> None:
    assert to_record(data, 3, SHARD, FIELDS) == TextRecord(3, *expected)


def test_users_own_field_paths_replace_the_known_paths() -> None:
    paths = field_paths({"text": "body", "source": "page.url", "licence": "rights.name"})
    data = {"text": "not this", "body": "t", "page": {"url": "u"}, "rights.name": "CC0-1.0"}
    assert to_record(data, 1, SHARD, paths) == TextRecord(1, "t", "u", "CC0-1.0", "und")
    missing = to_record({"text": "not this"}, 1, SHARD, paths)
    assert missing == BadRecord(1, "missing_text: no body")


def test_field_path_for_an_unknown_column_is_refused() -> None:
    with pytest.raises(ValueError, match=r"license: choose among .*'licence'"):
        field_paths({"license": "x"})
