"""Audit of duplicate tables against the texts and vectors themselves.

An audit uses no state of the join: it compares a sample of rows with all rows again.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.dedup.text.words import words

if TYPE_CHECKING:
    import numpy as np

SAMPLE = 100
"""Number of duplicates to recompute, and of survivors to compare with all other survivors."""

TOLERANCE = 1e-3
"""Largest error of a cosine in half precision."""


def audit_lexical(
    candidates: Sequence[pl.LazyFrame], repeated: pl.DataFrame, threshold: Fraction
) -> dict[str, int]:
    """Count violations in a table of lexical duplicates.

    Args:
        candidates: `persona_candidates` of all shards of the join, read one at a time.
        repeated: `lexical_duplicates`.
        threshold: Jaccard similarity from which personas are duplicates.

    Returns:
        Number of violations by kind; all 0 in a sound table.
    """
    from persona_assets.dedup.lexical.lexical_join import lexical_neighbours

    columns = pl.DataFrame(schema={"persona_id": pl.String(), "persona": pl.String()})
    kept = (shard.filter("kept").select(columns.columns).collect() for shard in candidates)
    personas = pl.concat([columns, *kept])
    pairs = repeated.filter(_is_sampled(repeated["persona_id"]))
    ids = pl.concat([pairs["persona_id"], pairs["survivor_id"]]).implode()
    text = dict(
        personas.filter(pl.col("persona_id").is_in(ids)).select("persona_id", "persona").iter_rows()
    )
    wrong = sum(
        duplicate not in text
        or survivor not in text
        or not _has_jaccard(text[duplicate], text[survivor], similarity, threshold)
        for duplicate, survivor, similarity, _ in pairs.iter_rows()
    )
    survivors = personas.join(repeated, on="persona_id", how="anti", maintain_order="left")
    sample = _is_sampled(survivors["persona_id"]).arg_true().to_list()
    similar = lexical_neighbours(survivors["persona"], sample, threshold)
    return {**_structure(repeated), "wrong_similarity": wrong, "similar_survivors": len(similar)}


def audit_semantic(
    embeddings: Sequence[pl.LazyFrame],
    repeated: pl.DataFrame,
    threshold: float,
    tolerance: float = TOLERANCE,
) -> dict[str, int]:
    """Count violations in a table of semantic duplicates.

    Args:
        embeddings: `persona_id` and `vector` of all shards of the join, read one at a time.
        repeated: `semantic_duplicates`.
        threshold: Cosine above which personas are duplicates.
        tolerance: Largest accepted difference between a cosine of the table and of the vectors.

    Returns:
        Number of violations by kind; all 0 in a sound table, except `similar_survivors`: the join
        finds almost all similar pairs, and `similar_survivors` counts the missed pairs.
    """
    import numpy as np

    from persona_assets.dedup.index.vector_index import to_matrix

    pairs = repeated.filter(_is_sampled(repeated["persona_id"]))
    ids = [shard.select("persona_id").collect()["persona_id"] for shard in embeddings]
    duplicates = repeated["persona_id"].implode()
    survivors = pl.concat([pl.Series("persona_id", [], pl.String), *ids])
    survivors = survivors.filter(~survivors.is_in(duplicates))
    sample = survivors.filter(_is_sampled(survivors)).to_list()
    needed = pl.Series([*sample, *pairs["persona_id"], *pairs["survivor_id"]], dtype=pl.String)
    selected = [shard.filter(pl.col("persona_id").is_in(needed.implode())) for shard in embeddings]
    vector: dict[str, np.ndarray] = {}
    for shard in selected:
        rows = shard.select("persona_id", "vector").collect()
        vector.update(zip(rows["persona_id"], _unit(to_matrix(rows["vector"])), strict=True))
    wrong = 0
    for duplicate, survivor, similarity, _ in pairs.iter_rows():
        is_known = duplicate in vector and survivor in vector
        cosine = float(vector[duplicate] @ vector[survivor]) if is_known else -1.0
        wrong += abs(cosine - similarity) > tolerance or similarity <= threshold
    similar = 0
    for shard in embeddings if sample else []:
        rows = shard.filter(~pl.col("persona_id").is_in(duplicates)).collect()
        if rows.is_empty():
            continue
        sampled_vectors = np.stack([vector[persona_id] for persona_id in sample])
        cosines = sampled_vectors @ _unit(to_matrix(rows["vector"])).T
        is_same_row = np.array(sample)[:, None] == rows["persona_id"].to_numpy()
        similar += int(((cosines > threshold + tolerance) & ~is_same_row).sum())
    return {**_structure(repeated), "wrong_similarity": wrong, "similar_survivors": similar}


def count_shared(texts: pl.Series, others: pl.Series, threshold: Fraction) -> int:
    """Count the texts that are near-duplicates of one of the others; see `find_shared`."""
    return int(find_shared(texts, others, threshold).sum())


def find_shared(texts: pl.Series, others: pl.Series, threshold: Fraction) -> pl.Series:
    """Return a mask of the texts that are near-duplicates of one of the others.

    Args:
        texts: Texts of one side.
        others: Texts of the other side.
        threshold: Jaccard similarity of word sets from which two texts are duplicates.
    """
    import numpy as np

    from persona_assets.dedup.lexical.lexical_join import lexical_join

    join = lexical_join(pl.concat([texts, others]), threshold)
    own, other = join.sets[: len(texts)], join.sets[len(texts) :]
    edges = join.edges
    like_other = np.concatenate(
        [
            other,
            edges.left[np.isin(edges.right, other)],
            edges.right[np.isin(edges.left, other)],
        ]
    )
    return pl.Series(np.isin(own, like_other), dtype=pl.Boolean)


def _structure(repeated: pl.DataFrame) -> dict[str, int]:
    """Count survivors that are duplicates themselves, and repeated rows."""
    duplicates = repeated["persona_id"]
    return {
        "gone_survivors": int(repeated["survivor_id"].is_in(duplicates.implode()).sum()),
        "repeated_rows": len(duplicates) - duplicates.n_unique(),
    }


def _has_jaccard(text: str, other: str, similarity: float, threshold: Fraction) -> bool:
    """Return True if two texts have the stated similarity, and it reaches the threshold."""
    a, b = words(text), words(other)
    jaccard = Fraction(len(a & b), len(a | b)) if a | b else Fraction(1)
    return jaccard >= threshold and abs(float(jaccard) - similarity) < 1e-12


def _is_sampled(ids: pl.Series) -> pl.Series:
    """Return a mask of the ids in the sample, independent of the order of rows.

    Ids are hashes, so that their order is random. The order of their second half is used, because
    the first half may have decided the survivor.
    """
    half = ids.str.tail(16)
    return half.is_in(half.bottom_k(SAMPLE).implode())


def _unit(vectors: "np.ndarray") -> "np.ndarray":
    import numpy as np

    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms == 0, 1, norms)
