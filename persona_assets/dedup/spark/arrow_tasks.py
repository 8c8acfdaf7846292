"""Tasks of the join on Spark: functions that `mapInArrow` runs on the executors.

Belongs here: functions from an iterator of record batches to an iterator of record batches. Does
not belong here: anything that needs a Spark session. Docstrings name the columns of input and
output as (column, ...).
"""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pyarrow as pa

from persona_assets.dedup.kernels.compile import Array
from persona_assets.dedup.lexical.distinct_sets import empty_summary
from persona_assets.dedup.lexical.partenum import (
    CLASS_MASK,
    emit_set_keys,
    empty_sums,
    redistributed_keys,
    scheme_of,
)
from persona_assets.dedup.lexical.verification import verify_pairs
from persona_assets.dedup.spark.arrow_batches import (
    BLOCK,
    Batches,
    binary_array,
    bytes_and_offsets,
    padded_texts,
    partition_blocks,
    signed_array,
    unsigned_column,
)
from persona_assets.dedup.spark.spark_kernels import compare_entries, write_sets
from persona_assets.dedup.text.folding import fold_texts, text_buffers
from persona_assets.dedup.text.word_hashes import empty_words


def describe_sets(batches: Batches, threshold: Fraction) -> Batches:
    """Compute the word set of each text: (tag, row, keys, text) from (row, text).

    `keys` is the number of keys of the set, and `text` its words in a fixed order.
    """
    scheme = scheme_of(threshold)
    for batch in batches:
        count = batch.num_rows
        folded = fold_texts(text_buffers(batch.column("text")), np.arange(count))
        text, offsets = np.empty(len(folded.data), np.uint8), np.zeros(count + 1, np.int64)
        tags, keys = np.empty(count, np.uint64), np.empty(count, np.int32)
        words = empty_words(folded.longest())
        write_sets(*folded, words, scheme, text, offsets, tags, keys)
        columns = [signed_array(tags), batch.column("row"), pa.array(keys)]
        columns.append(binary_array(text, offsets))
        yield pa.record_batch(columns, ["tag", "row", "keys", "text"])


def emit_keys(batches: Batches, threshold: Fraction, partitions: int) -> Batches:
    """Emit the keys of each set: blocks of entries (key, tag) from (tag, text, keys)."""
    scheme = scheme_of(threshold)

    def entries() -> Iterator[Array]:
        for batch in batches:
            texts = padded_texts(batch.column("text"))
            count, total = batch.num_rows, int(batch.column("keys").to_numpy().sum())
            longest = texts.longest()
            words, sums, summary = (
                empty_words(longest),
                empty_sums(longest, scheme),
                empty_summary(count),
            )
            keys, rows = np.empty(total, np.uint64), np.empty(total, np.uint32)
            counted = np.zeros(1, np.int64)
            emit_set_keys(*texts, 0, 0, scheme, words, sums, summary, keys, rows, counted)
            yield np.column_stack((keys, unsigned_column(batch, "tag")[rows]))

    return partition_blocks(entries(), partitions)


def redistribute_entries(
    batches: Batches, threshold: Fraction, salt: int, partitions: int
) -> Batches:
    """Split large buckets by keys with other hashes.

    Emits blocks of entries (key, tag, size) from (tag, key, size, text), where `size` is the number
    of sets in the large bucket. The salt differs in each round, so that the new keys do, too.
    """
    scheme = scheme_of(threshold)

    def entries() -> Iterator[Array]:
        for batch in batches:
            texts = padded_texts(batch.column("text"))
            keys, tags, sizes = (unsigned_column(batch, name) for name in ("key", "tag", "size"))
            parts = scheme.parts[(keys & np.uint64(CLASS_MASK)).astype(np.int64)]
            words, sums = empty_words(texts.longest()), np.empty(parts.max(), np.uint64)
            new_keys = np.empty(parts.sum(), np.uint64)
            redistributed_keys(keys, *texts, scheme, salt, words, sums, new_keys)
            yield np.column_stack((new_keys, np.repeat(tags, parts), np.repeat(sizes, parts)))

    return partition_blocks(entries(), partitions)


def emit_candidates(batches: Batches, threshold: Fraction, hot: int | None, width: int) -> Batches:
    """Find the candidate pairs of a partition of entries, and its buckets that are too large.

    Output rows are (null, tag, other) for a candidate pair of tags, and (key, tag, size) for each
    set of a bucket that must be split again; `size` is in the column `other`.

    Args:
        batches: Blocks of entries: (key, tag), or after a split (key, tag, size of the bucket that
            was split).
        threshold: Jaccard threshold.
        hot: Number of sets above which a bucket is split again; None to compare every bucket.
        width: Numbers per entry, 2 or 3.
    """
    pieces = [bytes_and_offsets(batch.column("entries"))[0].view(np.uint64) for batch in batches]
    if not pieces:
        return
    entries = np.concatenate(pieces).reshape(-1, width)
    pieces.clear()
    entries = entries[np.argsort(entries[:, 0], kind="stable")]
    keys, tags = np.ascontiguousarray(entries[:, 0]), np.ascontiguousarray(entries[:, 1])
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    sizes = np.diff(np.append(starts, len(keys)))
    split = np.zeros(len(starts), np.bool_)
    if hot is not None:
        split = sizes > hot
    if width == 3:
        # If most sets of a bucket stay together after a split, another split will not part them.
        split &= sizes <= entries[starts, 2].view(np.int64) // 2
    stops = np.repeat(np.where(split, 0, starts + sizes), sizes)
    capacity = max(1 << 16, int(sizes.max()))
    done, counted = 0, np.zeros(1, np.int64)
    while done < len(keys):
        pairs = np.empty((2, capacity), np.uint64)
        done = compare_entries(keys, tags, stops, scheme_of(threshold).parts, done, pairs, counted)
        if counted[0]:
            lower, higher = pairs[:, : counted[0]]
            yield _candidate_batch(pa.nulls(len(lower), pa.int64()), lower, higher)
    to_split = np.flatnonzero(stops == 0)
    sizes = np.repeat(sizes, sizes)
    for start in range(0, len(to_split), BLOCK):
        rows = to_split[start : start + BLOCK]
        yield _candidate_batch(signed_array(keys[rows]), tags[rows], sizes[rows])


def _candidate_batch(key: pa.Array, tag: Array, other: Array) -> pa.RecordBatch:
    return pa.record_batch([key, signed_array(tag), signed_array(other)], ["key", "tag", "other"])


def verify_candidates(batches: Batches, threshold: Fraction) -> Batches:
    """Keep the pairs that reach the threshold.

    Emits (left, right, similarity) from (left, right, left_text, right_text).
    """
    scheme = scheme_of(threshold)
    for batch in batches:
        count = batch.num_rows
        texts = pa.concat_arrays([batch.column("left_text"), batch.column("right_text")])
        rows, similarity = np.arange(2 * count), np.empty(count)
        verify_pairs(padded_texts(texts), rows[:count], rows[count:], scheme, similarity)
        similar = similarity >= 0
        left, right = (batch.column(name).to_numpy()[similar] for name in ("left", "right"))
        columns = (np.minimum(left, right), np.maximum(left, right), similarity[similar])
        yield pa.record_batch(list(map(pa.array, columns)), ["left", "right", "similarity"])
