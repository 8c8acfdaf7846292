"""Inputs of a training: its examples, and the hash that names its model."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

from persona_assets.training.job import Hyperparameters

VERSION = "1"
"""Version of a job's results; after a change, earlier models are trained again."""

Row = Mapping[str, str]
"""Training row with the keys `problem` and `solution`, and an optional `sample_id`."""


def inputs_hash(
    rows: Sequence[Row],
    base_sha256: str,
    hyper: Hyperparameters,
    evaluation: Sequence[Row] = (),
) -> str:
    """Hash everything that decides a model; the versions of libraries are recorded instead.

    Args:
        rows: Rows to train on.
        base_sha256: Hash of the base model.
        hyper: Hyper-parameters.
        evaluation: Rows of the evaluation loss.
    """
    digest = hashlib.sha256(f"{VERSION} {base_sha256} {hyper.model_dump_json()}\n".encode())
    for line in example_lines(rows):
        digest.update(line)
    if evaluation:
        digest.update(b"evaluation\n")
        for line in example_lines(evaluation):
            digest.update(line)
    return digest.hexdigest()


def example_lines(rows: Sequence[Row]) -> Iterator[bytes]:
    """Yield rows as lines of TRL's conversational prompt-completion format."""
    for row in rows:
        example = {
            "prompt": [{"role": "user", "content": row["problem"]}],
            "completion": [{"role": "assistant", "content": row["solution"]}],
        }
        yield json.dumps(example).encode() + b"\n"


def rows_sha256(rows: Sequence[Row]) -> str:
    """Hash the ids of rows, in their order."""
    return hashlib.sha256("".join(f"{row.get('sample_id')}\n" for row in rows).encode()).hexdigest()
