"""Each file of the zoo gives its texts, and a reason for what cannot be read.

A case is a line of `zoo/cases.jsonl`: the name of the file, its content and the steps that make its
bytes (`zoo/making.py`), then the expected texts, labels (source, licence, language) and bad records
(row, start of the reason).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from persona_assets.readers import BadRecord, TextRecord
from persona_assets.resources.corpus_folder import Corpus
from persona_assets_tests.readers.shard_files import write
from persona_assets_tests.readers.zoo.making import make_bytes

LINES = (Path(__file__).parent / "zoo" / "cases.jsonl").read_text("utf-8").splitlines()
CASES = [json.loads(line) for line in LINES]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_file_gives_its_texts_and_reasons(tmp_path: Path, case: dict[str, Any]) -> None:
    write(tmp_path, case["file"], make_bytes(case["content"], case.get("make", [])))
    corpus = Corpus(tmp_path, case.get("fields", {}), case.get("limit", 8_000_000))
    assert corpus.shards() == [case["file"]]
    records = list(corpus.read(case["file"]))
    good = [record for record in records if isinstance(record, TextRecord)]
    bad = [record for record in records if isinstance(record, BadRecord)]
    expected = [tuple(pair) for pair in case.get("bad", [])]
    found = [
        (record.row, reason if record.reason.startswith(reason) else record.reason)
        for record, (_, reason) in zip(bad, [*expected, *[(0, "\n")] * len(bad)], strict=False)
    ]
    assert ([record.text for record in good], found) == (case["texts"], expected)
    if "labels" in case:
        labels = [[record.source, record.licence, record.language] for record in good]
        assert labels == case["labels"]
    if "rows" in case:
        assert [record.row for record in good] == case["rows"]


def test_cases_have_names_of_their_own() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES) >= 100
