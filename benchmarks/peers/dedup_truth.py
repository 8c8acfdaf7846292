"""Which of the benchmark's texts are near-duplicates, and how much of that an engine has found.

All texts are compared with each other, by the definition of a word (words.py) and nothing else of
the engine that is judged.
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
"""Most rows of which all pairs are compared."""

Pairs = pl.DataFrame | str
"""Pairs of rows in the columns left and right, ascending; or why they are not known."""


def truth(path: Path) -> dict[str, Array]:
    """`sets`, the first row with the same words for each row, and all pairs of such rows.

    `left` and `right` are those with a Jaccard similarity of at least `THRESHOLD`, found by
    comparing all sets of words with each other; kept beside `path`.
    """
    source = hashlib.sha256(Path(__file__).read_bytes() + VERSION.encode()).hexdigest()
    kept = path.with_suffix(f".truth-{source[:12]}.npz")
    if not kept.exists():
        with pa.memory_map(str(path)) as file:
            sets, left, right = brute_force(pa.ipc.open_file(file).read_all()["text"].to_pylist())
        np.savez(kept, sets=sets, left=left, right=right)
    with np.load(kept) as found:
        return dict(found)


def brute_force(texts: Sequence[str]) -> tuple[Array, Array, Array]:
    number: dict[str, int] = {}
    first: dict[frozenset[str], int] = {}
    sets = np.empty(len(texts), np.int64)
    for row, text in enumerate(texts):
        sets[row] = first.setdefault(words(text), row)
    found = sorted(first, key=len)
    held = [sorted(number.setdefault(word, len(number)) for word in each) for each in found]
    sizes = np.array([len(each) for each in held])
    flat = np.fromiter((word for each in held for word in each), np.int64, int(sizes.sum()))
    left, right = similar(flat, sizes, THRESHOLD.numerator, THRESHOLD.denominator)
    row_of = np.array([first[each] for each in found])
    left, right = row_of[left], row_of[right]
    return sets, np.minimum(left, right), np.maximum(left, right)


@allocating
def similar(flat: Array, sizes: Array, numerator: int, denominator: int) -> tuple[Array, Array]:
    """All pairs of sets, given by ascending size, whose similarity is not below the threshold."""
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
            # Each word in one set alone flips one bit.
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


def expanded(found: dict[str, Any]) -> pl.DataFrame:
    """All pairs of rows, from the row that each has its words from and pairs of such rows."""
    sets = pl.DataFrame({"set": found["sets"]}).with_row_index("row").cast(pl.Int64)
    again = sets.filter(pl.col("set").is_duplicated())
    equal = again.join(again, on="set").filter(pl.col("row") < pl.col("row_right"))
    near = (
        pl.DataFrame({"left": found["left"], "right": found["right"]})
        .join(sets, left_on="left", right_on="set")
        .join(sets, left_on="right", right_on="set", suffix="_right")
    )
    pairs = pl.concat([each.select("row", "row_right") for each in (equal, near)])
    return pairs.select(
        left=pl.min_horizontal("row", "row_right"), right=pl.max_horizontal("row", "row_right")
    ).sort("left", "right")


def score(found: dict[str, Any], known: Pairs) -> dict[str, Any]:
    """What was found, and how much of it is right."""
    if not found:
        return {"measure": None, "recall": None, "precision": None, "pairs": None}
    (*_, name) = found
    measure = {"dropped": "F", "flagged": "any"}.get(name, "pairs")
    rows = expanded(found) if measure == "pairs" else pl.DataFrame({"right": found[name]})
    count = {"pairs" if measure == "pairs" else "documents": len(rows)}
    if isinstance(known, str):
        why = {"recall": None, "precision": None, "unknown": known}
        return {"measure": measure, **count, **why}
    wanted = known if measure == "pairs" else documents(known, measure)
    both = len(rows.join(wanted, on=rows.columns))
    recall, precision = (both / len(of) if len(of) else 1.0 for of in (wanted, rows))
    return {"measure": measure, **count, "recall": recall, "precision": precision}


def documents(pairs: pl.DataFrame, measure: str) -> pl.DataFrame:
    """Rows like an earlier one, or like any."""
    later = pairs.select("right")
    rows = later if measure == "F" else pl.concat([later, pairs.select(right="left")])
    return rows.unique()
