"""Purge of the completions of a table that held a withdrawn text, while the table is made again."""

from collections.abc import Collection

from persona_assets.generation.journal.purge import purge
from persona_assets.storage.storage import Storage
from persona_assets.storage.withdrawals import Withdrawal, append_withdrawals


def is_unpurged(storage: Storage, asset: str, shard: str | None) -> bool:
    """Return True if the completions of a table wait to be purged."""
    return (asset, shard) in storage.withdrawals().unpurged


def purge_table(storage: Storage, asset: str, shard: str | None, keep: Collection[str]) -> int:
    """Purge the completions of a table that is about to be written, and note that it is done.

    A crash before the note repeats the purge. A crash after it leaves a table that is stale for its
    inputs, or complete, and every completion that it asks for.

    Args:
        storage: Holds the journal and the completions.
        asset: Asset of the table.
        shard: Shard of the table, if it has shards.
        keep: Keys of the calls that the table asks for.

    Returns:
        Number of responses removed.
    """
    removed = purge(storage.journal(asset, shard), storage.completions(asset, shard), keep)
    done = Withdrawal(event="purged", tables=((asset, shard),))
    append_withdrawals(storage.withdrawn, [done])
    return removed
