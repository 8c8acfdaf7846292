"""Vectors of known cosines, and tables of embeddings from them."""

from collections.abc import Mapping, Sequence
from math import acos, cos, sin

import numpy as np
import polars as pl

from persona_assets.steps.hub import EMBEDDINGS
from persona_assets.storage.step_result import typed_frame


def at_cosines(*cosines: float) -> np.ndarray:
    """Return unit vectors in the plane, one per cosine to the vector (1, 0)."""
    return np.array([(cos(acos(c)), sin(acos(c))) for c in cosines], np.float32)


def embeddings(vectors: Mapping[str, Sequence[float] | np.ndarray]) -> pl.DataFrame:
    """Return a table of embeddings from vectors by persona id, all of Latin script."""
    rows = [
        {"persona_id": name, "vector": [float(x) for x in vector], "script": "Latin"}
        for name, vector in vectors.items()
    ]
    return typed_frame(rows, EMBEDDINGS)
