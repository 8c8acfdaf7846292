"""Pairs that coarse vectors find near the threshold are decided by exact ones, each made once."""

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
    """Vectors in any order, of which `size` each have cosines from 0.8 to 1 to each other."""
    chance = np.random.default_rng(count)
    middle = np.repeat(chance.standard_normal((count, DIMENSIONS)), size, axis=0)
    apart = chance.uniform(0, 0.35, (count * size, 1))
    made = unit(middle + apart * chance.standard_normal(middle.shape))
    return made[chance.permutation(len(made))]


def coarse(exact: Matrix) -> Matrix:
    """Vectors whose cosines are off by less than the margin."""
    noise = 0.0055 * np.random.default_rng(9).standard_normal(exact.shape)
    return unit(exact + noise)


class Stage:
    """A join that remembers in a folder; counts the texts that it embeds."""

    def __init__(self, folder: Path, exact: Matrix, found_by: Matrix) -> None:
        self.embedded: list[str] = []
        self._folder = folder
        self._exact = exact
        self._found_by = found_by

    def embed(self, texts: Sequence[str]) -> Matrix:
        self.embedded += texts
        return self._exact[[int(text) for text in texts]]

    def join(self, *ends: int) -> Rechecked:
        """The rows up to the last end, in shards that stop at the ends."""
        chosen = choose_parameters(ends[-1], THRESHOLD - MARGIN, DIMENSIONS)
        shapes = {**SHAPES, **VectorIndex.shapes(DIMENSIONS), **Recheck.shapes(DIMENSIONS)}
        shards = [self._shard(start, end) for start, end in zip((0, *ends), ends, strict=False)]
        with ColumnStore(self._folder, shapes, repr(chosen)) as columns:
            found = ShardIndex(columns, VectorIndex(columns, chosen)).update(shards)
            recheck = Recheck(columns, self.embed)
            return recheck.decide(found, THRESHOLD, MARGIN, lambda rows: [*map(str, rows)])

    def _shard(self, start: int, end: int) -> ShardRows:
        def read() -> pl.DataFrame:
            ids = [str(row) for row in range(start, end)]
            value = pl.Series(self._found_by[start:end].tolist(), dtype=pl.List(pl.Float32))
            return pl.DataFrame({"id": pl.Series(ids, dtype=pl.String), "value": value})

        return ShardRows(f"{start}", f"{end}", read)


def cosines(edges: Edges) -> dict[tuple[int, int], float]:
    found = zip(edges.left.tolist(), edges.right.tolist(), strict=True)
    return dict(zip(found, edges.similarity.tolist(), strict=True))


def test_the_pairs_are_those_of_the_exact_vectors(tmp_path: Path) -> None:
    exact = families(60, 3)
    rough = coarse(exact)
    assert 0 < np.abs(rough @ rough.T - exact @ exact.T).max() < MARGIN
    stage = Stage(tmp_path, exact, rough)
    done = stage.join(180)
    truth, unchecked = cosine_edges(exact, THRESHOLD), cosine_edges(rough, THRESHOLD)
    edges = done.found.edges
    assert cosines(edges).keys() == cosines(truth).keys() != cosines(unchecked).keys()
    near = cosine_edges(rough, THRESHOLD - MARGIN)
    assert done.checked == (near.similarity <= THRESHOLD + MARGIN).sum()
    assert done.fell == len(near) - len(truth) > 0
    # Those that were checked have the cosine of the exact vectors, the others keep theirs.
    expected = cosines(truth) | {
        pair: cosine for pair, cosine in cosines(near).items() if cosine > THRESHOLD + MARGIN
    }
    assert cosines(edges) == expected


def test_any_split_into_shards_decides_the_same_and_embeds_no_text_twice(tmp_path: Path) -> None:
    exact = families(60, 3)
    once = Stage(tmp_path / "once", exact, coarse(exact))
    whole = once.join(180).found.edges
    ways: list[list[tuple[int, ...]]] = [[(50, 180)], [(7,), (7, 8, 100), (7, 8, 100, 180)]]
    for number, splits in enumerate(ways):
        stage = Stage(tmp_path / f"split {number}", exact, coarse(exact))
        for ends in splits:
            done = stage.join(*ends)
        edges = done.found.edges
        assert np.array_equal(edges.left, whole.left)
        assert np.array_equal(edges.right, whole.right)
        assert np.array_equal(edges.similarity, whole.similarity)
        assert sorted(stage.embedded) == sorted(once.embedded)
        assert len(set(stage.embedded)) == len(stage.embedded)
        assert stage.join(*splits[-1]).embedded == 0


def test_shards_that_are_gone_cost_nothing(tmp_path: Path) -> None:
    exact = families(40, 2)
    rough = coarse(exact)
    stage = Stage(tmp_path, exact, rough)
    assert stage.join(60, 80).checked > stage.join(60).checked
    near = cosine_edges(rough[:60], THRESHOLD - MARGIN).similarity
    assert stage.join(60).checked == (near <= THRESHOLD + MARGIN).sum() > 0
    done = stage.join(60)
    assert done.embedded == 0
    assert cosines(done.found.edges).keys() == cosines(cosine_edges(exact[:60], THRESHOLD)).keys()


def test_what_was_embedded_before_a_failure_is_kept(tmp_path: Path) -> None:
    chance = np.random.default_rng(5)
    one = unit(chance.standard_normal((BATCH // 2 + 1, DIMENSIONS)))
    # Pairs of cosine 0.92.
    other = unit(one + 0.426 * unit(chance.standard_normal(one.shape)))
    exact = np.concatenate([one, other])

    class Failing(Stage):
        def embed(self, texts: Sequence[str]) -> Matrix:
            if self.embedded:
                raise MemoryError("as many as there was room for")
            return super().embed(texts)

    with pytest.raises(MemoryError, match="room"):
        Failing(tmp_path, exact, exact).join(len(exact))
    stage = Stage(tmp_path, exact, exact)
    done = stage.join(len(exact))
    assert (done.embedded, len(stage.embedded)) == (2, 2)
    assert (done.checked, done.fell) == (len(one), 0)


def test_nothing_near_and_no_rows(tmp_path: Path) -> None:
    exact = unit(np.random.default_rng(1).standard_normal((5, DIMENSIONS)))
    stage = Stage(tmp_path, exact, exact)
    for done in (stage.join(5), Stage(tmp_path / "none", exact[:0], exact[:0]).join(0)):
        assert (done.checked, done.fell, done.embedded, len(done.found.edges)) == (0, 0, 0, 0)
    assert stage.embedded == []
