"""From texts to their words as bytes, at the speed of the machine; `words` says what a word is.

A text's canonical form holds its words, folded, in UTF-8, with spaces between them (one or more,
repeats and all); in scripts without spaces the words are the bigrams already. English is folded 64
bytes at a time and what else there is character by character, from a table that is made of the
definition. What depends on more than one character (most combining marks, letters that fold to
several) goes through the definition itself.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from persona_assets.dedup.kernels.bits import load64, store64, trailing_zeros
from persona_assets.dedup.kernels.compile import Array, Int, frozen, kernel
from persona_assets.dedup.kernels.simd_bytes import BYTES, fold_block, odd_bytes
from persona_assets.dedup.text.characters import (
    COMPLICATED,
    KIND_SHIFT,
    MOVING_MARK,
    REMOVED,
    SECOND_SHIFT,
    SEPARATOR,
    SIGN,
    SPACED,
    STILL_MARK,
    TABLE_SIZE,
    UNSPACED_LETTER,
    character_table,
    decode_character,
    encode_character,
    is_utf8,
)
from persona_assets.dedup.text.utf8_buffers import Strings, text_at, utf8_buffers
from persona_assets.dedup.text.words import words

ROOM = 80
"""Bytes that every buffer of canonical text has behind its last text: it is read and written in
blocks of 64, and read 16 bytes at a time from anywhere in them."""

PLAIN, BY_CHARACTER, BY_DEFINITION = -1, -2, -3
"""How a row is folded; `BY_DEFINITION` becomes the number of its canonical form, from 0 on."""

LONGEST = 1 << 29
"""Most bytes of one text: two of them, folded, are less than 4 GiB, and places have 32 bits."""

_MOST_MARKS = 30
_ROWS = 1 << 16


class TextBuffers(NamedTuple):
    """Texts as kernels read them.

    Row i is `data[offsets[i]:offsets[i + 1]]` in UTF-8, or, where `marks[i] >= 0`, canonical
    already and number `marks[i]` of `ready` and `ready_offsets`.
    """

    data: Array
    offsets: Array
    marks: Array
    ready: Array
    ready_offsets: Array
    table: Array

    def __len__(self) -> int:
        return len(self.offsets) - 1


class CanonicalTexts(NamedTuple):
    """Canonical texts: number i is `data[ends[i]:ends[i + 1]]`, and `ROOM` bytes follow the last.

    `data` is uint8, `ends` int64 of shape (n + 1,).
    """

    data: Array
    ends: Array

    def longest(self) -> int:
        """Bytes of the longest."""
        return int(np.diff(self.ends).max(initial=0))


def text_buffers(texts: Strings, threads: int = 1) -> TextBuffers:
    """`texts` for kernels, read as `strings.utf8` reads them.

    Raises what that raises, and ValueError for a text of more than `LONGEST` bytes.
    """
    data, offsets = utf8_buffers(texts)
    if offsets[-1] - offsets[0] > LONGEST:
        lengths = np.diff(offsets)
        row = int(lengths.argmax())
        if lengths[row] > LONGEST:
            raise ValueError(
                f"the text of row {row} has {lengths[row]:,} bytes, and {LONGEST:,} are the most: "
                "split it first"
            )
    table = character_table()
    marks = np.empty(len(offsets) - 1, np.int32)

    def look(start: int) -> None:
        _mark(data, offsets[start : start + _ROWS + 1], table, marks[start : start + _ROWS])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(look, range(0, len(marks), _ROWS)))
    rows = np.flatnonzero(marks == BY_DEFINITION)
    marks[rows] = np.arange(len(rows))
    found = [" ".join(sorted(words(text_at(data, offsets, row)))).encode() for row in rows.tolist()]
    ready = np.frombuffer(b"".join([*found, bytes(ROOM)]), np.uint8)
    ready_offsets = np.cumsum([0, *map(len, found)], dtype=np.int64)
    return TextBuffers(data, offsets, frozen(marks), frozen(ready), frozen(ready_offsets), table)


def fold_texts(texts: TextBuffers, rows: Array) -> CanonicalTexts:
    """The canonical texts of some rows, in their order."""
    room = np.empty(len(rows), np.int64)
    _rooms(texts, rows, room)
    data, ends = np.empty(int(room.sum()) + ROOM, np.uint8), np.empty(len(rows) + 1, np.int64)
    _fold_rows(texts, rows, data, ends)
    return CanonicalTexts(data, ends)


@kernel
def _fold_rows(texts: TextBuffers, rows: Array, out: Array, ends: Array) -> None:
    data, offsets, marks, table = texts.data, texts.offsets, texts.marks, texts.table
    at = np.int64(0)
    for i in range(len(rows)):
        ends[i] = at
        row = rows[i]
        start, stop = offsets[row], offsets[row + 1]
        if marks[row] == PLAIN:
            for block in range(start, stop, BYTES):
                fold_block(data, block, out, at + block - start)
            at += stop - start
        elif marks[row] == BY_CHARACTER:
            at = _fold_characters(data, start, stop, table, out, at)
        else:
            at = _copy_ready(texts, marks[row], out, at)
    ends[len(rows)] = at


@kernel
def _copy_ready(texts: TextBuffers, number: Int, out: Array, at: Int) -> Int:
    ready, start, stop = texts.ready, texts.ready_offsets[number], texts.ready_offsets[number + 1]
    for i in range(start, stop, 8):
        store64(out, at + i - start, load64(ready, i))
    return at + stop - start


@kernel
def _rooms(texts: TextBuffers, rows: Array, bytes: Array) -> None:
    """The most bytes that the canonical text of each row takes, into `bytes`."""
    offsets, marks, ready_offsets = texts.offsets, texts.marks, texts.ready_offsets
    for i in range(len(rows)):
        row = rows[i]
        bytes[i] = offsets[row + 1] - offsets[row]
        if marks[row] == BY_CHARACTER:
            # A letter of two bytes may fold to one of three, and has a space behind it.
            bytes[i] *= 3
        elif marks[row] >= 0:
            bytes[i] = ready_offsets[marks[row] + 1] - ready_offsets[marks[row]]


@kernel
def _fold_characters(data: Array, start: Int, stop: Int, table: Array, out: Array, at: Int) -> Int:
    run = 0  # 0: outside of words; 1: in a word; 2: in signs behind one; 3: in an unspaced run
    signs = 0  # where the signs behind a word begin in `out`
    before, alone = np.int64(0), False
    i = start
    while i < stop:
        if run <= 1 and data[i] < 0x80:
            # As far as all is plain, as quickly as a row that is plain.
            plain = min(np.int64(trailing_zeros(odd_bytes(data, i))), stop - i)
            if plain:
                fold_block(data, i, out, at)
                i, at = i + plain, at + plain
                run = 1 if out[at - 1] != 0x20 else 0
                continue
        character, width = decode_character(data, i)
        i += width
        entry = table[character] if character < TABLE_SIZE else np.uint32(character)
        kind = np.int64(entry >> KIND_SHIFT)
        if kind >= STILL_MARK:
            kind = np.int64(UNSPACED_LETTER)
        folded = np.int64(entry & np.uint32((1 << SECOND_SHIFT) - 1))
        if kind == REMOVED:
            continue
        if run == 3 and kind != UNSPACED_LETTER:
            if alone:
                at = encode_character(before, out, at)
            out[at] = 0x20
            at += 1
            run = 0
        if kind == SPACED:
            if run == 2:
                at = signs
                out[at] = 0x20
                at += 1
            at = encode_character(folded, out, at)
            second = entry >> SECOND_SHIFT & np.uint32(0x7F)
            if second:
                out[at] = second
                at += 1
            run = 1
            continue
        if kind == SIGN and run in (1, 2):
            if run == 1:
                signs, run = at, 2
            at = encode_character(folded, out, at)
            continue
        if run in (1, 2):
            out[at] = 0x20
            at += 1
            run = 0
        if kind == UNSPACED_LETTER:
            alone = run == 0
            if run == 3:
                at = encode_character(before, out, at)
                at = encode_character(folded, out, at)
                out[at] = 0x20
                at += 1
            before, run = folded, 3
    if run == 3 and alone:
        at = encode_character(before, out, at)
    return at


@kernel
def _mark(data: Array, offsets: Array, table: Array, marks: Array) -> None:
    """How each row is to be folded.

    `PLAIN` where all that is neither an ASCII letter nor a digit is a separator; `BY_DEFINITION`
    what the table cannot fold, what is not valid UTF-8, and where a block from a text's last bytes
    on leaves the buffer.
    """
    for row in range(len(offsets) - 1):
        start, stop = offsets[row], offsets[row + 1]
        if stop > start and stop + BYTES > len(data):
            marks[row] = BY_DEFINITION
            continue
        mark = PLAIN
        run, moving, after = 0, False, np.int64(-1)
        for block in range(start, stop, BYTES):
            odd = odd_bytes(data, block)
            if stop - block < BYTES:
                odd &= (np.uint64(1) << np.uint64(stop - block)) - np.uint64(1)
            while odd:
                at = block + np.int64(trailing_zeros(odd))
                odd &= odd - np.uint64(1)
                # The first byte of a character stands for it.
                if data[at] & 0xC0 == 0x80 and at < after:
                    continue
                character, width = decode_character(data, at)
                kind = np.int64(COMPLICATED)
                if character < TABLE_SIZE and is_utf8(data, at, stop, character, width):
                    kind = np.int64(table[character] >> KIND_SHIFT)
                if kind != SEPARATOR:
                    mark = min(mark, BY_CHARACTER)
                if at != after:
                    run, moving = 0, False
                after = at + width
                if kind == REMOVED:
                    continue
                if kind < STILL_MARK:
                    run, moving = 0, False
                else:
                    # Marks are put in order where two that move meet, and cut off after so many.
                    run += 1
                    if run > _MOST_MARKS or (moving and kind == MOVING_MARK):
                        kind = np.int64(COMPLICATED)
                    moving = kind == MOVING_MARK
                if kind == COMPLICATED:
                    mark = BY_DEFINITION
        marks[row] = mark
