"""The tasks of the join on Spark: what runs inside `mapInArrow`, over record batches.

What belongs here takes an iterator of record batches, and returns one, without a Spark session.
Docstrings name the columns that come in and go out.
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
from persona_assets.dedup.lexical.verification import verify_pairs as decide
from persona_assets.dedup.spark.arrow_batches import (
    BLOCK,
    Batches,
    binary,
    blocks,
    content,
    signed,
    texts_in,
    unsigned,
)
from persona_assets.dedup.spark.spark_kernels import compare_entries, write_sets
from persona_assets.dedup.text.folding import fold_texts, text_buffers
from persona_assets.dedup.text.word_hashes import empty_words


def describe_sets(batches: Batches, threshold: Fraction) -> Batches:
    """(tag, row, keys, text) of (row, text)."""
    scheme = scheme_of(threshold)
    for batch in batches:
        count = batch.num_rows
        folded = fold_texts(text_buffers(batch.column("text")), np.arange(count))
        text, ends = np.empty(len(folded.data), np.uint8), np.zeros(count + 1, np.int64)
        tags, keys = np.empty(count, np.uint64), np.empty(count, np.int32)
        words = empty_words(folded.longest())
        write_sets(*folded, words, scheme, text, ends, tags, keys)
        columns = [signed(tags), batch.column("row"), pa.array(keys), binary(text, ends)]
        yield pa.record_batch(columns, ["tag", "row", "keys", "text"])


def emit_keys(batches: Batches, threshold: Fraction, partitions: int) -> Batches:
    """Blocks of entries (key, tag) of (tag, text, keys)."""
    scheme = scheme_of(threshold)

    def entries() -> Iterator[Array]:
        for batch in batches:
            texts = texts_in(batch.column("text"))
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
            yield np.column_stack((keys, unsigned(batch, "tag")[rows]))

    return blocks(entries(), partitions)


def redistribute_entries(
    batches: Batches, threshold: Fraction, salt: int, partitions: int
) -> Batches:
    """Blocks of entries (key, tag, size) of (tag, key, size, text), the size being the bucket's."""
    scheme = scheme_of(threshold)

    def entries() -> Iterator[Array]:
        for batch in batches:
            texts = texts_in(batch.column("text"))
            keys, tags, sizes = (unsigned(batch, name) for name in ("key", "tag", "size"))
            parts = scheme.parts[(keys & np.uint64(CLASS_MASK)).astype(np.int64)]
            words, sums = empty_words(texts.longest()), np.empty(parts.max(), np.uint64)
            dealt = np.empty(parts.sum(), np.uint64)
            redistributed_keys(keys, *texts, scheme, salt, words, sums, dealt)
            yield np.column_stack((dealt, np.repeat(tags, parts), np.repeat(sizes, parts)))

    return blocks(entries(), partitions)


def emit_candidates(batches: Batches, threshold: Fraction, hot: int | None, width: int) -> Batches:
    """Candidates (null, tag, tag), and (key, tag, size) of those buckets to be dealt out anew.

    An entry is (key, tag), or (key, tag, size of the bucket that was dealt out).
    """
    pieces = [content(batch.column("entries"))[0].view(np.uint64) for batch in batches]
    if not pieces:
        return
    entries = np.concatenate(pieces).reshape(-1, width)
    pieces.clear()
    entries = entries[np.argsort(entries[:, 0], kind="stable")]
    keys, tags = np.ascontiguousarray(entries[:, 0]), np.ascontiguousarray(entries[:, 1])
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    sizes = np.diff(np.append(starts, len(keys)))
    again = np.zeros(len(starts), np.bool_)
    if hot is not None:
        again = sizes > hot
    if width == 3:
        # Where most of a bucket stays together its sets are alike, however they are dealt out.
        again &= sizes <= entries[starts, 2].view(np.int64) // 2
    stops = np.repeat(np.where(again, 0, starts + sizes), sizes)
    capacity = max(1 << 16, int(sizes.max()))
    done, counted = 0, np.zeros(1, np.int64)
    while done < len(keys):
        found = np.empty((2, capacity), np.uint64)
        done = compare_entries(keys, tags, stops, scheme_of(threshold).parts, done, found, counted)
        if counted[0]:
            one, two = found[:, : counted[0]]
            yield _met(pa.nulls(len(one), pa.int64()), one, two)
    chosen = np.flatnonzero(stops == 0)
    sizes = np.repeat(sizes, sizes)
    for at in range(0, len(chosen), BLOCK):
        rows = chosen[at : at + BLOCK]
        yield _met(signed(keys[rows]), tags[rows], sizes[rows])


def _met(key: pa.Array, one: Array, two: Array) -> pa.RecordBatch:
    return pa.record_batch([key, signed(one), signed(two)], ["key", "one", "two"])


def verify_candidates(batches: Batches, threshold: Fraction) -> Batches:
    """(left, right, similarity) of those pairs that reach the threshold."""
    scheme = scheme_of(threshold)
    for batch in batches:
        count = batch.num_rows
        both = pa.concat_arrays([batch.column("left_text"), batch.column("right_text")])
        rows, similarity = np.arange(2 * count), np.empty(count)
        decide(texts_in(both), rows[:count], rows[count:], scheme, similarity)
        near = similarity >= 0
        left, right = (batch.column(name).to_numpy()[near] for name in ("left", "right"))
        columns = (np.minimum(left, right), np.maximum(left, right), similarity[near])
        yield pa.record_batch(list(map(pa.array, columns)), ["left", "right", "similarity"])
