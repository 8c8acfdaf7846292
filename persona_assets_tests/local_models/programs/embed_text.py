"""Embed a text, then print if its vector is not zero, and which heavy packages were imported."""

import sys

from persona_assets.local_models.embedder import MINILM, LocalEmbedder

print(LocalEmbedder(MINILM).embed(["a baker"]).any())
print({"torch", "transformers", "sentence_transformers"} & set(sys.modules))
