"""Answers of models to problems with gold answers, from files of several layouts."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from answer_pairs.latex import boxed


def real_answers(paths: Iterable[Path], problems: Path | None) -> Iterator[tuple[str, str]]:
    """Yield gold answers and answers.

    Args:
        paths: JSON lists or JSON lines of objects with a gold answer (`answer`, else `gt`) and an
            answer: `pred` (the first, where it is a list), or the last box in `prediction`.
        problems: JSON list of objects with a `problem` and its `answer`. Rows with another
            `question` are skipped, and the gold answer is the list's.
    """
    golds = {}
    if problems is not None:
        rows = json.loads(problems.read_text(encoding="utf-8"))
        golds = {row["problem"].strip(): row["answer"] for row in rows}
    for path in paths:
        for row in _rows(path):
            question = row.get("question")
            if golds and question is not None and question.strip() not in golds:
                continue
            gold = golds.get((question or "").strip(), row.get("answer") or row.get("gt"))
            answer = _answer(row)
            if gold and answer:
                yield gold.strip(), answer.strip()


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        yield from json.loads(text)
    else:
        yield from map(json.loads, text.splitlines())


def _answer(row: dict[str, Any]) -> str | None:
    answer = row.get("pred")
    if isinstance(answer, list):
        answer = answer[0] if answer else None
    if answer is None and isinstance(row.get("prediction"), str):
        answer = boxed(row["prediction"])
    return answer if isinstance(answer, str) else None
