"""The provider's Batch API as a transport: calls in files, answers within a day, for less money.

    batches.py     takes calls and lets a thread work
    steps.py       takes each batch on, step by step
    open_batch.py  a batch that has not ended, and when to go on with it
    results.py     what came out of a batch
    landing.py     who waits for what; records on their way to disk and out
    files.py       what is on disk
    api.py         what is at the provider
    turn.py        the thread's leave to act

A run may end at any instant, in any way: the next one over the same journal finds what is at the
provider, by name, and goes on. Nothing is sent twice that may be answered, and nothing is lost.
"""

from persona_assets.generation.batch.batch_transport import (
    MOST_BYTES,
    MOST_REQUESTS,
    BatchTransport,
)

__all__ = ["MOST_BYTES", "MOST_REQUESTS", "BatchTransport"]
