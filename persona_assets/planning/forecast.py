"""What asking the models will come to: at most, from the settings, and about, from a sample.

Arithmetic alone; plan.py reads what it is done with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from persona_assets.assets.diversity import PANELS
from persona_assets.generation.completion import MAX_TOKENS
from persona_assets.project import Project
from persona_assets.resources.session import EMBEDDING_BATCH
from persona_assets.steps.math_data import SOLVERS
from persona_assets.steps.personas import HOPS
from persona_assets.steps.probes import PROBES

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LEVEL = 0.9
"""Probability with which an interval holds the truth."""

REPLICATES = 1000

MOST_UNITS = 500
"""Units that are resampled: of a larger sample, sums over random blocks of its units are."""

MOST_UNSPREAD = 0.1
"""Share of an estimate that may rest on single units if it is to have an interval."""

PROBES_IN_ALL = sum(map(len, PROBES.values()))
"""Texts that are embedded with a shard's personas if these are in all scripts."""

_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds between which the truth lies with probability LEVEL.

    The bounds are None where too much of it rests on samples of a single unit, which say nothing of
    their spread.
    """

    estimate: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Quantity:
    """A quantity not yet known: its estimate, and replicates of what it may come to.

    draws: shape (REPLICATES,); the n-th of two quantities belong together, so sums keep what they
    have in common. unspread: the part of the estimate that rests on a single unit; replicates have
    it without a spread.
    """

    estimate: float
    draws: "Array"
    unspread: float = 0.0

    @classmethod
    def known(cls, value: float) -> "Quantity":
        """A quantity without uncertainty."""
        import numpy as np

        return cls(value, np.full(REPLICATES, float(value)))

    def within(self, most: float) -> "Quantity":
        """Itself, or, where its spread is not known, anything from 0 to a bound."""
        import numpy as np

        if not self.unspread:
            return self
        ends = np.array([0.0, max(most, self.estimate)])
        return Quantity(self.estimate, np.resize(ends, REPLICATES))

    def __add__(self, other: "Quantity") -> "Quantity":
        return Quantity(
            self.estimate + other.estimate,
            self.draws + other.draws,
            self.unspread + other.unspread,
        )

    def times(self, factor: float) -> "Quantity":
        """So many times this one."""
        return Quantity(factor * self.estimate, factor * self.draws, factor * self.unspread)

    def largest(self, other: "Quantity") -> "Quantity":
        """The larger of two."""
        import numpy as np

        return Quantity(
            max(self.estimate, other.estimate),
            np.maximum(self.draws, other.draws),
            self.unspread if self.estimate >= other.estimate else other.unspread,
        )

    def interval(self) -> Interval:
        """The percentile interval of the replicates."""
        import numpy as np

        if self.unspread > MOST_UNSPREAD * self.estimate:
            return Interval(self.estimate, None, None)
        low, high = np.quantile(self.draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(
            self.estimate, min(self.estimate, float(low)), max(self.estimate, float(high))
        )


def to_come(
    amounts: "Array", sizes: "Array", of: Sequence[Quantity], chance: "np.random.Generator"
) -> list[Quantity]:
    """What is to come of each of k amounts, from n units of a sample.

    amounts: of each unit, shape (n, k). sizes: of the same units, shape (n, k); 0 where an amount
    was not taken of a unit. of: the size to come, one for each amount.

    Ratio estimates under the Bayesian bootstrap (Rubin, "The Bayesian Bootstrap", Annals of
    Statistics 9, 1981), whose weights never leave a unit out altogether. To each replicate is added
    what chance does to the units that are to come, normal with the residuals of the sample: the
    interval is one for what will be seen, not for its expectation. Deviations are stretched as
    Student's t stretches those of a small sample (after the expanded percentile interval of
    Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69,
    2015). All amounts share a replicate's weights, so their sum has the spread that it should have.
    """
    import numpy as np

    units = (sizes > 0).sum(axis=0)
    estimates = amounts.sum(axis=0) / sizes.sum(axis=0)
    if len(amounts) > MOST_UNITS:
        block = chance.permutation(len(amounts)) % MOST_UNITS
        amounts, sizes = _sums(amounts, block), _sums(sizes, block)
    weights = chance.exponential(size=(REPLICATES, len(amounts)))
    ratios = (weights @ amounts) / (weights @ sizes)
    luck = np.sqrt(weights) * chance.standard_normal(weights.shape)
    mass = weights @ (sizes > 0)
    residuals = (luck @ amounts - ratios * (luck @ sizes)) / np.sqrt(mass)
    a_unit = sizes.sum(axis=0) / (sizes > 0).sum(axis=0)
    ahead = np.stack([it.draws for it in of], axis=1)
    off = ahead * (ratios - estimates) + np.sqrt(ahead / a_unit) * residuals
    found: list[Quantity] = []
    for i, (size, estimate, count) in enumerate(zip(of, estimates.tolist(), units, strict=True)):
        draws = np.maximum(0.0, ahead[:, i] * estimate + _stretch(int(count)) * off[:, i])
        unspread = size.unspread if count > 1 else size.estimate
        found.append(Quantity(size.estimate * estimate, draws, unspread * estimate))
    return found


def _stretch(units: int) -> float:
    """By how much the interval of a sample is wider than the normal one of its bootstrap."""
    if units < 2:
        return 1.0
    return float((units / (units - 1)) ** 0.5 * _student(units - 1) / _Z)


def _sums(values: "Array", block: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> "Array":
    import numpy as np

    sums = np.zeros((MOST_UNITS, values.shape[1]))
    np.add.at(sums, block, values)
    return sums


def _student(freedom: int) -> float:
    """The quantile of Student's t at (1 + LEVEL) / 2, by Abramowitz and Stegun 26.7.5: 12 % short
    for one degree of freedom, 1 % for two.
    """
    z = _Z
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + ((third / freedom + second) / freedom + first) / freedom


def most_calls(
    project: Project, shards: int, texts: int | None = None, *, once: bool = False
) -> dict[str, int | None]:
    """Most answered calls by asset over all shards; None where a limit of the settings is open.

    texts: how many there are; None takes what the settings allow. Counted are the questions, and
    for each of them, unless each is asked only `once`, what the engine may ask in its place (see
    `asks`); embeddings and a judge's verdicts are questions too. Attempts that no answer came to
    are not counted.
    """
    settings, names = project.settings, project.prompts.tasks

    def asked(questions: int | None, prompt: str) -> int | None:
        return questions if once else _times(questions, asks(project, prompt))

    if texts is None:
        texts = _times(settings.texts_per_shard, shards)
    most: dict[str, int | None] = {}
    made = personas = _times(texts, settings.perspectives_per_text)
    most["text_personas"] = asked(made, "text_to_persona")
    for hop in range(1, HOPS + 1):
        expanded = _least(_times(settings.personas_per_hop, shards), made)
        most[f"hop_{hop}_personas"] = asked(expanded, "persona_to_persona")
        made = _times(expanded, settings.relations_per_persona)
        personas = _sum(personas, made)
    most["persona_embeddings"] = _embeddings(project, personas, shards, PROBES_IN_ALL)
    samples: dict[str, int | None] = {}
    for name in names:
        task = settings.task(name)
        drawn = _least(_times(task.per_shard, shards), personas if task.share else 0)
        samples[name] = _times(drawn, task.per_persona)
        most[name] = asked(samples[name], name)

    problems, task = samples.get("math_problems"), settings.task("math_problems")
    a_shard = _times(task.per_shard, task.per_persona)
    # Python rounds halves to even, so of n problems at most half a problem more is held out.
    any_shard = None if problems is None else int(settings.held_out_share * problems + shards / 2)
    tested = _least(
        None if a_shard is None else shards * round(settings.held_out_share * a_shard), any_shard
    )
    most["math_solutions"] = _sum(
        asked(problems, "math_solution"),
        _sum(asked(tested, "math_program"), asked(tested, "math_solution@second_solver")),
    )
    judged = settings.equality == "judge"
    pairs = len(SOLVERS) * (len(SOLVERS) - 1) // 2
    most["math_test"] = asked(_times(tested, pairs), "answer_equality") if judged else 0
    for accuracy, questions in (
        ("synthetic_accuracy", tested),
        ("math_accuracy", settings.benchmark_limit),
    ):
        answered = _times(questions, len(settings.training_sizes))
        verdicts = asked(answered, "answer_equality") if judged else 0
        most[accuracy] = _sum(asked(answered, "evaluation@evaluation"), verdicts)
    people = 2 * settings.pairs_per_bucket * len(settings.pair_similarities)
    most["diversity_report"] = _times(
        _sum(asked(people, "diversity_problem"), _embeddings(project, people, 1)), len(PANELS)
    )
    return most


def asks(project: Project, prompt: str) -> int:
    """How often one question may be asked and answered: once; once more with room for a longer
    answer where the first was cut off; and again for each answer without the form it must have,
    unless the model would say the same. See `_other` in generation/completion.py.
    """
    head = project.prompt(prompt).head
    endpoint = project.settings.endpoint(head.role)
    sampling = {**head.sampling, **endpoint.sampling}
    limited = any(isinstance(sampling.get(name), int) for name in MAX_TOKENS)
    larger = limited and endpoint.larger_retry > 1
    return 1 + larger + (endpoint.reasks if sampling.get("temperature") != 0 else 0)


def _embeddings(project: Project, texts: int | None, tables: int, probes: int = 0) -> int | None:
    """Calls for some texts in so many tables, each with at most so many probes."""
    if project.settings.embedder.embedded or texts == 0:
        return 0
    return None if texts is None else (texts + probes * tables) // EMBEDDING_BATCH + tables


def _times(count: int | None, factor: int) -> int | None:
    return 0 if factor == 0 else None if count is None else count * factor


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first + second


def _least(first: int | None, second: int | None) -> int | None:
    known = [count for count in (first, second) if count is not None]
    return min(known, default=None)
