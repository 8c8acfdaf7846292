"""The personas of a project in memory: their texts, their facets, their places and vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from persona_assets.explore.meaning_index import MeaningIndex
from persona_assets.explore.word_index import WordIndex

KEPT = "in the hub"
"""Verdict on a persona of the hub."""

UNDECIDED = "not decided yet"
"""Verdict on a persona that the tables of the hub have not seen yet."""

FACETS = {
    "verdict": "Verdict",
    "hop": "Hop",
    "relation": "Relation",
    "language": "Language",
    "licence": "Licence",
    "source": "Source",
    "shard": "Shard",
    "cluster": "Cluster",
}
"""Columns by which personas are filtered and counted, with their titles."""


@dataclass(frozen=True)
class Facet:
    """Column of few different values.

    Attributes:
        codes: Position of each row's value in `values`.
        values: Different values; "" for a missing value.
    """

    codes: np.ndarray
    values: Sequence[str]


@dataclass(frozen=True)
class Duplicates:
    """Personas that a survivor stands for.

    Attributes:
        rows: Row of each duplicate.
        survivors: Row of its survivor.
        similarity: Similarity of both.
        stages: "words" or "meaning".
    """

    rows: np.ndarray
    survivors: np.ndarray
    similarity: np.ndarray
    stages: Sequence[str]


@dataclass(frozen=True)
class Hub:
    """Personas of all shards in order of arrival; row n is persona n.

    Attributes:
        ids: Ids of the personas.
        texts: Their texts.
        facets: Facets by name; see FACETS.
        places: Columns `x` and `y` of the map, shape (personas, 2); NaN for no place.
        words: Index of the words.
        meaning: Index of the vectors.
        duplicates: Duplicates that have a survivor.
        clusters: Rows of `persona_clusters`; none without a map.
        notes: Sentences on the map: where it is missing, how far the hub has outgrown it.
        version: State of the folders when they were read; see `tables_version`.
    """

    ids: pl.Series
    texts: pl.Series
    facets: dict[str, Facet]
    places: np.ndarray
    words: WordIndex
    meaning: MeaningIndex
    duplicates: Duplicates
    clusters: pl.DataFrame
    notes: tuple[str, ...]
    version: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def value(self, facet: str, row: int) -> str:
        """Return a row's value of a facet."""
        found = self.facets[facet]
        return found.values[int(found.codes[row])]

    def row(self, persona_id: str) -> int | None:
        """Return the row of a persona; None if there is no such persona."""
        hashes, order = self._by_hash
        [wanted] = pl.Series([persona_id]).hash().to_list()
        place = int(np.searchsorted(hashes, wanted))
        while place < len(hashes) and int(hashes[place]) == wanted:
            row = int(order[place])
            if self.ids[row] == persona_id:
                return row
            place += 1
        return None

    @property
    def shards(self) -> frozenset[str]:
        """Shards of the personas, and "" for a table without shards."""
        return frozenset(["", *self.facets["shard"].values])

    @cached_property
    def cluster_labels(self) -> dict[str, str]:
        """Label of each cluster, by its number."""
        return {
            str(number): label
            for number, label in self.clusters.select("cluster", "label").iter_rows()
        }

    @cached_property
    def _by_hash(self) -> tuple[np.ndarray, np.ndarray]:
        """Hashes of the ids in order, and their rows."""
        hashes = self.ids.hash().to_numpy()
        order = np.argsort(hashes)
        return hashes[order], order
