"""Hop budget: the personas of a shard to expand, so that the shard reaches a number of personas.

A text gets the same number of expansions as any other, first one in each hop, then a second one in
each, and so on. The draw depends on the wording of the shard's own personas alone, and a larger
target draws a superset: to raise a target costs the difference.

Belongs here: how many personas are expanded, and which. Does not belong here: the wording of a
request, which must not depend on a target.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import ceil, floor
from typing import Any, NamedTuple

import polars as pl

from persona_assets.ids import uniform

HOPS = 6
"""Rounds of expansion, after the six degrees of separation (section 2.2)."""

Row = Mapping[str, Any]


class Share(NamedTuple):
    """A shard's part of the hub.

    Attributes:
        hub_size: Target of all shards together when the part was decided.
        personas: Personas that the shard is to have.
    """

    hub_size: float
    personas: float


def shard_share(
    hub_size: int, shard: str, sizes: Mapping[str, int], decided: Mapping[str, Share]
) -> Share:
    """Return a shard's part of the hub, in proportion to the size of its file.

    A decided part stays while the hub's target stays, so that a new shard changes no earlier one
    and finds nothing left once all is given away. A larger target adds its increase to the parts; a
    smaller one decides anew. The parts never add up to more than the target.

    Args:
        hub_size: Target of all shards together.
        shard: Shard whose part is returned.
        sizes: Size in bytes of each shard's file.
        decided: Parts that were decided before.

    Example:
        >>> first = shard_share(1_000, "a", {"a": 30, "b": 10}, {})
        >>> first.personas
        750.0
        >>> shard_share(1_000, "c", {"a": 40, "c": 10}, {"a": Share(1_000, 1_000)}).personas
        0.0
        >>> shard_share(1_500, "c", {"a": 40, "c": 10}, {"a": Share(1_000, 1_000)}).personas
        100.0
    """
    total = sum(sizes.values())
    if not sizes.get(shard):
        return Share(hub_size, 0.0)
    if shard in decided and decided[shard].hub_size == hub_size:
        return decided[shard]
    kept = {
        name: share.personas + (hub_size - share.hub_size) * sizes[name] / total
        for name, share in decided.items()
        if name in sizes and share.hub_size <= hub_size
    }
    if shard in kept:
        # Files may have changed their sizes since the others took their parts of the increase.
        others = (
            share.personas
            for name, share in decided.items()
            if name in sizes and name != shard and share.hub_size == hub_size
        )
        return Share(hub_size, min(kept[shard], max(0.0, hub_size - sum(others))))
    undecided = sum(size for name, size in sizes.items() if name not in kept)
    left = max(0.0, hub_size - sum(kept.values()))
    return Share(hub_size, left * sizes[shard] / undecided)


def expansions(personas_per_text: float, roots_per_text: float, relations: int, hop: int) -> float:
    """Return the number of personas to expand per text in a hop, fractions included.

    The expansions of a text are dealt out to the hops in turn, from the first to the last, until
    the text's personas reach the target.

    Args:
        personas_per_text: Target of personas per text, those made from the text itself included.
        roots_per_text: Personas made from a text itself.
        relations: Personas made by an expansion.
        hop: Number of the hop, from 1.

    Example:
        A target of 20 personas, of which the text itself gives 2, takes 6 expansions of 3 each:

        >>> [expansions(20, 2, 3, hop) for hop in range(1, 7)]
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
        >>> [expansions(9.5, 2, 3, hop) for hop in range(1, 7)]
        [1.0, 1.0, 0.5, 0.0, 0.0, 0.0]
    """
    total = max(0.0, personas_per_text - roots_per_text) / relations
    rounds = total // HOPS
    return rounds + min(1.0, max(0.0, total - rounds * HOPS - (hop - 1)))


def draw(
    fresh: Iterable[Row], earlier: Sequence[pl.DataFrame], target: float, relations: int
) -> list[Row]:
    """Return the personas to expand in the next hop of a shard.

    Args:
        fresh: Personas that may be expanded, from the last of the earlier tables.
        earlier: The shard's tables from `text_personas` to the previous hop.
        target: Personas that the shard is to have.
        relations: Personas made by an expansion.

    Returns:
        Rows of `fresh`, text by text; of a text first the descendants of the persona that was drawn
        first in the hop before.
    """
    paths = _paths(earlier)
    roots = earlier[0]["parent_id"]
    if roots.is_empty():
        return []
    # Of a text the wording of its first persona: its id contains the name of the shard.
    first = earlier[0].unique("parent_id", keep="first", maintain_order=True)
    wording = dict(first.select("parent_id", "persona").iter_rows())
    texts = sorted(
        wording, key=lambda text: uniform("expansions", wording[text], str(len(earlier)))
    )
    number = len(texts)
    per_text = expansions(target / number, len(roots) / number, relations, len(earlier))
    # A quota of 1.5 is 2 expansions for half of the texts and 1 for the others.
    more = ceil(number * (per_text - floor(per_text)))
    quotas = {text: floor(per_text) + (place < more) for place, text in enumerate(texts)}
    by_text: dict[str, list[Row]] = defaultdict(list)
    for row in fresh:
        by_text[paths[row["persona_id"]][0]].append(row)
    return [
        row
        for text in dict.fromkeys(roots)
        for row in sorted(by_text[text], key=lambda row: paths[row["persona_id"]][1])[
            : quotas[text]
        ]
    ]


def _paths(earlier: Sequence[pl.DataFrame]) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the text of each persona, and a sort key that places it below its parent."""
    paths: dict[str, tuple[str, tuple[float, ...]]] = {}
    for table in earlier:
        columns = table.select("persona_id", "parent_id", "persona")
        for persona_id, parent, persona in columns.iter_rows():
            text, above = paths.get(parent, (parent, ()))
            paths[persona_id] = text, (*above, uniform("frontier", persona))
    return paths
