"""The lexical join on Spark, for hubs that no one machine holds: the sets and pairs of `lexical`.

A word set travels as text, each word once and in one order: equal sets are equal texts. Its tag has
64 bits, 40 of parity bitmap and 24 of hash, and says where the set lives: texts are shuffled once,
by tag, and stay there; only keys, and pairs that may be similar, move from then on. Keys travel as
(key, tag) in blocks, 16 bytes each, and where they meet the tags' bitmaps leave few pairs. Sets
that share a tag cost time and change no result: the words decide, in integers.
"""

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, partial, reduce
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

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
    from pyspark.sql import Column, DataFrame, SparkSession

HOT = 1 << 12
"""Sets in a bucket above which fetching their texts and dealing them out anew costs less than
comparing their bitmaps."""

ROUNDS = 5
"""Most times that keys are dealt out: each time a large bucket is halved, or compared as it is."""

PARITY = 40
"""Bits of a tag in which two sets differ in at most as many as in words; the rest is a hash."""

SHARE = 32 << 20
"""Bytes of Parquet for each partition of texts."""

ENTRIES = 1 << 22
"""Keys for each partition of them, which a task holds in memory: 100 bytes each."""

MOST_PARTITIONS = 1 << 16

BLOCK = 1 << 20
"""Rows that a task collects before it hands them on."""

Batches: TypeAlias = Iterator[pa.RecordBatch]
Log: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class Report:
    """What a join did. `shuffle_bytes` are those written, compressed; both mappings are by step."""

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

    Row i of file f has the number f << 32 | i. With `kept`, only rows that are true in that column
    take part; the others count for i all the same. `output` gets two folders of Parquet: `edges`
    (left, right, similarity), the pairs of first rows of different word sets, left < right and each
    pair once; and `repeats` (row, first), the rows whose word set has come before. What was there
    is overwritten.

    Raises TypeError or ValueError for a threshold that is no Fraction, not in (0, 1], or below
    `lexical.LOWEST`; ValueError for a file that is given twice, and for a column that is missing or
    of the wrong type; FileNotFoundError for a file that is not there.
    """
    from pyspark.sql import functions as f

    check_threshold(threshold)
    found = _parquet_files(spark, files)
    homes = _share(sum(file.size for file in found), SHARE, spark)
    session = spark.newSession()
    for name, value in {
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.shuffle.partitions": str(homes),
        "spark.sql.autoBroadcastJoinThreshold": "-1",
        # Cached texts stay where their tags say: no join moves them.
        "spark.sql.optimizer.canChangeCachedPlanOutputPartitioning": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(1 << 16),
        "spark.sql.execution.arrow.maxBytesPerBatch": str(1 << 26),
    }.items():
        session.conf.set(name, value)
    folder = output.rstrip("/")
    steps = _Steps(spark)
    with ExitStack() as stack:
        with steps.step("sets"):
            rows = word_sets(read_rows(session, found, text, kept), threshold, homes).persist()
            stack.callback(rows.unpersist)
            is_first = f.col("row") == f.col("first")
            counted = rows.agg(
                f.count("row"), f.count("text"), f.sum(f.when(is_first, f.col("keys")))
            ).collect()[0]
            repeats = rows.where(~is_first).select("row", "first")
            repeats.write.mode("overwrite").parquet(f"{folder}/repeats")
        keys = counted[2] or 0
        log(f"{counted[0]:,} rows have {counted[1]:,} different word sets and {keys:,} keys")
        sets = rows.where(is_first).select("tag", "row", "text", "keys")
        with steps.step("keys"):
            proposed = candidates(sets, threshold, keys, homes, hot, stack, log).persist()
            stack.callback(proposed.unpersist)
            count = proposed.count()
        log(f"{count:,} pairs may be similar")
        with steps.step("pairs"):
            edges(sets, proposed, threshold).write.mode("overwrite").parquet(f"{folder}/edges")
            pairs = session.read.parquet(f"{folder}/edges").count()
        log(f"{pairs:,} pairs are near-duplicates")
    return Report(counted[0], counted[1], keys, count, pairs, steps.shuffle_bytes, steps.seconds)


def check_threshold(threshold: Fraction) -> None:
    """Raises TypeError or ValueError for a threshold that the join on Spark does not take."""
    check(threshold, "exact")
    if threshold < LOWEST:
        raise ValueError(
            f"on Spark the threshold must be at least {LOWEST}, not {threshold}: below it keys "
            "tell nothing, and the local engine compares all sets instead"
        )


def positions(
    rows: npt.NDArray[np.int64], members: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.int64]:
    """Where rows, given by number, stand among all rows that take part.

    `members[f]` are the rows of file f that take part, by place in the file, ascending. Raises
    ValueError for a number that is not among them.
    """
    order = np.argsort(rows, kind="stable")
    cuts = np.searchsorted(rows[order], np.arange(len(members) + 1) << 32)
    found = np.full(len(rows), -1, np.int64)
    before = 0
    for shard, member in enumerate(members):
        chosen = order[cuts[shard] : cuts[shard + 1]]
        places = np.searchsorted(member, rows[chosen] & 0xFFFFFFFF)
        if np.array_equal(member[places[places < len(member)]], rows[chosen] & 0xFFFFFFFF):
            found[chosen] = before + places
        before += len(member)
    if (found < 0).any():
        raise ValueError("a row number is not that of a row that takes part")
    return found


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
            columns = ", ".join(f"{column} ({found})" for column, found in types.items())
            raise ValueError(f"there must be a column {name!r} of type {wanted} among {columns}")
    if kept is not None:
        table = table.where(f.col(f"`{kept}`"))
    # Local files go by two names.
    names = [
        (shard, name)
        for shard, file in enumerate(files)
        for name in {file.uri, file.uri.replace("file:///", "file:/")}
    ]
    shards = session.createDataFrame(names, "shard long, file string")
    unknown = f.raise_error(f.concat(f.lit("no such file was given: "), "file"))
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


def candidates(
    sets: "DataFrame",
    threshold: Fraction,
    keys: int,
    partitions: int,
    hot: int,
    stack: ExitStack,
    log: Log,
) -> "DataFrame":
    """(one, two): tags of sets that may be similar, one <= two as uint64, each pair once.

    `sets` (tag, text, keys) have that many keys together. Buckets of more than `hot` sets are dealt
    out anew. The result is in partitions by `one`; `stack` frees what it is made from.
    """
    from pyspark.sql import functions as f

    parts = scheme_of(threshold).parts
    shares = _share(keys, ENTRIES, sets.sparkSession, MOST_PARTITIONS)
    blocks = _in_arrow(
        sets.select("tag", "text", "keys"),
        partial(_emit_keys, threshold=threshold, partitions=shares),
        "partition int, entries binary",
    )
    found: list[DataFrame] = []
    for salt in range(1, ROUNDS + 1):
        meet = partial(
            _meet,
            threshold=threshold,
            hot=hot if salt < ROUNDS else None,
            width=2 if salt == 1 else 3,
        )
        placed = blocks.repartitionById(shares, "partition").select("entries")
        met = _in_arrow(placed, meet, "key long, one long, two long").persist()
        stack.callback(met.unpersist)
        found.append(met.where("key is null").select("one", "two"))
        again = met.where("key is not null")
        kinds = again.groupBy(f.col("key").bitwiseAND(CLASS_MASK)).count().collect()
        if not kinds:
            break
        log(f"{sum(count for _, count in kinds):,} keys of large buckets are dealt out anew")
        keys = sum(int(parts[kind]) * count for kind, count in kinds)
        shares = _share(keys, ENTRIES, sets.sparkSession, MOST_PARTITIONS)
        bucket = again.select("key", f.col("one").alias("tag"), f.col("two").alias("size"))
        blocks = _in_arrow(
            bucket.join(sets.select("tag", "text"), "tag"),
            partial(_deal_again, threshold=threshold, salt=salt, partitions=shares),
            "partition int, entries binary",
        )
    together = reduce(lambda one, other: one.union(other), found)
    return together.repartition(partitions, "one").dropDuplicates(["one", "two"])


def edges(sets: "DataFrame", candidates: "DataFrame", threshold: Fraction) -> "DataFrame":
    """(left, right, similarity) of the `candidates` (one, two) among `sets` (tag, row, text)."""
    from pyspark.sql import functions as f

    def side(tag: str, row: str, text: str) -> "DataFrame":
        names: Iterable[tuple[str, str]] = (("tag", tag), ("row", row), ("text", text))
        columns: list[Column] = [f.col(name).alias(alias) for name, alias in names]
        return sets.select(*columns)

    texts = (
        candidates.join(side("one", "left", "left_text"), "one")
        .join(side("two", "right", "right_text"), "two")
        .where("one != two or left < right")
        .select("left", "right", "left_text", "right_text")
    )
    schema = "left long, right long, similarity double"
    return _in_arrow(texts, partial(_decide, threshold=threshold), schema)


def _describe(batches: Batches, threshold: Fraction) -> Batches:
    """(tag, row, keys, text) of (row, text)."""
    scheme = _scheme(threshold)
    for batch in batches:
        texts = texts_of(batch.column("text"))
        count = len(texts)
        longest, total = longest_of(texts, 0, count)
        canonical, offsets = np.empty(total + ROOM, np.uint8), np.empty(count + 1, np.int64)
        fold_rows(texts, 0, count, canonical, offsets)
        text, ends = np.empty(int(offsets[-1]) + ROOM, np.uint8), np.zeros(count + 1, np.int64)
        tags, keys = np.empty(count, np.uint64), np.empty(count, np.int32)
        words = scratch_for(longest)[1]
        write_sets(canonical, offsets, words, scheme, text, ends, tags, keys)
        columns = [_signed(tags), batch.column("row"), pa.array(keys), _binary(text, ends)]
        yield pa.record_batch(columns, ["tag", "row", "keys", "text"])


def _emit_keys(batches: Batches, threshold: Fraction, partitions: int) -> Batches:
    """Blocks of entries (key, tag) of (tag, text, keys)."""
    scheme = _scheme(threshold)

    def entries() -> Iterator[Array]:
        for batch in batches:
            text, offsets = _texts(batch.column("text"))
            count, total = batch.num_rows, int(batch.column("keys").to_numpy().sum())
            _, words, sums = scratch_for(_longest(offsets), scheme)
            sizes, bitmaps = np.empty(count, np.uint32), np.empty((count, 2), np.uint64)
            keys, rows = np.empty(total, np.uint64), np.empty(total, np.uint32)
            counted = np.zeros(1, np.int64)
            emit(text, offsets, 0, scheme, words, sums, sizes, bitmaps, keys, rows, counted)
            yield np.column_stack((keys, _unsigned(batch, "tag")[rows]))

    return _blocks(entries(), partitions)


def _deal_again(batches: Batches, threshold: Fraction, salt: int, partitions: int) -> Batches:
    """Blocks of entries (key, tag, size) of (tag, key, size, text), the size being the bucket's."""
    scheme = _scheme(threshold)

    def entries() -> Iterator[Array]:
        for batch in batches:
            text, offsets = _texts(batch.column("text"))
            keys, tags, sizes = (_unsigned(batch, name) for name in ("key", "tag", "size"))
            parts = scheme.parts[(keys & np.uint64(CLASS_MASK)).astype(np.int64)]
            words, sums = scratch_for(_longest(offsets))[1], np.empty(parts.max(), np.uint64)
            dealt = np.empty(parts.sum(), np.uint64)
            deal(keys, text, offsets, scheme, salt, words, sums, dealt)
            yield np.column_stack((dealt, np.repeat(tags, parts), np.repeat(sizes, parts)))

    return _blocks(entries(), partitions)


def _blocks(pieces: Iterator[Array], partitions: int) -> Batches:
    """(partition, entries): rows of `pieces` by the first column, those of a partition in a row."""
    held: list[Array] = []
    for piece in pieces:
        held.append(piece)
        if sum(map(len, held)) >= BLOCK:
            yield _dealt_out(np.concatenate(held), partitions)
            held.clear()
    if held:
        yield _dealt_out(np.concatenate(held), partitions)


def _dealt_out(entries: Array, partitions: int) -> pa.RecordBatch:
    high = entries[:, 0] >> np.uint64(32)
    places = ((high * np.uint64(partitions)) >> np.uint64(32)).astype(np.uint16)
    counts = np.bincount(places, minlength=partitions)
    ends = np.concatenate([[0], np.cumsum(counts)]) * entries.strides[0]
    numbers = pa.array(np.arange(partitions, dtype=np.int32))
    content = _binary(entries[np.argsort(places, kind="stable")], ends)
    batch = pa.record_batch([numbers, content], ["partition", "entries"])
    return batch.filter(pa.array(counts > 0))


def _meet(batches: Batches, threshold: Fraction, hot: int | None, width: int) -> Batches:
    """Candidates (null, tag, tag), and (key, tag, size) of those buckets to be dealt out anew.

    An entry is (key, tag), or (key, tag, size of the bucket that was dealt out).
    """
    pieces = [_content(batch.column("entries"))[0].view(np.uint64) for batch in batches]
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
        done = compare(keys, tags, stops, _scheme(threshold).parts, done, found, counted)
        if counted[0]:
            one, two = found[:, : counted[0]]
            yield _met(pa.nulls(len(one), pa.int64()), one, two)
    chosen = np.flatnonzero(stops == 0)
    sizes = np.repeat(sizes, sizes)
    for at in range(0, len(chosen), BLOCK):
        rows = chosen[at : at + BLOCK]
        yield _met(_signed(keys[rows]), tags[rows], sizes[rows])


def _met(key: pa.Array, one: Array, two: Array) -> pa.RecordBatch:
    return pa.record_batch([key, _signed(one), _signed(two)], ["key", "one", "two"])


def _decide(batches: Batches, threshold: Fraction) -> Batches:
    """(left, right, similarity) of those pairs that reach the threshold."""
    scheme = _scheme(threshold)
    for batch in batches:
        count = batch.num_rows
        both = pa.concat_arrays([batch.column("left_text"), batch.column("right_text")])
        text, offsets = _texts(both)
        longest = _longest(offsets)
        sets = Sets(
            frozen(text),
            frozen(offsets),
            frozen(np.empty(2 * count, np.uint32)),
            frozen(np.empty((2 * count, 2), np.uint64)),
            texts_of([]),
            np.empty(0, np.uint32),
            np.empty((0, 2), np.uint64),
            longest,
        )
        items = np.arange(count, dtype=np.uint64)
        pairs = items << np.uint64(32) | (items + np.uint64(count))
        one, words, _ = scratch_for(longest)
        other, other_words, _ = scratch_for(longest)
        similarity = np.empty(count)
        decide(sets, scheme, pairs, one, words, other, other_words, similarity)
        near = similarity >= 0
        left, right = (batch.column(name).to_numpy()[near] for name in ("left", "right"))
        columns = (np.minimum(left, right), np.maximum(left, right), similarity[near])
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
    """The words of each canonical text, each once and in one order; its tag; how many keys it has.

    Set i becomes `text[ends[i]:ends[i + 1]]`: words by hash, and those of one hash by their bytes.
    """
    hashes, places = words[0], words[1]
    parts_of = scheme.parts
    at = np.int64(0)
    for row in range(len(offsets) - 1):
        count = split(canonical, offsets[row], offsets[row + 1], words)
        ascending(words, count)
        parity, content = np.uint64(0), np.uint64(0)
        for i in range(count):
            j = i
            while j > 0 and hashes[j] == hashes[j - 1] and _before(canonical, places, j):
                places[j], places[j - 1] = places[j - 1], places[j]
                j -= 1
            bit = ((hashes[i] & np.uint64(0xFFFFFFFF)) * np.uint64(PARITY)) >> np.uint64(32)
            parity ^= np.uint64(1) << bit
            content += mix64(hashes[i])
        for i in range(count):
            if i > 0:
                text[at] = 0x20
                at += 1
            start = np.int64(places[i] >> np.uint64(32))
            width = np.int64(places[i] & np.uint64(0xFFFFFFFF))
            for k in range(0, width, 8):
                store64(text, at + k, load64(canonical, start + k))
            at += width
        ends[row + 1] = at
        tags[row] = parity << np.uint64(64 - PARITY) | mix64(content) >> np.uint64(PARITY)
        first, last = reach(scheme, count)
        total = 0
        for kind in range(first, last + 1):
            if parts_of[kind] > 1:
                total += parts_of[kind]
        keys[row] = total


@inlined
def _before(canonical: Array, places: Array, i: Int) -> bool:
    """Whether the bytes of word i come before those of the word in front of it."""
    one = np.int64(places[i] >> np.uint64(32))
    other = np.int64(places[i - 1] >> np.uint64(32))
    width = np.int64(places[i] & np.uint64(0xFFFFFFFF))
    other_width = np.int64(places[i - 1] & np.uint64(0xFFFFFFFF))
    for k in range(min(width, other_width)):
        if canonical[one + k] != canonical[other + k]:
            return bool(canonical[one + k] < canonical[other + k])
    return bool(width < other_width)


@kernel
def deal(
    keys: Array,
    text: Array,
    offsets: Array,
    scheme: Scheme,
    salt: Int,
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
    keys: Array, tags: Array, stops: Array, parts: Array, first: Int, out: Array, counted: Array
) -> Int:
    """Candidates among entries from `first` on: entry i is compared with those before `stops[i]`.

    Two sets that differ in k words have tags that differ in at most k bits of parity. Returns the
    first entry for whose candidates `out`, of shape (2, capacity), has no room.
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


def _content(column: pa.Array) -> tuple[Array, Array]:
    """(bytes, ends) of an Arrow array of bytes: those of element i end at `ends[i + 1]`."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]], ends - ends[0]


def _texts(column: pa.Array) -> tuple[Array, Array]:
    """(data, offsets) of texts as kernels read them, with room behind the last one."""
    data, ends = _content(column)
    return np.concatenate([data, np.full(ROOM, 0x20, np.uint8)]), ends.astype(np.int64)


def _longest(offsets: Array) -> int:
    return int(np.diff(offsets).max(initial=0)) + ROOM


def _binary(data: Array, ends: Array) -> pa.Array:
    """An Arrow array of `data[ends[i]:ends[i + 1]]`, in bytes, not copied.

    Raises OverflowError from 2 GiB on.
    """
    if ends[-1] >= 1 << 31:
        raise OverflowError(f"texts of {ends[-1]:,} bytes are too long for one batch of rows")
    buffers = [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(ends) - 1, buffers)


def _signed(values: Array) -> pa.Array:
    """Spark has no unsigned numbers."""
    return pa.array(values.view(np.int64))


def _unsigned(batch: pa.RecordBatch, name: str) -> Array:
    values: Array = batch.column(name).to_numpy().view(np.uint64)
    return values


def _in_arrow(frame: "DataFrame", task: Callable[[Batches], Batches], schema: str) -> "DataFrame":
    with any_pandas():
        return frame.mapInArrow(task, schema)


@contextmanager
def any_pandas() -> Iterator[None]:
    """Spark asks which pandas there is even where, as here, nothing uses it."""
    with warnings.catch_warnings():
        message = "PySpark does not yet fully support pandas"
        warnings.filterwarnings("ignore", message, FutureWarning)
        yield


def _parquet_files(spark: "SparkSession", files: Sequence[str]) -> list[ParquetFile]:
    jvm: Any = spark._jvm
    configuration: Any = spark.sparkContext._jsc.hadoopConfiguration()
    found: list[ParquetFile] = []
    for file in files:
        path = jvm.org.apache.hadoop.fs.Path(file)
        system = path.getFileSystem(configuration)
        if not system.exists(path):
            raise FileNotFoundError(f"there is no file {file}")
        status = system.getFileStatus(path)
        # Spark takes some signs in a path for patterns.
        signs = (f"\\{c}" if c in "*?[]{},\\" else c for c in status.getPath().toString())
        uri = status.getPath().toUri().toString()
        found.append(ParquetFile("".join(signs), uri, status.getLen()))
    if len({file.uri for file in found}) < max(len(found), 1):
        raise ValueError("there must be at least one file, and none twice")
    return found


def _share(total: int, most: int, spark: "SparkSession", limit: int | None = None) -> int:
    """Partitions for `total` at `most` each: at least one for every processor."""
    wanted = max(-(-total // most), spark.sparkContext.defaultParallelism)
    return wanted if limit is None else min(wanted, limit)


@dataclass
class _Steps:
    """Seconds and shuffle bytes of each step."""

    spark: "SparkSession"
    seconds: dict[str, float] = field(default_factory=dict)
    shuffle_bytes: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start, before = time.monotonic(), self._written()
        yield
        self.seconds[name] = round(time.monotonic() - start, 3)
        self.shuffle_bytes[name] = self._written() - before

    def _written(self) -> int:
        """Bytes that all stages so far wrote to shuffles: Spark counts them without a UI, too."""
        context: Any = self.spark.sparkContext
        scala, java = context._jsc.sc(), context._gateway
        scala.listenerBus().waitUntilEmpty()
        nothing = java.jvm.java.util.ArrayList()
        stages = scala.statusStore().stageList(
            nothing, False, False, java.new_array(java.jvm.double, 0), nothing
        )
        return sum(int(stages.apply(i).shuffleWriteBytes()) for i in range(stages.size()))
