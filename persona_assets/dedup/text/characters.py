"""Characters as kernels see them: their bytes in UTF-8, and what folding makes of each.

A table made from the definition in `words` says for each character alone what it folds to, and
marks those for which that depends on their neighbours.
"""

import unicodedata
from functools import cache

import numpy as np
import regex

from persona_assets.dedup.kernels.bits import load64
from persona_assets.dedup.kernels.compile import Array, Int, frozen, inlined, kernel
from persona_assets.dedup.text.words import UNSPACED, WORD_CHARACTERS, fold

SEPARATOR, SPACED, UNSPACED_LETTER, SIGN, REMOVED, COMPLICATED, STILL_MARK, MOVING_MARK = range(8)
"""Kinds of characters. Marks of unspaced scripts are letters to us, but not in every company."""

KIND_SHIFT, SECOND_SHIFT = 24, 17
TABLE_SIZE = 0x20000


@cache
def character_table() -> Array:
    """For each character below U+20000 its kind, and in the low bits the character it folds to.

    In the bits between them, an ASCII letter that follows that one: German's sharp s is two.
    """
    table = np.full(TABLE_SIZE, COMPLICATED << KIND_SHIFT, np.uint32)
    every = [i for i in range(TABLE_SIZE) if i != 0x0A]
    folded = fold("\n".join(map(chr, every))).split("\n")
    removed = regex.compile(r"(?!\u200B)\p{Default_Ignorable_Code_Point}")
    separators = regex.compile(rf"(?V1)(?:(?!{WORD_CHARACTERS})[^+#])+")
    unspaced = regex.compile(rf"(?V1){UNSPACED}")
    # Letters that combine with the one before them are complicated though they are no marks: the
    # parts of Korean syllables and the vowels of Kirat Rai.
    spaced = regex.compile(
        rf"(?V1)(?![\p{{M}}\u1100-\u11FF\uA960-\uA97F\uD7B0-\uD7FF\U00016D40-\U00016D7F])"
        rf"{WORD_CHARACTERS}"
    )
    # What normalization may put together with its neighbour.
    parts = [unicodedata.decomposition(chr(i)).split() for i in range(TABLE_SIZE)]
    composing = {
        chr(int(part, 16)) for pair in parts if len(pair) == 2 for part in pair if "<" not in part
    }
    for character, result in zip(every, folded, strict=True):
        if removed.fullmatch(chr(character)):
            table[character] = REMOVED << KIND_SHIFT
        elif separators.fullmatch(result):
            table[character] = SEPARATOR << KIND_SHIFT
        elif len(result) == 1 and ord(result) < TABLE_SIZE:
            kind = COMPLICATED
            if unspaced.fullmatch(result):
                kind = UNSPACED_LETTER
                if unicodedata.category(result).startswith("M"):
                    kind = MOVING_MARK if unicodedata.combining(result) else STILL_MARK
                    if chr(character) in composing:
                        kind = COMPLICATED
            elif spaced.fullmatch(result):
                kind = SPACED
            elif result in "+#":
                kind = SIGN
            table[character] = kind << KIND_SHIFT | ord(result)
        elif len(result) == 2 and result.isascii() and result.isalnum():
            first, second = map(ord, result)
            table[character] = SPACED << KIND_SHIFT | second << SECOND_SHIFT | first
    table[0x0A] = SEPARATOR << KIND_SHIFT
    return frozen(table)


@kernel
def decode_character(data: Array, i: Int) -> tuple[Int, Int]:
    """The character at `i` and its width in bytes; `is_utf8` tells whether it is one."""
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


@inlined
def is_utf8(data: Array, at: Int, stop: Int, character: Int, width: Int) -> bool:
    """Whether what `decode` took for a character is one, up to U+FFFFF, and ends before `stop`."""
    if width == 1:
        return True
    # All its bytes at once: how they must begin, and that it takes no fewer.
    x = load64(data, at)
    if width == 2:
        good = x & np.uint64(0xC0E0) == np.uint64(0x80C0) and character >= 0x80
    elif width == 3:
        good = x & np.uint64(0xC0C0F0) == np.uint64(0x8080E0) and character >= 0x800
    else:
        good = x & np.uint64(0xC0C0C0F8) == np.uint64(0x808080F0) and character >= 0x10000
    return bool(good and at + width <= stop)


@kernel
def encode_character(character: Int, out: Array, at: Int) -> Int:
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
