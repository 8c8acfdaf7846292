"""Row ids: hashes of content and origin.

An id never depends on the time or the machine: equal inputs have equal ids on every machine, and
the rows of a repeated run are identical to the rows of the first run.
"""

import hashlib

VARIANT = "@"
"""Sign between the name of a task and the name of its variant."""


def content_id(*parts: str) -> str:
    """Return the 128-bit BLAKE2b hash of the parts as 32 hexadecimal digits.

    Parts are length-prefixed: ("ab", "c") and ("a", "bc") have different hashes.

    Example:
        >>> content_id("ab", "c")
        '4826ed043ab3cdec576d8541fa5d5a80'
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def text_id(shard: str, source: str, text: str) -> str:
    """Return the id of a text; equal texts in two shards have different ids."""
    return content_id("text", shard, source, text)


def text_content(text: str) -> str:
    """Return the id of a text's words, whichever its shard, its source and its white space.

    Example:
        >>> text_content("a  tide\\n") == text_content("a tide")
        True
    """
    return content_id(" ".join(text.split()))


def persona_id(parent_id: str, relation: str, persona: str) -> str:
    """Return the id of a persona.

    Args:
        parent_id: Id of the text (hop 0) or of the parent persona.
        relation: Perspective on the text (hop 0), or relation to the parent persona.
        persona: Description.
    """
    return content_id("persona", parent_id, relation, persona)


def sample_id(task: str, persona_id: str, index: int) -> str:
    """Return the id of a synthetic row.

    Args:
        task: Name of the task.
        persona_id: Id of the persona.
        index: Number of the sample among those of the task and persona.
    """
    return content_id("sample", task, persona_id, str(index))


def solution_id(sample_id: str, solver: str, index: int = 0) -> str:
    """Return the id of a solver's solution to a problem.

    Args:
        sample_id: Id of the problem.
        solver: Name of the solver.
        index: Number of the solution among the solver's to this problem.
    """
    return content_id("solution", sample_id, solver, *([str(index)] if index else []))


def uniform(*parts: str) -> float:
    """Return a number in [0, 1) that depends on the parts alone, to draw samples and hold-outs.

    Example:
        >>> uniform("held_out", "1")
        0.08011409830449812
    """
    return int(content_id("uniform", *parts)[:13], 16) / 16**13
