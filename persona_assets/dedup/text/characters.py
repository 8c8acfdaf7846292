"""Single characters: UTF-8 decoding and encoding, and the folding table.

The table is computed from the definition in `words.py`. It holds the folded form of each character
that folds on its own, and marks the characters whose folding depends on their neighbours.
"""

import unicodedata
from functools import cache

import numpy as np
import regex

from persona_assets.dedup.kernels.bits import load64
from persona_assets.dedup.kernels.compile import Array, Int, frozen, inlined, kernel
from persona_assets.dedup.text.words import UNSPACED, WORD_CHARACTERS, fold

SEPARATOR, SPACED_LETTER, UNSPACED_LETTER, SIGN, REMOVED, COMPLEX, STARTER_MARK, NONSTARTER_MARK = (
    range(8)
)
"""Kinds of characters.

`SIGN` is "+" or "#". The definition folds `COMPLEX` characters. Marks of unspaced scripts count as
letters, unless folding may reorder them (adjacent nonstarter marks, whose combining class is above
0) or cuts them off (more than 30 in a row).
"""

KIND_SHIFT, SECOND_SHIFT = 24, 17
"""Position of a table entry's kind, and of the second of two letters that a character folds to."""

TABLE_SIZE = 0x20000
"""Number of characters in the table: all below U+20000."""


@cache
def character_table() -> Array:
    """Return the kind and the folded form of each character below U+20000.

    Returns:
        uint32 of shape (TABLE_SIZE,): the kind from bit `KIND_SHIFT` up and the folded character in
        the low bits. If a character folds to two ASCII letters, as the German sharp s does, the
        second letter begins at bit `SECOND_SHIFT`.
    """
    table = np.full(TABLE_SIZE, COMPLEX << KIND_SHIFT, np.uint32)
    code_points = [i for i in range(TABLE_SIZE) if i != 0x0A]
    folded = fold("\n".join(map(chr, code_points))).split("\n")
    removed = regex.compile(r"(?!\u200B)\p{Default_Ignorable_Code_Point}")
    separators = regex.compile(rf"(?V1)(?:(?!{WORD_CHARACTERS})[^+#])+")
    unspaced_letters = regex.compile(rf"(?V1){UNSPACED}")
    # The parts of Korean syllables and the vowels of Kirat Rai are complex although they are not
    # marks: they compose with the letter before them.
    spaced_letters = regex.compile(
        rf"(?V1)(?![\p{{M}}\u1100-\u11FF\uA960-\uA97F\uD7B0-\uD7FF\U00016D40-\U00016D7F])"
        rf"{WORD_CHARACTERS}"
    )
    # Characters that normalization may compose with a neighbour.
    parts = [unicodedata.decomposition(chr(i)).split() for i in range(TABLE_SIZE)]
    composing = {
        chr(int(part, 16)) for pair in parts if len(pair) == 2 for part in pair if "<" not in part
    }
    for character, result in zip(code_points, folded, strict=True):
        if removed.fullmatch(chr(character)):
            table[character] = REMOVED << KIND_SHIFT
        elif separators.fullmatch(result):
            table[character] = SEPARATOR << KIND_SHIFT
        elif len(result) == 1 and ord(result) < TABLE_SIZE:
            kind = COMPLEX
            if unspaced_letters.fullmatch(result):
                kind = UNSPACED_LETTER
                if unicodedata.category(result).startswith("M"):
                    kind = NONSTARTER_MARK if unicodedata.combining(result) else STARTER_MARK
                    if chr(character) in composing:
                        kind = COMPLEX
            elif spaced_letters.fullmatch(result):
                kind = SPACED_LETTER
            elif result in "+#":
                kind = SIGN
            table[character] = kind << KIND_SHIFT | ord(result)
        elif len(result) == 2 and result.isascii() and result.isalnum():
            first, second = map(ord, result)
            table[character] = SPACED_LETTER << KIND_SHIFT | second << SECOND_SHIFT | first
    table[0x0A] = SEPARATOR << KIND_SHIFT
    return frozen(table)


@kernel
def decode_character(data: Array, i: Int) -> tuple[Int, Int]:
    """Decode the character at `i` without validating it; see `is_utf8`.

    Returns:
        The code point and its width in bytes.
    """
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
    """Return True if a decoded character is valid UTF-8 of at most U+FFFFF that ends by `stop`.

    Args:
        data: Text, uint8.
        at: Position of the character.
        stop: End of the text.
        character: Code point that `decode_character` returned.
        width: Width in bytes that `decode_character` returned.
    """
    if width == 1:
        return True
    # Check the leading bits of all bytes at once, and that no shorter encoding exists.
    encoded = load64(data, at)
    if width == 2:
        valid = encoded & np.uint64(0xC0E0) == np.uint64(0x80C0) and character >= 0x80
    elif width == 3:
        valid = encoded & np.uint64(0xC0C0F0) == np.uint64(0x8080E0) and character >= 0x800
    else:
        valid = encoded & np.uint64(0xC0C0C0F8) == np.uint64(0x808080F0) and character >= 0x10000
    return bool(valid and at + width <= stop)


@kernel
def encode_character(character: Int, out: Array, at: Int) -> Int:
    """Write a character in UTF-8 at `out[at]` and return the position behind it."""
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
