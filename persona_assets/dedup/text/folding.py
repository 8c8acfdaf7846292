"""Texts as canonical text: their folded words in UTF-8, at the speed of the machine.

`words.py` defines a word. The canonical form of a text holds its words, folded, with one or more
spaces between words, repeated words included; in scripts without spaces the words are the bigrams.
English is folded 64 bytes at a time, other text character by character from a table that is
computed from the definition. Rows whose folding depends on more than one character (most combining
marks, letters that fold to several) go through the definition itself.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from persona_assets.dedup.kernels.bits import load64, store64, trailing_zeros
from persona_assets.dedup.kernels.compile import Array, Int, frozen, kernel
from persona_assets.dedup.kernels.simd_bytes import BLOCK_BYTES, fold_block, special_mask
from persona_assets.dedup.text.characters import (
    COMPLEX,
    KIND_SHIFT,
    NONSTARTER_MARK,
    REMOVED,
    SECOND_SHIFT,
    SEPARATOR,
    SIGN,
    SPACED_LETTER,
    STARTER_MARK,
    TABLE_SIZE,
    UNSPACED_LETTER,
    character_table,
    decode_character,
    encode_character,
    is_utf8,
)
from persona_assets.dedup.text.utf8_buffers import Strings, text_at, utf8_buffers
from persona_assets.dedup.text.words import words

PADDING = 80
"""Bytes of padding behind the last text of every buffer of canonical text: kernels read and write
blocks of 64 bytes, and read 16 bytes from any position in a block."""

PLAIN, BY_CHARACTER, BY_DEFINITION = -1, -2, -3
"""Folding mode of a row. `BY_DEFINITION` is replaced by the number of the row's prefolded text,
from 0 on."""

MAX_TEXT_BYTES = 1 << 29
"""Largest size of a text in bytes: two such texts, folded, stay below 4 GiB, so that positions fit
32 bits."""

_MAX_MARKS = 30
"""Longest run of combining marks that folding keeps; see `words.py`."""

_ROWS = 1 << 16
"""Number of rows that a thread classifies at a time."""


class TextBuffers(NamedTuple):
    """Texts as the kernels read them.

    Attributes:
        data: Texts in UTF-8, uint8. Row i is `data[offsets[i]:offsets[i + 1]]`.
        offsets: int64 of shape (n + 1,).
        modes: int32 of shape (n,): folding mode, or number of the row's prefolded text if >= 0.
        prefolded: Canonical texts of the rows that were folded by the definition, uint8.
        prefolded_offsets: Bounds of the texts in `prefolded`, int64.
        table: Folding table, see `character_table`.
    """

    data: Array
    offsets: Array
    modes: Array
    prefolded: Array
    prefolded_offsets: Array
    table: Array

    def __len__(self) -> int:
        return len(self.offsets) - 1


class CanonicalTexts(NamedTuple):
    """Canonical texts, padded by `PADDING` bytes.

    Attributes:
        data: uint8. Text i is `data[ends[i]:ends[i + 1]]`.
        ends: int64 of shape (n + 1,).
    """

    data: Array
    ends: Array

    def longest(self) -> int:
        """Return the size of the longest text in bytes."""
        return int(np.diff(self.ends).max(initial=0))


def text_buffers(texts: Strings, threads: int = 1) -> TextBuffers:
    """Encode texts for the kernels and choose a folding mode for each row.

    Raises:
        TypeError: `texts` are not texts, see `utf8_buffers`.
        ValueError: A text exceeds `MAX_TEXT_BYTES` or is not valid UTF-8, or the Arrow array is
            damaged.
    """
    data, offsets = utf8_buffers(texts)
    if offsets[-1] - offsets[0] > MAX_TEXT_BYTES:
        lengths = np.diff(offsets)
        row = int(lengths.argmax())
        if lengths[row] > MAX_TEXT_BYTES:
            raise ValueError(
                f"the text of row {row} has {lengths[row]:,} bytes, "
                f"and {MAX_TEXT_BYTES:,} are the most: split it first"
            )
    table = character_table()
    modes = np.empty(len(offsets) - 1, np.int32)

    def classify_rows(start: int) -> None:
        _classify_rows(
            data, offsets[start : start + _ROWS + 1], table, modes[start : start + _ROWS]
        )

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(classify_rows, range(0, len(modes), _ROWS)))
    unfolded = np.flatnonzero(modes == BY_DEFINITION)
    modes[unfolded] = np.arange(len(unfolded))
    folded = [
        " ".join(sorted(words(text_at(data, offsets, row)))).encode() for row in unfolded.tolist()
    ]
    prefolded = np.frombuffer(b"".join([*folded, bytes(PADDING)]), np.uint8)
    prefolded_offsets = np.cumsum([0, *map(len, folded)], dtype=np.int64)
    return TextBuffers(
        data, offsets, frozen(modes), frozen(prefolded), frozen(prefolded_offsets), table
    )


def fold_texts(texts: TextBuffers, rows: Array) -> CanonicalTexts:
    """Return the canonical texts of the given rows, in their order."""
    room = np.empty(len(rows), np.int64)
    _folded_size_bounds(texts, rows, room)
    data, ends = np.empty(int(room.sum()) + PADDING, np.uint8), np.empty(len(rows) + 1, np.int64)
    _fold_rows(texts, rows, data, ends)
    return CanonicalTexts(data, ends)


@kernel
def _fold_rows(texts: TextBuffers, rows: Array, out: Array, ends: Array) -> None:
    """Write the canonical text of each row into `out` and its bounds into `ends`."""
    data, offsets, modes, table = texts.data, texts.offsets, texts.modes, texts.table
    at = np.int64(0)
    for i in range(len(rows)):
        ends[i] = at
        row = rows[i]
        start, stop = offsets[row], offsets[row + 1]
        if modes[row] == PLAIN:
            for block in range(start, stop, BLOCK_BYTES):
                fold_block(data, block, out, at + block - start)
            at += stop - start
        elif modes[row] == BY_CHARACTER:
            at = _fold_characters(data, start, stop, table, out, at)
        else:
            at = _copy_prefolded(texts, modes[row], out, at)
    ends[len(rows)] = at


@kernel
def _copy_prefolded(texts: TextBuffers, text: Int, out: Array, at: Int) -> Int:
    """Copy a prefolded text to `out[at]` and return the position behind it."""
    prefolded, start, stop = (
        texts.prefolded,
        texts.prefolded_offsets[text],
        texts.prefolded_offsets[text + 1],
    )
    for i in range(start, stop, 8):
        store64(out, at + i - start, load64(prefolded, i))
    return at + stop - start


@kernel
def _folded_size_bounds(texts: TextBuffers, rows: Array, bounds: Array) -> None:
    """Write an upper bound of each row's canonical size in bytes into `bounds`."""
    offsets, modes, prefolded_offsets = texts.offsets, texts.modes, texts.prefolded_offsets
    for i in range(len(rows)):
        row = rows[i]
        bounds[i] = offsets[row + 1] - offsets[row]
        if modes[row] == BY_CHARACTER:
            # A letter of two bytes may fold to a letter of three, followed by a space.
            bounds[i] *= 3
        elif modes[row] >= 0:
            bounds[i] = prefolded_offsets[modes[row] + 1] - prefolded_offsets[modes[row]]


@kernel
def _fold_characters(data: Array, start: Int, stop: Int, table: Array, out: Array, at: Int) -> Int:
    """Fold `data[start:stop]` by character to `out[at]` and return the position behind it."""
    # 0: outside of words; 1: in a word; 2: in signs behind a word; 3: in an unspaced run.
    run = 0
    # Position in `out` of the first sign behind a word.
    signs_start = 0
    previous, alone = np.int64(0), False
    i = start
    while i < stop:
        if run <= 1 and data[i] < 0x80:
            # A plain stretch is folded as quickly as a plain row.
            plain = min(np.int64(trailing_zeros(special_mask(data, i))), stop - i)
            if plain:
                fold_block(data, i, out, at)
                i, at = i + plain, at + plain
                run = 1 if out[at - 1] != 0x20 else 0
                continue
        character, width = decode_character(data, i)
        i += width
        entry = table[character] if character < TABLE_SIZE else np.uint32(character)
        kind = np.int64(entry >> KIND_SHIFT)
        if kind >= STARTER_MARK:
            kind = np.int64(UNSPACED_LETTER)
        folded = np.int64(entry & np.uint32((1 << SECOND_SHIFT) - 1))
        if kind == REMOVED:
            continue
        if run == 3 and kind != UNSPACED_LETTER:
            if alone:
                at = encode_character(previous, out, at)
            out[at] = 0x20
            at += 1
            run = 0
        if kind == SPACED_LETTER:
            if run == 2:
                at = signs_start
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
                signs_start, run = at, 2
            at = encode_character(folded, out, at)
            continue
        if run in (1, 2):
            out[at] = 0x20
            at += 1
            run = 0
        if kind == UNSPACED_LETTER:
            alone = run == 0
            if run == 3:
                at = encode_character(previous, out, at)
                at = encode_character(folded, out, at)
                out[at] = 0x20
                at += 1
            previous, run = folded, 3
    if run == 3 and alone:
        at = encode_character(previous, out, at)
    return at


@kernel
def _classify_rows(data: Array, offsets: Array, table: Array, modes: Array) -> None:
    """Choose the folding mode of each row.

    `PLAIN` if every character other than an ASCII letter or digit is a separator; `BY_DEFINITION`
    if the table cannot fold a character, if the text is not valid UTF-8, or if a block that starts
    at the text's last bytes would leave the buffer.
    """
    for row in range(len(offsets) - 1):
        start, stop = offsets[row], offsets[row + 1]
        if stop > start and stop + BLOCK_BYTES > len(data):
            modes[row] = BY_DEFINITION
            continue
        mode = PLAIN
        mark_run, reorderable, character_end = 0, False, np.int64(-1)
        for block in range(start, stop, BLOCK_BYTES):
            special = special_mask(data, block)
            if stop - block < BLOCK_BYTES:
                special &= (np.uint64(1) << np.uint64(stop - block)) - np.uint64(1)
            while special:
                at = block + np.int64(trailing_zeros(special))
                special &= special - np.uint64(1)
                # A character is judged once, at its first byte.
                if data[at] & 0xC0 == 0x80 and at < character_end:
                    continue
                character, width = decode_character(data, at)
                kind = np.int64(COMPLEX)
                if character < TABLE_SIZE and is_utf8(data, at, stop, character, width):
                    kind = np.int64(table[character] >> KIND_SHIFT)
                if kind != SEPARATOR:
                    mode = min(mode, BY_CHARACTER)
                if at != character_end:
                    mark_run, reorderable = 0, False
                character_end = at + width
                if kind == REMOVED:
                    continue
                if kind < STARTER_MARK:
                    mark_run, reorderable = 0, False
                else:
                    # Folding reorders adjacent nonstarter marks and cuts off long runs of marks.
                    mark_run += 1
                    if mark_run > _MAX_MARKS or (reorderable and kind == NONSTARTER_MARK):
                        kind = np.int64(COMPLEX)
                    reorderable = kind == NONSTARTER_MARK
                if kind == COMPLEX:
                    mode = BY_DEFINITION
        modes[row] = mode
