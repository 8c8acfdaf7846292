"""Transport over the provider's Batch API: calls in files, cheaper responses within a day.

    batch_transport.py   transport: writes calls into input files and runs the thread
    batch_steps.py       state machine: next step of each open batch
    batch_queue.py       open batches: changes of their states, splits
    open_batch.py        an open batch and the time of its next step
    batch_files.py       files on disk
    batch_api.py         requests to the provider
    batch_results.py     results of a finished batch
    pending_requests.py  requests without a record, and the way of their records to the reader
    stop_token.py        permission of the thread to go on

A run may end at any instant, in any way: the next run over the same journal finds its batches at
the provider, by name, and continues. No request is sent twice that may be answered, and no result
is lost.
"""

from persona_assets.generation.batch.batch_transport import (
    MOST_BYTES,
    MOST_REQUESTS,
    BatchTransport,
)

__all__ = ["MOST_BYTES", "MOST_REQUESTS", "BatchTransport"]
