"""Index of the words of all personas: which rows hold words that begin with those of a query.

The posting lists of all words are one array in the order of the words, so that all words with the
same beginning are one slice of it. A search returns every row: exact counts, filters and the map
follow from the same answer.

Words are those of the project's duplicates, but not folded beyond NFKC and lower case. Scripts that
put no space between words are found by characters and pairs of them.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

BATCH = 50_000
"""Number of texts that are split at once."""

MOST_WORDS = 32
"""Number of words of a query that count."""

_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\x{30FC}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
_SPACED = rf"[[\p{{L}}\p{{N}}\p{{M}}]--{_UNSPACED}]+[+#]*"


@dataclass(frozen=True)
class Found:
    """Rows that hold all words of a query.

    Attributes:
        mask: True for each such row.
        whole: Number of words that each row holds as they are, not only their beginning.
    """

    mask: np.ndarray
    whole: np.ndarray


class WordIndex:
    """Index of the words of texts.

    Args:
        texts: Text of each row.

    Example:
        >>> index = WordIndex(pl.Series(["A harbour pilot", "A pilots' union", "退休教师"]))
        >>> index.find("PILOT").mask.tolist(), index.find("pilot").whole.tolist()
        ([True, True, False], [1, 0, 0])
        >>> index.find("教师").mask.tolist()
        [False, False, True]
    """

    def __init__(self, texts: pl.Series) -> None:
        self._size = len(texts)
        parts = [pl.DataFrame(schema={"row": pl.UInt32, "word": pl.String})]
        vocabulary = pl.Series("word", [], pl.String)
        for start in range(0, len(texts), BATCH):
            part = _split(texts[start : start + BATCH], start)
            vocabulary = pl.concat([vocabulary, part["word"].unique()]).unique()
            parts.append(part)
        self._words = vocabulary.sort()
        codes = pl.concat(parts).with_columns(pl.col("word").cast(pl.Enum(self._words)))
        del parts
        word = codes["word"].to_physical().to_numpy()
        # A stable sort keeps the rows of a word in their order.
        order = np.argsort(word, kind="stable")
        self._rows = codes["row"].to_numpy()[order]
        counts = np.bincount(word, minlength=len(self._words))
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    def find(self, query: str) -> Found | None:
        """Return the rows that hold all words of a query, or longer words that begin so.

        Returns:
            None for a query without words.
        """
        words = sorted(set(_split(pl.Series([query], dtype=pl.String), 0)["word"]))[:MOST_WORDS]
        if not words:
            return None
        mask = np.ones(self._size, bool)
        whole = np.zeros(self._size, np.uint8)
        for word in words:
            first, last, end = self._range(word)
            held = np.zeros(self._size, bool)
            held[self._rows[first:end]] = True
            mask &= held
            exact = np.zeros(self._size, bool)
            exact[self._rows[first:last]] = True
            whole += exact
        return Found(mask, whole)

    def _range(self, word: str) -> tuple[int, int, int]:
        """Return the slice of a word, and the end of the slice of all words that begin with it."""
        start = int(self._words.search_sorted(word, "left"))
        after = int(self._words.search_sorted(word, "right"))
        # The largest character ends the words with this beginning; one of an unspaced script has
        # no longer word.
        end = int(self._words.search_sorted(word + "\U0010ffff", "left"))
        first, last, stop = self._starts[[start, after, end]].tolist()
        return first, last, stop


def _split(texts: pl.Series, first_row: int) -> pl.DataFrame:
    """Return a row per word of a text: columns `row` and `word`."""
    rows = pl.int_range(first_row, first_row + len(texts), dtype=pl.UInt32, eager=True)
    table = pl.DataFrame({"row": rows, "text": texts.str.normalize("NFKC").str.to_lowercase()})
    text = pl.col("text")
    # Without the first character of a run, its pairs are those at odd places.
    shifted = text.str.replace_all(rf"({_UNSPACED})((?:{_UNSPACED})*)", " $2")
    unspaced = table.filter(text.str.contains(_UNSPACED))
    words = [
        table.select("row", word=text.str.extract_all(_SPACED)),
        unspaced.select("row", word=text.str.extract_all(_UNSPACED)),
        unspaced.select("row", word=text.str.extract_all(rf"{_UNSPACED}{{2}}")),
        unspaced.select("row", word=shifted.str.extract_all(rf"{_UNSPACED}{{2}}")),
    ]
    found = pl.concat(words).explode("word").drop_nulls()
    return found.unique(maintain_order=True)
