"""Vectors are read in the order of the texts, or refused with what is wrong about them."""

import base64
import math
import struct
from typing import Any

import pytest

from persona_assets.generation.parsing.embeddings import (
    EmbeddingError,
    has_vectors,
    read_vectors,
)


def row(embedding: object, index: object = None) -> dict[str, Any]:
    return {"embedding": embedding} | ({} if index is None else {"index": index})


PACKED = base64.b64encode(struct.pack("<2f", 1.0, 2.0)).decode()
A, B = [1.0, 2.0], [3.0, 4.0]


@pytest.mark.parametrize(
    "rows",
    [
        [row(A, 0), row(B, 1)],
        [row(B, 1), row(A, 0)],
        [row(B, 2), row(A, 1)],
        [row(A), row(B)],
        [row(PACKED), row(B)],
        [row([A]), row([B])],
        [row([1, 2]), row([3, 4])],
    ],
)
def test_vectors_are_in_the_order_of_the_texts(rows: list[dict[str, Any]]) -> None:
    assert has_vectors({"data": rows}, 2)
    assert read_vectors({"data": rows}, 2).tolist() == [A, B]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "no list of vectors"),
        ({"embedding": A}, "no list of vectors"),
        ([A, B], "no list of vectors"),
        ([row(A)], "1 vectors for 2 texts"),
        ([row(A), row(B), row(A)], "3 vectors for 2 texts"),
        ([row(A, 0), row(B, 0)], "have one index"),
        ([row(A, 0), row(B)], "have no index"),
        ([row(A, "0"), row(B, "1")], "have no index"),
        ([row(A), row([])], "empty"),
        ([row(A), row("")], "empty"),
        ([row(A), row(None)], "empty"),
        ([row(A), {}], "empty"),
        ([row(A), row([1.0])], "differ in length"),
        ([row(A), row([1.0, math.nan])], "not finite"),
        ([row(A), row([1.0, None])], "not finite"),
        ([row(A), row(["x", "y"])], "neither"),
        ([row(A), row("???")], "neither"),
        ([row(A), row(PACKED[:4])], "neither"),
        ([row(A), row([[1.0], [2.0]])], "empty"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(data: Any, reason: str) -> None:
    with pytest.raises(EmbeddingError, match=reason):
        read_vectors({"data": data}, 2)
