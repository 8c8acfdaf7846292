"""From texts to their words as bytes, at the speed of the machine; `words` says what a word is.

A text's canonical form holds its words, folded, in UTF-8, with spaces between them (one or more,
repeats and all); in scripts without spaces the words are the bigrams already. ASCII is folded eight
bytes at a time and most other texts character by character, from a table that is made of the
definition. What depends on more than one character (combining marks, letters that fold to several)
goes through the definition itself.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import regex

from persona_assets.dedup.kernels import Array, Int, frozen, inlined, kernel, load64, store64
from persona_assets.dedup.words import UNSPACED, WORD_CHARACTERS, fold, words

ROOM = 80
"""Bytes that every buffer of canonical text has behind its last text: it is read in blocks of 64,
and in words of 8 from anywhere in them."""

SEPARATOR, SPACED, UNSPACED_LETTER, SIGN, REMOVED, COMPLICATED = range(6)
_KIND_SHIFT = 24
_ROWS = 1 << 16
_TABLE_SIZE = 0x20000
_ONES = 0x0101010101010101
_HIGH = 0x80 * _ONES
_SPACES = 0x20 * _ONES


class Texts(NamedTuple):
    """Texts as kernels read them.

    Row i is `data[offsets[i]:offsets[i + 1]]` in UTF-8, or, where `canonical[i] >= 0`, canonical
    already and number `canonical[i]` of `ready` and `ready_offsets`.
    """

    data: Array
    offsets: Array
    canonical: Array
    ready: Array
    ready_offsets: Array
    table: Array

    def __len__(self) -> int:
        return len(self.offsets) - 1


def texts_of(texts: "Sequence[str] | pa.Array | pa.ChunkedArray", threads: int = 1) -> Texts:
    """`texts` for kernels: an Arrow array of strings is not copied. A null is an empty text."""
    array = _arrow(texts)
    data, offsets = _buffers(array)
    table = _table()
    flags = np.full(len(array), -1, np.int32)

    def look(start: int) -> None:
        _complicated(data, offsets[start : start + _ROWS + 1], table, flags[start : start + _ROWS])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(look, range(0, len(array), _ROWS)))
    rows = np.flatnonzero(flags >= 0)
    flags[rows] = np.arange(len(rows))
    found = [" ".join(sorted(words(_text(data, offsets, row)))).encode() for row in rows.tolist()]
    ready = np.frombuffer(b"".join([*found, bytes(ROOM)]), np.uint8)
    ready_offsets = np.cumsum([0, *map(len, found)], dtype=np.int64)
    return Texts(data, offsets, frozen(flags), frozen(ready), frozen(ready_offsets), table)


@kernel
def fold_text(texts: Texts, row: Int, out: Array, at: Int) -> Int:
    """Writes the canonical form of a row into `out` from `at`; returns where it ends.

    `out` has room for `room(bytes)` from there on.
    """
    ready = texts.canonical[row]
    if ready >= 0:
        start, stop = texts.ready_offsets[ready], texts.ready_offsets[ready + 1]
        for i in range(start, stop, 8):
            store64(out, at + i - start, load64(texts.ready, i))
        return at + stop - start
    start, stop = texts.offsets[row], texts.offsets[row + 1]
    if _fold_ascii(texts.data, start, stop, out, at):
        return at + stop - start
    return _fold_characters(texts.data, start, stop, texts.table, out, at)


@kernel
def room(length: Int) -> Int:
    """The most bytes that the canonical form of a text of `length` bytes takes or overwrites."""
    return 3 * length + 16


@kernel
def fold_rows(texts: Texts, first: Int, stop: Int, out: Array, offsets: Array) -> None:
    """Canonical text of rows [first, stop) into `out`, row by row; offsets has shape (rows + 1,)"""
    data, bounds, canonical, table = texts.data, texts.offsets, texts.canonical, texts.table
    at = np.int64(0)
    for row in range(first, stop):
        offsets[row - first] = at
        begin, end = bounds[row], bounds[row + 1]
        if canonical[row] >= 0:
            at = fold_text(texts, row, out, at)
        elif _fold_ascii(data, begin, end, out, at):
            at += end - begin
        else:
            at = _fold_characters(data, begin, end, table, out, at)
    offsets[stop - first] = at


@kernel
def longest_of(texts: Texts, first: Int, stop: Int) -> tuple[Int, Int]:
    """The most bytes that canonical text of rows [first, stop) takes: of one row, and of all."""
    offsets, canonical, ready_offsets = texts.offsets, texts.canonical, texts.ready_offsets
    longest, total = 0, 0
    for row in range(first, stop):
        ready = canonical[row]
        length = offsets[row + 1] - offsets[row]
        if ready >= 0:
            length = ready_offsets[ready + 1] - ready_offsets[ready]
        longest = max(longest, room(length))
        total += room(length)
    return longest, total


@inlined
def _fold_ascii(data: Array, start: Int, stop: Int, out: Array, at: Int) -> bool:
    """False if the text has other characters or signs that may close a word ("C++", "C#")."""
    other = np.uint64(0)
    blocks = (stop - start) >> 3
    for block in range(blocks):
        x = load64(data, start + 8 * block)
        folded, odd = _fold_eight(x)
        other |= odd
        store64(out, at + 8 * block, folded)
    rest = (stop - start) & 7
    if rest:
        x = load64(data, stop - rest) & ((np.uint64(1) << np.uint64(8 * rest)) - np.uint64(1))
        folded, odd = _fold_eight(x)
        other |= odd
        store64(out, at + 8 * blocks, folded)
    return bool(other == 0)


@inlined
def _fold_eight(x: Int) -> tuple[Int, Int]:
    """Eight characters folded, separators as spaces; and not 0 if one needs more than that."""
    odd = x & np.uint64(_HIGH)
    seven = x & np.uint64(0x7F * _ONES)
    upper = (
        (seven + np.uint64((0x80 - 0x41) * _ONES))
        & ~(seven + np.uint64((0x7F - 0x5A) * _ONES))
        & np.uint64(_HIGH)
    )
    lower = seven | (upper >> np.uint64(2))
    letter = (lower + np.uint64((0x80 - 0x61) * _ONES)) & ~(
        lower + np.uint64((0x7F - 0x7A) * _ONES)
    )
    digit = (lower + np.uint64((0x80 - 0x30) * _ONES)) & ~(lower + np.uint64((0x7F - 0x39) * _ONES))
    plus = (seven ^ np.uint64(0x2B * _ONES)) + np.uint64(0x7F * _ONES)
    sharp = (seven ^ np.uint64(0x23 * _ONES)) + np.uint64(0x7F * _ONES)
    odd |= ~(plus & sharp) & np.uint64(_HIGH)
    high = (letter | digit) & np.uint64(_HIGH)
    # 0x80 becomes 0xFF: (0x100 - 0x01) in each byte, without carries between them.
    keep = (high << np.uint64(1)) - (high >> np.uint64(7))
    return (lower & keep) | (np.uint64(_SPACES) & ~keep), odd


@kernel
def _fold_characters(data: Array, start: Int, stop: Int, table: Array, out: Array, at: Int) -> Int:
    run = 0  # 0: outside of words; 1: in a word; 2: in signs behind one; 3: in an unspaced run
    signs = 0  # where the signs behind a word begin in `out`
    before, alone = np.int64(0), False
    i = start
    while i < stop:
        character, width = _decode(data, i)
        i += width
        entry = table[character] if character < _TABLE_SIZE else np.uint32(character)
        kind = entry >> _KIND_SHIFT
        folded = np.int64(entry & np.uint32((1 << _KIND_SHIFT) - 1))
        if kind == REMOVED:
            continue
        if run == 3 and kind != UNSPACED_LETTER:
            if alone:
                at = _encode(before, out, at)
            out[at] = 0x20
            at += 1
            run = 0
        if kind == SPACED:
            if run == 2:
                at = signs
                out[at] = 0x20
                at += 1
            at = _encode(folded, out, at)
            run = 1
            continue
        if kind == SIGN and run in (1, 2):
            if run == 1:
                signs, run = at, 2
            at = _encode(folded, out, at)
            continue
        if run in (1, 2):
            out[at] = 0x20
            at += 1
            run = 0
        if kind == UNSPACED_LETTER:
            alone = run == 0
            if run == 3:
                at = _encode(before, out, at)
                at = _encode(folded, out, at)
                out[at] = 0x20
                at += 1
            before, run = folded, 3
    if run == 3 and alone:
        at = _encode(before, out, at)
    return at


@kernel
def _decode(data: Array, i: Int) -> tuple[Int, Int]:
    """The character at `i` and its width in bytes; UTF-8 is taken as valid."""
    lead = np.int64(data[i])
    if lead < 0x80:
        return lead, 1
    second = np.int64(data[i + 1]) & 0x3F
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | second, 2
    third = np.int64(data[i + 2]) & 0x3F
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | second << 6 | third, 3
    fourth = np.int64(data[i + 3]) & 0x3F
    return (lead & 0x07) << 18 | second << 12 | third << 6 | fourth, 4


@kernel
def _encode(character: Int, out: Array, at: Int) -> Int:
    if character < 0x80:
        out[at] = character
        return at + 1
    if character < 0x800:
        out[at] = 0xC0 | character >> 6
        out[at + 1] = 0x80 | (character & 0x3F)
        return at + 2
    if character < 0x10000:
        out[at] = 0xE0 | character >> 12
        out[at + 1] = 0x80 | (character >> 6 & 0x3F)
        out[at + 2] = 0x80 | (character & 0x3F)
        return at + 3
    out[at] = 0xF0 | character >> 18
    out[at + 1] = 0x80 | (character >> 12 & 0x3F)
    out[at + 2] = 0x80 | (character >> 6 & 0x3F)
    out[at + 3] = 0x80 | (character & 0x3F)
    return at + 4


@kernel
def _complicated(data: Array, offsets: Array, table: Array, flags: Array) -> None:
    """Marks with 0 in `flags` the rows that the table cannot fold, and those that end where eight
    bytes from their last ones on are no longer the buffer's."""
    for row in range(len(offsets) - 1):
        start, stop = offsets[row], offsets[row + 1]
        if stop > start and stop + 8 > len(data):
            flags[row] = 0
            continue
        high = np.uint64(0)
        for i in range(start, stop - 7, 8):
            high |= load64(data, i)
        rest = (stop - start) & 7
        if rest:
            high |= load64(data, stop - rest) & (
                (np.uint64(1) << np.uint64(8 * rest)) - np.uint64(1)
            )
        if high & np.uint64(_HIGH) == 0:
            continue
        i = start
        while i < stop:
            character, width = _decode(data, i)
            i += width
            if character >= _TABLE_SIZE or table[character] >> _KIND_SHIFT == COMPLICATED:
                flags[row] = 0
                break


@cache
def _table() -> Array:
    """For each character below U+20000 its kind, and in the low bits the character it folds to."""
    table = np.full(_TABLE_SIZE, COMPLICATED << _KIND_SHIFT, np.uint32)
    characters = [i for i in range(_TABLE_SIZE) if i != 0x0A]
    folded = fold("\n".join(map(chr, characters))).split("\n")
    removed = regex.compile(r"(?!\u200B)\p{Default_Ignorable_Code_Point}")
    separators = regex.compile(rf"(?V1)(?:(?!{WORD_CHARACTERS})[^+#])+")
    unspaced = regex.compile(rf"(?V1)(?!\p{{M}}){UNSPACED}")
    # Letters that combine with the one before them are complicated though they are no marks: the
    # parts of Korean syllables and the vowels of Kirat Rai.
    spaced = regex.compile(
        rf"(?V1)(?![\p{{M}}\u1100-\u11FF\uA960-\uA97F\uD7B0-\uD7FF\U00016D40-\U00016D7F])"
        rf"{WORD_CHARACTERS}"
    )
    for character, result in zip(characters, folded, strict=True):
        if removed.fullmatch(chr(character)):
            table[character] = REMOVED << _KIND_SHIFT
        elif separators.fullmatch(result):
            table[character] = SEPARATOR << _KIND_SHIFT
        elif len(result) == 1 and ord(result) < _TABLE_SIZE:
            for kind, pattern in ((UNSPACED_LETTER, unspaced), (SPACED, spaced)):
                if pattern.fullmatch(result):
                    table[character] = kind << _KIND_SHIFT | ord(result)
                    break
            else:
                if result in "+#":
                    table[character] = SIGN << _KIND_SHIFT | ord(result)
    table[0x0A] = SEPARATOR << _KIND_SHIFT
    return frozen(table)


def _arrow(texts: "Sequence[str] | pa.Array | pa.ChunkedArray") -> pa.Array:
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if not isinstance(texts, pa.Array):
        # As bytes, because a lone surrogate is no UTF-8 and yet has to be read as a separator.
        encoded = [(text or "").encode("utf-8", "surrogatepass") for text in texts]
        return pa.array(encoded, pa.large_binary())
    if pa.types.is_string_view(texts.type) or pa.types.is_string(texts.type):
        texts = texts.cast(pa.large_string())
    if texts.null_count:
        texts = texts.fill_null("")
    return texts


def _buffers(array: pa.Array) -> tuple[Array, Array]:
    _, offset_buffer, data_buffer = array.buffers()
    if len(array) == 0:
        return frozen(np.empty(0, np.uint8)), frozen(np.zeros(1, np.int64))
    offsets = np.frombuffer(offset_buffer, np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer else np.empty(0, np.uint8)
    return frozen(data), frozen(offsets)


def _text(data: Array, offsets: Array, row: int) -> str:
    return bytes(data[offsets[row] : offsets[row + 1]]).decode("utf-8", "surrogatepass")
