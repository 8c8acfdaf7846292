"""Fetch a file into a cache, and print the reports and then its path.

fetch_weights.py CACHE BYTES SHA256 PATH              # from a path
fetch_weights.py CACHE BYTES SHA256 PATH REPOSITORY   # from the hub, then from a path
"""

import sys
from pathlib import Path

from persona_assets.local_models.weight_sources import Hub, LocalFile, WeightSource
from persona_assets.local_models.weights import Weights, fetch

cache, size, sha256, path, *repositories = sys.argv[1:]
sources: list[WeightSource] = [Hub(name, "main", "tiny.gguf") for name in repositories]
sources.append(LocalFile(Path(path)))
weights = Weights("tiny", "tiny.gguf", int(size), sha256, "MIT", "tests", tuple(sources))
print(fetch(weights, Path(cache), report=lambda message: print(message, flush=True)))
