"""Vectors of an embedding response, in any of the shapes that servers send."""

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class EmbeddingError(ValueError):
    """A response does not hold a vector for each text."""


def has_vectors(body: Mapping[str, Any], texts: int) -> bool:
    """Return True if a response has a vector for each text, without reading the vectors.

    Example:
        >>> has_vectors({"data": [{"embedding": [0.5]}]}, 1), has_vectors({"data": []}, 1)
        (True, False)
    """
    try:
        rows = _in_order(_rows(body, texts))
    except EmbeddingError:
        return False
    return all(isinstance(row.get("embedding"), str | list) and row["embedding"] for row in rows)


def read_vectors(body: Mapping[str, Any], texts: int) -> "np.ndarray":
    """Return the vectors of a response, float32, shape (texts, dimensions), in the texts' order.

    Rows without `index` are in the order of the texts. A vector is a list of numbers or, since not
    all servers support what is requested, base64 of float32.

    Args:
        body: Body of the response.
        texts: Number of texts that were sent.

    Raises:
        EmbeddingError: A vector is missing, empty, or not of finite numbers; lengths or numbers of
            the vectors do not fit.

    Example:
        >>> rows = [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1, 2]}]
        >>> read_vectors({"data": rows}, 2).tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    import numpy as np

    vectors = [_vector(row.get("embedding")) for row in _in_order(_rows(body, texts))]
    if len({len(vector) for vector in vectors}) > 1:
        raise EmbeddingError("its vectors differ in length")
    array = np.array(vectors, np.float32)
    if not np.isfinite(array).all():
        raise EmbeddingError("a vector has a number that is not finite")
    return array


def _rows(body: Mapping[str, Any], texts: int) -> list[Any]:
    rows = body.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise EmbeddingError("it has no list of vectors")
    if len(rows) != texts:
        raise EmbeddingError(f"it has {len(rows)} vectors for {texts} texts")
    return rows


def _in_order(rows: list[Any]) -> list[Any]:
    indices = [row.get("index") for row in rows]
    if all(index is None for index in indices):
        return rows
    if not all(type(index) is int for index in indices):
        raise EmbeddingError("some of its vectors have no index")
    if len(set(indices)) < len(indices):
        raise EmbeddingError("two of its vectors have one index")
    return sorted(rows, key=lambda row: row["index"])


def _vector(embedding: object) -> "np.ndarray":
    import numpy as np

    try:
        if isinstance(embedding, str):
            vector = np.frombuffer(base64.b64decode(embedding, validate=True), "<f4")
        else:
            vector = np.asarray(embedding, np.float32)
    except (binascii.Error, ValueError, TypeError, OverflowError):
        raise EmbeddingError("a vector is neither a list of numbers nor base64") from None
    if vector.ndim == 2 and len(vector) == 1:
        # Some servers wrap each vector into a list.
        vector = vector[0]
    if vector.ndim != 1 or not len(vector):
        raise EmbeddingError("a vector is empty")
    return vector
