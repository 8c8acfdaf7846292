import numpy as np
import pytest

from persona_assets.resources.embedder import MINILM, EmbedderError, LocalEmbedder
from persona_assets.steps.hub import semantic_duplicates
from persona_assets_tests.steps.vectors import embeddings

NURSE = "A retired nurse who teaches children to swim"
TWICE = "A nurse, now retired, who teaches swimming to children"
ENGINEER = "A young engineer who designs bridges in Cairo"
THAI = ["ครูวัยเกษียณที่ชอบปลูกกล้วยไม้", "ชาวประมงหนุ่มที่ซ่อมเครื่องยนต์เรือ"]


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder(MINILM)


def test_meaning_decides_and_the_batch_does_not(embedder: LocalEmbedder) -> None:
    vectors = embedder.embed([NURSE, TWICE, ENGINEER])
    assert (vectors.shape, vectors.dtype) == ((3, 384), np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.9
    assert vectors[0] @ vectors[2] < 0.5
    assert embedder.embed([ENGINEER])[0] == pytest.approx(vectors[2], abs=1e-5)
    assert embedder.embed([]).shape == (0, 384)


def test_texts_that_the_model_cannot_read_are_no_duplicates(embedder: LocalEmbedder) -> None:
    texts = [*THAI, "!", "", NURSE, TWICE]
    found = semantic_duplicates(
        embeddings(dict(zip(texts, embedder.embed(texts), strict=True))), 0.9
    )
    assert found.rows.select("persona_id", "survivor_id").rows() == [(TWICE, NURSE)]


def test_another_model_is_refused_with_what_to_set() -> None:
    with pytest.raises(EmbedderError, match=f"PERSONA_EMBEDDER__MODEL={MINILM}"):
        LocalEmbedder("some-other-model")
