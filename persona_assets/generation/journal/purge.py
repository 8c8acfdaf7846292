"""Purge of completions: responses that nothing asks for any more go, and their accounts stay."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.completion_row import CompletionRow
from persona_assets.generation.journal.completion_store import CompletionStore, CompletionWriter
from persona_assets.generation.journal.journal import acquire_lease, compact
from persona_assets.storage.files import sync

PURGED = "purged"
"""Error code of a record without its response: it settles no call, so that a call whose key comes
back is sent and paid for again."""


def purge(journal: Path, completions: Path, keep: Collection[str]) -> int:
    """Remove the responses and error messages of a table's calls, apart from those to keep.

    Each record stays, with its time, model, tokens and cost. A crash leaves the old file or the new
    one, and the same call again ends the work.

    Args:
        journal: Journal of the table, not open; its records move to `completions` first.
        completions: Completions file of the table.
        keep: Keys of the calls to keep.

    Returns:
        Number of responses removed.

    Raises:
        JournalBusy: A run holds the journal.
        JournalCorrupt: The journal or the completions file is damaged.
        OSError: The disk is full, or another error of the file system.
    """
    compact(journal, completions)
    lease = acquire_lease(journal)
    try:
        # Bytes of a response that a crash cut short.
        Path(f"{journal}.torn").unlink(missing_ok=True)
        return _rewrite(completions, keep) if completions.exists() else 0
    finally:
        lease.close()


def _rewrite(completions: Path, keep: Collection[str]) -> int:
    scratch = completions.with_name(f".{completions.name}.tmp")
    removed = 0
    try:
        with CompletionStore(completions) as store, CompletionWriter(scratch) as writer:
            for record in store.records():
                kept = record if record.key in keep else _without_response(record)
                removed += kept != record
                writer.add(CompletionRow.from_record(kept, kept.to_line()))
        if removed:
            sync(scratch)
            scratch.replace(completions)
            sync(completions.parent)
    finally:
        scratch.unlink(missing_ok=True)
    return removed


def _without_response(record: CallRecord) -> CallRecord:
    code = PURGED if record.error is None else record.error.get("code") or "unknown"
    body = {"usage": record.usage} if record.usage else None
    return replace(record, body=body, error={"code": code})
