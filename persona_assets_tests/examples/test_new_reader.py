"""The example of a new reader turns the messages of a mailbox into texts."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from persona_assets.readers import BadRecord, ShardFile, TextRecord, field_paths

ROOT = Path(__file__).parents[2]
MAILBOX = b"""From ada Mon Jan  5 10:00:00 2026
Message-ID: <first@example.org>
Content-Type: text/plain; charset=utf-8

The bell cracked in the first frost.

From bea Mon Jan  5 11:00:00 2026
Message-ID: <second@example.org>
Content-Type: text/html

<p>No plain text here.</p>

From cai Mon Jan  5 12:00:00 2026
Content-Type: text/plain; charset=no-such-charset

Unreadable.

From dan Mon Jan  5 13:00:00 2026
Content-Type: text/plain

No message id.
"""


@pytest.fixture(scope="module")
def example() -> ModuleType:
    path = ROOT / "examples" / "new_reader" / "mbox_reader.py"
    spec = importlib.util.spec_from_file_location("mbox_reader", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(example: ModuleType, path: Path, limit: int = 8_000) -> list[TextRecord | BadRecord]:
    file = ShardFile("letters.mbox", path, field_paths({}), limit)
    return list(example.MboxReader().read(file))


def test_mbox_reader_yields_a_text_or_a_reason_per_message(
    example: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "letters.mbox"
    path.write_bytes(MAILBOX)
    first, second, third, fourth = read(example, path)
    assert isinstance(first, TextRecord)
    assert (first.text.strip(), first.source) == (
        "The bell cracked in the first frost.",
        "<first@example.org>",
    )
    assert second == BadRecord(2, "missing_text: no text or raw_content")
    assert third == BadRecord(3, "unknown_charset")
    assert isinstance(fourth, TextRecord)
    assert fourth.source == "letters.mbox#4"


def test_mbox_reader_bounds_the_size_of_a_message(example: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "letters.mbox"
    path.write_bytes(MAILBOX)
    assert read(example, path, limit=20)[0] == BadRecord(1, "record_too_large: over 20 bytes")


def test_mbox_reader_of_an_empty_file_yields_nothing(example: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "letters.mbox"
    path.touch()
    assert read(example, path) == []
