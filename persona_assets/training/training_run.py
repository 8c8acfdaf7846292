"""A training of the experiment: its size and its seed, and the partition key of both."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_KEY = re.compile(r"([1-9]\d*)(?:-seed-(\d+))?")


class TrainingRun(NamedTuple):
    """Training of a model on a number of problems with a seed.

    Attributes:
        size: Number of training problems asked for.
        seed: Seed; None for that of the hyper-parameters.

    Example:
        >>> TrainingRun(65_536).key, TrainingRun(65_536, 2).key
        ('65536', '65536-seed-2')
    """

    size: int
    seed: int | None = None

    @property
    def key(self) -> str:
        """Partition key: the size alone for the seed of the hyper-parameters."""
        return str(self.size) if self.seed is None else f"{self.size}-seed-{self.seed}"

    @classmethod
    def of_key(cls, key: str) -> "TrainingRun":
        """Return the training of a partition key.

        Raises:
            ValueError: The text is no such key.

        Example:
            >>> TrainingRun.of_key("65536-seed-2")
            TrainingRun(size=65536, seed=2)
        """
        found = _KEY.fullmatch(key)
        if found is None:
            raise ValueError(f"{key!r} is no training: keys are like 65536 and 65536-seed-2")
        return cls(int(found[1]), None if found[2] is None else int(found[2]))


def training_runs(
    sizes: Iterable[int], seeds: Sequence[int] | None, usual: int
) -> list[TrainingRun]:
    """Return a training per size and seed.

    Args:
        sizes: Numbers of training problems.
        seeds: Seeds; None for `usual` alone.
        usual: Seed of the hyper-parameters.

    Example:
        >>> [run.key for run in training_runs([8, 16], [0, 1], 0)]
        ['8', '8-seed-1', '16', '16-seed-1']
    """
    chosen = [usual] if seeds is None else seeds
    return [TrainingRun(size, None if seed == usual else seed) for size in sizes for seed in chosen]
