"""True near-duplicates among the benchmark's texts, and the recall and precision of an engine.

Brute force compares all texts with each other. It shares only the definition of a word (words.py)
with the engine that it judges.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from peers.dedup_engines import THRESHOLD

from persona_assets.dedup.kernels.bits import mix64, popcount
from persona_assets.dedup.kernels.compile import Array, allocating
from persona_assets.dedup.text.words import VERSION, words

BRUTE_FORCE = 100_000
"""Most rows for brute force."""

Pairs = pl.DataFrame | str
"""Pairs of rows, columns left and right, ascending; or the reason why they are unknown."""


def truth(path: Path) -> dict[str, Array]:
    """Return the true near-duplicates of an Arrow file, computed once and stored beside the file.

    Returns:
        `sets`: First row with the same words, for each row, int64, shape (n,). `left`, `right`:
        Pairs of such first rows with a Jaccard similarity of at least `THRESHOLD`, int64.
    """
    source = hashlib.sha256(Path(__file__).read_bytes() + VERSION.encode()).hexdigest()
    stored = path.with_suffix(f".truth-{source[:12]}.npz")
    if not stored.exists():
        with pa.memory_map(str(path)) as file:
            sets, left, right = brute_force(pa.ipc.open_file(file).read_all()["text"].to_pylist())
        np.savez(stored, sets=sets, left=left, right=right)
    with np.load(stored) as arrays:
        return dict(arrays)


def brute_force(texts: Sequence[str]) -> tuple[Array, Array, Array]:
    """Compare all sets of words with each other and return sets, left and right of `truth`."""
    number: dict[str, int] = {}
    first: dict[frozenset[str], int] = {}
    sets = np.empty(len(texts), np.int64)
    for row, text in enumerate(texts):
        sets[row] = first.setdefault(words(text), row)
    distinct = sorted(first, key=len)
    ids = [sorted(number.setdefault(word, len(number)) for word in each) for each in distinct]
    sizes = np.array([len(each) for each in ids])
    flat = np.fromiter((word for each in ids for word in each), np.int64, int(sizes.sum()))
    left, right = similar(flat, sizes, THRESHOLD.numerator, THRESHOLD.denominator)
    row_of = np.array([first[each] for each in distinct])
    left, right = row_of[left], row_of[right]
    return sets, np.minimum(left, right), np.maximum(left, right)


@allocating
def similar(flat: Array, sizes: Array, numerator: int, denominator: int) -> tuple[Array, Array]:
    """Find all pairs of sets, sorted by size, whose similarity reaches the threshold."""
    ends = np.cumsum(sizes)
    bits = np.zeros((len(sizes), 2), np.uint64)
    for i in range(len(sizes)):
        for word in flat[ends[i] - sizes[i] : ends[i]]:
            place = mix64(np.uint64(word + 1)) & np.uint64(127)
            bits[i, place >> np.uint64(6)] ^= np.uint64(1) << (place & np.uint64(63))
    left, right = [0 for _ in range(0)], [0 for _ in range(0)]
    for i in range(len(sizes)):
        for j in range(i + 1, len(sizes)):
            both = sizes[i] + sizes[j]
            if sizes[i] * denominator < sizes[j] * numerator:
                break
            # Each word that only the left or the right set has flips a bit.
            most = (denominator - numerator) * both // (denominator + numerator)
            differ = popcount(bits[i, 0] ^ bits[j, 0]) + popcount(bits[i, 1] ^ bits[j, 1])
            if differ > most:
                continue
            a, b, shared = ends[i] - sizes[i], ends[j] - sizes[j], 0
            while a < ends[i] and b < ends[j]:
                x, y = flat[a], flat[b]
                shared += x == y
                a += x <= y
                b += y <= x
            if shared * denominator >= (both - shared) * numerator:
                left.append(i)
                right.append(j)
    return np.array(left), np.array(right)


def expanded(arrays: dict[str, Any]) -> pl.DataFrame:
    """Expand pairs of sets, the arrays of `truth`, to pairs of rows."""
    sets = pl.DataFrame({"set": arrays["sets"]}).with_row_index("row").cast(pl.Int64)
    again = sets.filter(pl.col("set").is_duplicated())
    equal = again.join(again, on="set").filter(pl.col("row") < pl.col("row_right"))
    near = (
        pl.DataFrame({"left": arrays["left"], "right": arrays["right"]})
        .join(sets, left_on="left", right_on="set")
        .join(sets, left_on="right", right_on="set", suffix="_right")
    )
    pairs = pl.concat([each.select("row", "row_right") for each in (equal, near)])
    return pairs.select(
        left=pl.min_horizontal("row", "row_right"), right=pl.max_horizontal("row", "row_right")
    ).sort("left", "right")


def score(duplicates: dict[str, Any], pairs: Pairs) -> dict[str, Any]:
    """Return the number of duplicates that an engine found, their recall and their precision.

    Args:
        duplicates: Arrays that the engine wrote, see peers/dedup_engines.py.
        pairs: True pairs of rows.
    """
    if not duplicates:
        return {"measure": None, "recall": None, "precision": None, "pairs": None}
    (*_, name) = duplicates
    measure = {"dropped": "F", "flagged": "any"}.get(name, "pairs")
    rows = expanded(duplicates) if measure == "pairs" else pl.DataFrame({"right": duplicates[name]})
    count = {"pairs" if measure == "pairs" else "documents": len(rows)}
    if isinstance(pairs, str):
        unknown = {"recall": None, "precision": None, "unknown": pairs}
        return {"measure": measure, **count, **unknown}
    true = pairs if measure == "pairs" else documents(pairs, measure)
    hits = len(rows.join(true, on=rows.columns))
    recall, precision = (hits / len(whole) if len(whole) else 1.0 for whole in (true, rows))
    return {"measure": measure, **count, "recall": recall, "precision": precision}


def documents(pairs: pl.DataFrame, measure: str) -> pl.DataFrame:
    """Return the rows similar to an earlier row, or to any row, from the true pairs."""
    later = pairs.select("right")
    rows = later if measure == "F" else pl.concat([later, pairs.select(right="left")])
    return rows.unique()
