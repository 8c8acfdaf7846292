"""Whether a table of duplicates keeps its promises, asked of the texts and vectors themselves.

Nothing here uses what the join remembers: a sample is compared anew, with all.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.dedup.text.words import words

if TYPE_CHECKING:
    import numpy as np

SAMPLE = 100
"""Duplicates whose similarity is computed anew, and survivors that are compared with all others."""

TOLERANCE = 1e-3
"""By which half precision moves a cosine, at most."""


def audit_lexical(
    candidates: Sequence[pl.LazyFrame], repeated: pl.DataFrame, threshold: Fraction
) -> dict[str, int]:
    """Broken promises by kind; all 0 in a sound table.

    `candidates` are the shards that took part, read one at a time, `repeated` is
    `lexical_duplicates`.
    """
    from persona_assets.dedup.lexical.lexical_join import lexical_neighbours

    columns = pl.DataFrame(schema={"persona_id": pl.String(), "persona": pl.String()})
    taken = (shard.filter("kept").select(columns.columns).collect() for shard in candidates)
    personas = pl.concat([columns, *taken])
    pairs = repeated.filter(_drawn(repeated["persona_id"]))
    needed = pl.concat([pairs["persona_id"], pairs["survivor_id"]]).implode()
    text = dict(
        personas.filter(pl.col("persona_id").is_in(needed))
        .select("persona_id", "persona")
        .iter_rows()
    )
    wrong = sum(
        one not in text
        or other not in text
        or not _likely(text[one], text[other], similarity, threshold)
        for one, other, similarity, _ in pairs.iter_rows()
    )
    kept = personas.join(repeated, on="persona_id", how="anti", maintain_order="left")
    places = _drawn(kept["persona_id"]).arg_true().to_list()
    similar = lexical_neighbours(kept["persona"], places, threshold)
    return {**_structure(repeated), "wrong_similarity": wrong, "similar_survivors": len(similar)}


def audit_semantic(
    embeddings: Sequence[pl.LazyFrame],
    repeated: pl.DataFrame,
    threshold: float,
    tolerance: float = TOLERANCE,
) -> dict[str, int]:
    """Broken promises by kind; all 0 in a sound table, but for `similar_survivors`: the join finds
    almost all similar pairs, and what it missed is counted there.

    `embeddings` (persona_id, vector) are the shards that took part, read one at a time, `repeated`
    is `semantic_duplicates`, `tolerance` is by how much its cosines may differ from the vectors'.
    """
    import numpy as np

    from persona_assets.dedup.index.vector_index import to_matrix

    pairs = repeated.filter(_drawn(repeated["persona_id"]))
    ids = [shard.select("persona_id").collect()["persona_id"] for shard in embeddings]
    gone = repeated["persona_id"].implode()
    kept = pl.concat([pl.Series("persona_id", [], pl.String), *ids])
    kept = kept.filter(~kept.is_in(gone))
    asked = kept.filter(_drawn(kept)).to_list()
    wanted = pl.Series([*asked, *pairs["persona_id"], *pairs["survivor_id"]], dtype=pl.String)
    found = [shard.filter(pl.col("persona_id").is_in(wanted.implode())) for shard in embeddings]
    vector: dict[str, np.ndarray] = {}
    for shard in found:
        rows = shard.select("persona_id", "vector").collect()
        vector.update(zip(rows["persona_id"], _unit(to_matrix(rows["vector"])), strict=True))
    wrong = 0
    for one, other, similarity, _ in pairs.iter_rows():
        known = one in vector and other in vector
        cosine = float(vector[one] @ vector[other]) if known else -1.0
        wrong += abs(cosine - similarity) > tolerance or similarity <= threshold
    similar = 0
    for shard in embeddings if asked else []:
        rows = shard.filter(~pl.col("persona_id").is_in(gone)).collect()
        if rows.is_empty():
            continue
        near = np.stack([vector[one] for one in asked]) @ _unit(to_matrix(rows["vector"])).T
        itself = np.array(asked)[:, None] == rows["persona_id"].to_numpy()
        similar += int(((near > threshold + tolerance) & ~itself).sum())
    return {**_structure(repeated), "wrong_similarity": wrong, "similar_survivors": similar}


def _structure(repeated: pl.DataFrame) -> dict[str, int]:
    gone = repeated["persona_id"]
    return {
        "gone_survivors": int(repeated["survivor_id"].is_in(gone.implode()).sum()),
        "repeated_rows": len(gone) - gone.n_unique(),
    }


def _likely(one: str, other: str, similarity: float, threshold: Fraction) -> bool:
    a, b = words(one), words(other)
    jaccard = Fraction(len(a & b), len(a | b)) if a | b else Fraction(1)
    return jaccard >= threshold and abs(float(jaccard) - similarity) < 1e-12


def _drawn(ids: pl.Series) -> pl.Series:
    """Which ids are in the sample: the same whatever else there is.

    Ids are hashes, so their order draws; that of their second half, for the first may have decided
    who survives.
    """
    half = ids.str.tail(16)
    return half.is_in(half.bottom_k(SAMPLE).implode())


def _unit(vectors: "np.ndarray") -> "np.ndarray":
    import numpy as np

    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms == 0, 1, norms)
