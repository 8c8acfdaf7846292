"""Texts of a shard from the records of its corpus file: cleaned, cut to length, kept once.

Does not belong here: files, formats and the fields of an object (`readers/`).
"""

import re
from collections.abc import Collection, Iterable

import polars as pl

from persona_assets.ids import text_content, text_id
from persona_assets.readers import BadRecord, TextRecord
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "1"
"""Version of this step's results; part of the asset's code version."""

STAGE = "raw_corpus"
"""Stage of the dropped records in the quarantine."""

WITHDRAWN = "withdrawn"
"""Reason of a text that somebody withdrew."""

SCHEMA = pl.Schema(
    {
        "text_id": pl.String(),
        "text": pl.String(),
        "source": pl.String(),
        "licence": pl.String(),
        "language": pl.String(),
    }
)

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Every match has a fixed length, so that a long run of full stops costs linear time.
_SENTENCE = re.compile(r"[.!?…。！？\n](?:(?<=[。！？\n])|[\"'”’)\]]?(?=\s))")
_WORD = re.compile(r"\S(?=\s)")


def clean_text(text: str) -> str:
    """Make a text fit for a table: no NUL, lone surrogates as U+FFFD, outer white space stripped.

    Example:
        >>> clean_text(" a\\0b\\n")
        'ab'
    """
    return _LONE_SURROGATE.sub("\ufffd", text.replace("\0", "")).strip()


def cut_text(text: str, max_chars: int) -> str:
    """Cut a text to at most `max_chars` characters from its start.

    The cut follows the last sentence or line that ends in the second half of `max_chars`, else the
    last word that ends there, else it is at `max_chars` itself.

    Example:
        >>> cut_text("One two three. Four five", 20)
        'One two three.'
    """
    if len(text) <= max_chars:
        return text
    for unit in (_SENTENCE, _WORD):
        # The character after `max_chars` is in view, because it decides whether a unit ends there.
        matches = unit.finditer(text, max_chars // 2, max_chars + 1)
        end = max((match.end() for match in matches if match.end() <= max_chars), default=None)
        if end is not None:
            return text[:end].rstrip()
    return text[:max_chars].rstrip()


def build_raw_corpus(
    shard: str,
    records: Iterable[TextRecord | BadRecord],
    *,
    limit: int | None,
    max_chars: int,
    withdrawn: Collection[str] = (),
) -> StepResult:
    """Build the table of a shard's texts, in the order of the file.

    Texts are cleaned and cut; a cut is not a drop. A text that occurred before in the shard, with
    white space normalised and under any source, is dropped as `repeat` under its own text_id. A bad
    record is dropped under `shard#row`. A withdrawn text is dropped as `withdrawn` and counts
    towards the limit, so that no further text, which would be paid for, takes its place.

    Args:
        shard: Shard key.
        records: Records of the corpus file, read lazily.
        limit: Number of kept texts after which reading stops, so that the table samples the start
            of the file; None reads all records.
        max_chars: Length to which texts are cut, in characters.
        withdrawn: Contents of the withdrawn texts; see `ids.text_content`.

    Returns:
        Rows of `SCHEMA`, the dropped records with their reasons, and the withdrawn contents met.

    Raises:
        ValueError: `limit` is negative or `max_chars` is below 1.
    """
    if limit is not None and limit < 0:
        raise ValueError(f"limit must be 0 or more, or None for all texts; it is {limit}")
    if max_chars < 1:
        raise ValueError(f"max_chars must be at least 1; it is {max_chars}")
    kept: list[dict[str, str]] = []
    dropped: list[tuple[str, str]] = []
    seen: set[str] = set()
    met: list[str] = []
    remaining = iter(records)
    while limit is None or len(kept) + len(met) < limit:
        record = next(remaining, None)
        if record is None:
            break
        if isinstance(record, BadRecord):
            dropped.append((f"{shard}#{record.row}", record.reason))
            continue
        text = cut_text(clean_text(record.text), max_chars)
        if not text:
            dropped.append((f"{shard}#{record.row}", "empty_text"))
            continue
        source = clean_text(record.source)
        row_id = text_id(shard, source, text)
        content = text_content(text)
        if content in seen:
            dropped.append((row_id, "repeat"))
            continue
        seen.add(content)
        if content in withdrawn:
            met.append(content)
            dropped.append((row_id, WITHDRAWN))
            continue
        kept.append(
            {
                "text_id": row_id,
                "text": text,
                "source": source,
                "licence": clean_text(record.licence),
                "language": clean_text(record.language),
            }
        )
    return StepResult(
        typed_frame(kept, SCHEMA),
        quarantine(STAGE, dropped),
        rows_in=len(kept) + len(dropped),
        withdrawn=tuple(met),
    )
