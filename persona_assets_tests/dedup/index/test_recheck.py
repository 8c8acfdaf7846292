"""Specification of `Recheck`: exact vectors decide pairs near the threshold, each computed once."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.index.column_store import ColumnStore
from persona_assets.dedup.index.recheck import BATCH, Recheck, Rechecked
from persona_assets.dedup.index.shard_index import SHAPES, ShardIndex, ShardRows
from persona_assets.dedup.index.vector_index import VectorIndex
from persona_assets.dedup.semantic.cosine_join import cosine_edges
from persona_assets.dedup.semantic.sign_sketches import choose_parameters
from persona_assets.local_models.embedder import DIMENSIONS

THRESHOLD, MARGIN = 0.9, 0.05

Matrix = np.ndarray


def unit(vectors: Matrix) -> Matrix:
    scaled: Matrix = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled.astype(np.float32)


def families(count: int, size: int) -> Matrix:
    """Return groups of vectors with cosines from 0.8 to 1 within a group, in random order."""
    rng = np.random.default_rng(count)
    centres = np.repeat(rng.standard_normal((count, DIMENSIONS)), size, axis=0)
    scale = rng.uniform(0, 0.35, (count * size, 1))
    vectors = unit(centres + scale * rng.standard_normal(centres.shape))
    return vectors[rng.permutation(len(vectors))]


def coarse(exact: Matrix) -> Matrix:
    """Return vectors whose cosines differ from the exact cosines by less than the margin."""
    noise = 0.0055 * np.random.default_rng(9).standard_normal(exact.shape)
    return unit(exact + noise)


class Stage:
    """A join with a recheck over a folder, which records the texts that it embeds.

    Text i is the number i; `proposing` are the vectors of the join.
    """

    def __init__(self, folder: Path, exact: Matrix, proposing: Matrix) -> None:
        self.embedded: list[str] = []
        self._folder = folder
        self._exact = exact
        self._proposing = proposing

    def embed(self, texts: Sequence[str]) -> Matrix:
        self.embedded += texts
        return self._exact[[int(text) for text in texts]]

    def join(self, *ends: int) -> Rechecked:
        """Join the rows up to the last end, in shards that stop at the ends."""
        parameters = choose_parameters(ends[-1], THRESHOLD - MARGIN, DIMENSIONS)
        shapes = {**SHAPES, **VectorIndex.shapes(DIMENSIONS), **Recheck.shapes(DIMENSIONS)}
        shards = [self._shard(start, end) for start, end in zip((0, *ends), ends, strict=False)]
        with ColumnStore(self._folder, shapes, repr(parameters)) as columns:
            joined = ShardIndex(columns, VectorIndex(columns, parameters)).update(shards)
            recheck = Recheck(columns, self.embed)
            return recheck.decide(joined, THRESHOLD, MARGIN, lambda rows: [*map(str, rows)])

    def _shard(self, start: int, end: int) -> ShardRows:
        def read() -> pl.DataFrame:
            ids = [str(row) for row in range(start, end)]
            value = pl.Series(self._proposing[start:end].tolist(), dtype=pl.List(pl.Float32))
            return pl.DataFrame({"id": pl.Series(ids, dtype=pl.String), "value": value})

        return ShardRows(f"{start}", f"{end}", read)


def cosines(edges: Edges) -> dict[tuple[int, int], float]:
    pairs = zip(edges.left.tolist(), edges.right.tolist(), strict=True)
    return dict(zip(pairs, edges.similarity.tolist(), strict=True))


def test_rechecked_pairs_are_those_of_the_exact_vectors(tmp_path: Path) -> None:
    exact = families(60, 3)
    rough = coarse(exact)
    assert 0 < np.abs(rough @ rough.T - exact @ exact.T).max() < MARGIN
    stage = Stage(tmp_path, exact, rough)
    result = stage.join(180)
    truth, unchecked = cosine_edges(exact, THRESHOLD), cosine_edges(rough, THRESHOLD)
    edges = result.joined.edges
    assert cosines(edges).keys() == cosines(truth).keys() != cosines(unchecked).keys()
    near = cosine_edges(rough, THRESHOLD - MARGIN)
    assert result.checked == (near.similarity <= THRESHOLD + MARGIN).sum()
    assert result.rejected == len(near) - len(truth) > 0
    # A checked pair has the cosine of its exact vectors; other pairs keep their cosine.
    expected = cosines(truth) | {
        pair: cosine for pair, cosine in cosines(near).items() if cosine > THRESHOLD + MARGIN
    }
    assert cosines(edges) == expected


def test_results_do_not_depend_on_the_split_into_shards_and_no_text_is_embedded_twice(
    tmp_path: Path,
) -> None:
    exact = families(60, 3)
    single = Stage(tmp_path / "single", exact, coarse(exact))
    whole = single.join(180).joined.edges
    histories: list[list[tuple[int, ...]]] = [[(50, 180)], [(7,), (7, 8, 100), (7, 8, 100, 180)]]
    for number, splits in enumerate(histories):
        stage = Stage(tmp_path / f"split {number}", exact, coarse(exact))
        for ends in splits:
            result = stage.join(*ends)
        edges = result.joined.edges
        assert np.array_equal(edges.left, whole.left)
        assert np.array_equal(edges.right, whole.right)
        assert np.array_equal(edges.similarity, whole.similarity)
        assert sorted(stage.embedded) == sorted(single.embedded)
        assert len(set(stage.embedded)) == len(stage.embedded)
        assert stage.join(*splits[-1]).embedded == 0


def test_pairs_of_removed_shards_are_neither_checked_nor_embedded(tmp_path: Path) -> None:
    exact = families(40, 2)
    rough = coarse(exact)
    stage = Stage(tmp_path, exact, rough)
    assert stage.join(60, 80).checked > stage.join(60).checked
    near = cosine_edges(rough[:60], THRESHOLD - MARGIN).similarity
    assert stage.join(60).checked == (near <= THRESHOLD + MARGIN).sum() > 0
    result = stage.join(60)
    assert result.embedded == 0
    truth = cosine_edges(exact[:60], THRESHOLD)
    assert cosines(result.joined.edges).keys() == cosines(truth).keys()


def test_vectors_embedded_before_a_failure_are_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    left = unit(rng.standard_normal((BATCH // 2 + 1, DIMENSIONS)))
    # Each pair has a cosine of 0.92.
    right = unit(left + 0.426 * unit(rng.standard_normal(left.shape)))
    exact = np.concatenate([left, right])

    class FailingStage(Stage):
        def embed(self, texts: Sequence[str]) -> Matrix:
            if self.embedded:
                raise MemoryError("no room for a second batch")
            return super().embed(texts)

    with pytest.raises(MemoryError, match="room"):
        FailingStage(tmp_path, exact, exact).join(len(exact))
    stage = Stage(tmp_path, exact, exact)
    result = stage.join(len(exact))
    assert (result.embedded, len(stage.embedded)) == (2, 2)
    assert (result.checked, result.rejected) == (len(left), 0)


def test_without_pairs_near_the_threshold_nothing_is_embedded(tmp_path: Path) -> None:
    exact = unit(np.random.default_rng(1).standard_normal((5, DIMENSIONS)))
    stage = Stage(tmp_path, exact, exact)
    for result in (stage.join(5), Stage(tmp_path / "none", exact[:0], exact[:0]).join(0)):
        assert (result.checked, result.rejected, result.embedded) == (0, 0, 0)
        assert len(result.joined.edges) == 0
    assert stage.embedded == []
