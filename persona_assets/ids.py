"""Content hashes: the identity of every row.

An id depends on what the row says and where it came from, never on when or where it was made, so
the same input gives the same ids on any machine and a replayed run joins up with the first one.
"""

import hashlib


def content_id(*parts: str) -> str:
    """128-bit BLAKE2b of the parts as 32 hexadecimal digits.

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def text_id(shard: str, source: str, text: str) -> str:
    """Id of a text: the same text in two shards is two rows."""
    return content_id("text", shard, source, text)


def persona_id(parent_id: str, relation: str, persona: str) -> str:
    """Id of a persona: `relation` is the perspective of a text's, the named relation of a hop's."""
    return content_id("persona", parent_id, relation, persona)


def sample_id(task: str, persona_id: str, index: int) -> str:
    """Id of a synthetic row: the `index`-th sample that `task` drew from one persona."""
    return content_id("sample", task, persona_id, str(index))


def solution_id(sample_id: str, solver: str) -> str:
    """Id of one solver's solution to one problem."""
    return content_id("solution", sample_id, solver)


def uniform(*parts: str) -> float:
    """A number in [0, 1) that depends on the parts alone: how samples and hold-outs are drawn."""
    return int(content_id("uniform", *parts)[:13], 16) / 16**13
