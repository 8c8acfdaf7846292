"""A shard key is a plain relative path; its file stem is safe and unique in any file system."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.storage.shard_keys import check_shard_key, file_stem


@pytest.mark.parametrize(
    "key",
    [
        "a.jsonl",
        "2023-06/en/0000/en_head.json.gz",
        "notes..v2.txt",
        "with space & <b>.txt",
        "日本/東京.txt",
        "x" * 400,
    ],
)
def test_shard_key_may_be_any_plain_relative_path(key: str) -> None:
    assert check_shard_key(key) == key


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("", "empty"),
        ("a\nb.txt", "control"),
        ("a\0.txt", "control"),
        ("a\x7f.txt", "control"),
        ("a\x85.txt", "control"),
        ("a\u2028.txt", "control"),
        ("a\udcff.txt", "control"),
        ("..", "part"),
        ("../a.txt", "part"),
        ("a/../../b.txt", "part"),
        ("./a.txt", "part"),
        ("a//b.txt", "part"),
        ("a/", "part"),
        ("/etc/passwd", "absolute"),
        ("C:/a.txt", "absolute"),
        ("a\\b.txt", "backslash"),
        ("x" * 401, "400 bytes"),
        ("日" * 134, "400 bytes"),
    ],
)
def test_shard_key_of_another_form_is_refused_with_the_reason(key: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refusal:
        check_shard_key(key)
    assert str(refusal.value).isprintable()


def test_file_stem_is_readable_and_stable() -> None:
    assert re.fullmatch(r"a-b\.jsonl-[0-9a-f]{12}", file_stem("a/b.jsonl"))
    assert file_stem("a/b.jsonl") == file_stem("a/b.jsonl")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.txt", "A.txt"),
        ("a/b", "a-b"),
        ("日", "本"),
        ("caf\u00e9", "cafe\u0301"),
        ("x" * 70, "x" * 71),
        (".a", "a"),
    ],
)
def test_file_stems_of_similar_keys_differ_in_any_case(one: str, other: str) -> None:
    assert file_stem(one).casefold() != file_stem(other).casefold()


@given(st.text(st.characters()))
def test_file_stem_is_a_single_safe_component_for_every_string(key: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,59}-[0-9a-f]{12}", file_stem(key))


@given(st.lists(st.text("aA.-/_é日", max_size=6), unique=True))
def test_file_stems_of_distinct_keys_differ_in_any_case(keys: list[str]) -> None:
    assert len({file_stem(key).casefold() for key in keys}) == len(keys)
