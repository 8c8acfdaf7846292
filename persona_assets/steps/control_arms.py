"""How diverse the problems of each control arm are, and whether a full persona makes them more so.

Arms are compared over the personas of which every arm has a problem, so that all have as many.
Measures of words take as many first words of each problem: the median of the arm with the shortest
problems, since an arm of longer problems repeats more words by its length alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from persona_assets.ids import content_id, uniform
from persona_assets.steps import diversity_measures as measures
from persona_assets.steps.control_problems import ARMS, FULL
from persona_assets.steps.diversity_measures import Measure
from persona_assets.steps.grading import Accuracy, accuracy, difference
from persona_assets.steps.half_samples import (
    LEAST,
    Interval,
    draw_samples,
    interval,
    interval_of_size,
    recentred,
)
from persona_assets.steps.hub import Embed
from persona_assets.storage.step_result import StepResult, typed_frame

if TYPE_CHECKING:
    from persona_assets.steps.half_samples import Draws

VERSION = "2"

CONTROL_ARMS = pl.Schema(
    {
        "figure_id": pl.String(),
        "measure": pl.String(),
        "arm": pl.String(),
        "against": pl.String(),
        "n": pl.Int64(),
        "value": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "low_together": pl.Float64(),
        "high_together": pl.Float64(),
        "finding": pl.String(),
    }
)
"""Columns of the figures.

A row is a measure of an arm over n problems, or, with `against`, its difference from that of
another arm. `low` and `high` are the 95 % interval, null for too few problems. A difference has a
wider one, too, `low_together` and `high_together`: at 95 % those of all comparisons hold together.
Its `finding` is "more diverse" or "less diverse" where the wider interval excludes 0, else "no
difference shown", or "too few problems".
"""

MORE, LESS, UNSHOWN, FEW = "more diverse", "less diverse", "no difference shown", "too few problems"

HIGHER_IS_DIVERSE: Mapping[str, bool | None] = {
    "mean_cosine": False,
    "vendi_score": True,
    "distinct_1": True,
    "distinct_2": True,
    "compression_ratio": False,
    "lexical_duplicates": False,
    "cosine_duplicates": False,
    "words": None,
}
"""Measures; True if a higher value is more diverse, None for one that says nothing of diversity."""

COMPARISONS = (len(ARMS) - 1) * sum(known is not None for known in HIGHER_IS_DIVERSE.values())
"""Number of differences with a finding."""

SHARES = ("lexical_duplicates", "cosine_duplicates")
"""Measures that are shares of the problems, shown as n grows."""

GROWING = ("vendi_score", *SHARES)
"""Measures that grow with the number of problems."""

TOGETHER = f"The intervals of all {COMPARISONS} comparisons hold together at 95 %."

PARTS = (8, 4, 2)
"""Parts of n at which they are shown, besides n."""

NAMES: Mapping[str, str] = {
    "mean_cosine": "mean cosine",
    "vendi_score": "Vendi score",
    "distinct_1": "distinct-1",
    "distinct_2": "distinct-2",
    "compression_ratio": "compression ratio",
    "lexical_duplicates": "near-duplicates by words",
    "cosine_duplicates": "near-duplicates by cosine",
    "words": "words",
    "full_persona": "a full persona",
    "occupation": "the occupation only",
    "length_matched": "a text of its length without content",
    "no_persona": "no persona",
}
"""Measures and arms in words."""

LABELS: Mapping[str, str] = {**NAMES, **{arm: arm.replace("_", " ") for arm in ARMS}}
"""Measures and arms in pictures: short enough for a legend."""


class _Measured(NamedTuple):
    """A measure of an arm: its name, n, its value over all n, recentred values of half-samples."""

    name: str
    n: int
    value: float
    draws: "Draws"

    @property
    def accuracy(self) -> Accuracy:
        """The value as a share of the problems, with its score interval."""
        return accuracy(round(self.value * self.n), self.n)

    @property
    def is_constant_share(self) -> bool:
        """True for a share that is the same in all draws, such as none: they show no interval."""
        return self.name in SHARES and self.n >= LEAST and float(self.draws.std()) < 1e-9

    def interval(self) -> Interval:
        """Return the value with its interval."""
        if self.is_constant_share:
            return Interval(self.value, self.accuracy.low, self.accuracy.high)
        return interval(self.value, self.draws, self.n)

    def minus(self, other: "_Measured") -> Interval:
        """Return the difference of the values, of the same personas, with its interval."""
        if self.is_constant_share and other.is_constant_share:
            return Interval(*(difference(other.accuracy, self.accuracy) or (0.0, None, None)))
        # Half-samples of all arms have the same personas: the draws are paired.
        return interval(self.value - other.value, self.draws - other.draws, self.n)


def build_control_arms(
    problems: pl.DataFrame, embed: Embed, lexical_threshold: Fraction, semantic_threshold: float
) -> StepResult:
    """Measure each arm, and its difference from the arm of full personas.

    Args:
        problems: Table of the schema CONTROL_PROBLEMS.
        embed: Embedding model.
        lexical_threshold: Jaccard similarity from which two problems are near-duplicates.
        semantic_threshold: Cosine above which two problems are near-duplicates.

    Returns:
        Figures; none if fewer than two personas have a problem of every arm.
    """
    texts = complete_arms(problems)
    count = len(texts[FULL])
    if count < 2:
        return StepResult(typed_frame([], CONTROL_ARMS))
    vectors = embed([text for arm in ARMS for text in texts[arm]])
    length = _common_length(texts)
    functions = {
        arm: dict(
            _measures(
                texts[arm],
                vectors[place * count : (place + 1) * count],
                length,
                lexical_threshold,
                semantic_threshold,
            )
        )
        for place, arm in enumerate(ARMS)
    }
    rows: list[dict[str, Any]] = []
    for name in HIGHER_IS_DIVERSE:
        of_arms = {arm: _measured(name, functions[arm][name], count) for arm in ARMS}
        for arm, measured in of_arms.items():
            rows.append(_figure(name, arm, None, count, measured.interval()))
        for arm in ARMS[1:]:
            rows.append(_figure(name, FULL, arm, count, of_arms[FULL].minus(of_arms[arm])))
    for name in SHARES:
        for arm in ARMS:
            rows += _growth(name, arm, functions[arm][name], count)
    return StepResult(typed_frame(rows, CONTROL_ARMS))


def complete_arms(problems: pl.DataFrame) -> dict[str, list[str]]:
    """Return the problems by arm, of the personas of which every arm has one, in one order."""
    of_arm = {
        arm: dict(problems.filter(arm=arm).select("persona_id", "problem").iter_rows())
        for arm in ARMS
    }
    shared = set.intersection(*(set(found) for found in of_arm.values()))
    order = sorted(shared, key=lambda persona: (uniform("control order", persona), persona))
    return {arm: [of_arm[arm][persona] for persona in order] for arm in ARMS}


def _common_length(texts: Mapping[str, Sequence[str]]) -> int:
    return min(
        int(median(len(measures.tokens(text)) for text in of_arm)) for of_arm in texts.values()
    )


def _measures(
    texts: Sequence[str],
    vectors: "measures.Matrix",
    length: int,
    lexical_threshold: Fraction,
    semantic_threshold: float,
) -> Iterator[tuple[str, Measure]]:
    cut = [measures.tokens(text)[:length] for text in texts]
    yield "mean_cosine", measures.mean_cosine(vectors)
    yield "vendi_score", measures.vendi_score(vectors)
    yield "distinct_1", measures.distinct_ngrams(cut, 1)
    yield "distinct_2", measures.distinct_ngrams(cut, 2)
    yield "compression_ratio", measures.compression_ratio(cut)
    yield "lexical_duplicates", measures.lexical_duplicates(texts, lexical_threshold)
    yield "cosine_duplicates", measures.cosine_duplicates(vectors, semantic_threshold)
    yield "words", measures.mean_words(texts)


def _measured(name: str, measure: Measure, count: int) -> _Measured:
    import numpy as np

    value = measure(np.arange(count))
    halves = [measure(rows) for rows in draw_samples(count, count // 2)]
    return _Measured(name, count, value, recentred(value, halves, grows=name in GROWING))


def _growth(name: str, arm: str, measure: Measure, count: int) -> Iterator[dict[str, Any]]:
    """Yield a measure at parts of all problems, averaged over draws."""
    for size in dict.fromkeys(count // part for part in PARTS):
        if size >= 2:
            draws = [measure(rows) for rows in draw_samples(count, size)]
            yield _figure(name, arm, None, size, interval_of_size(draws, count, size))


def _figure(
    name: str, arm: str, against: str | None, count: int, found: Interval
) -> dict[str, Any]:
    together = None if against is None else found.among(COMPARISONS)
    return {
        "figure_id": content_id("control figure", name, arm, against or "", str(count)),
        "measure": name,
        "arm": arm,
        "against": against,
        "n": count,
        **found._asdict(),
        "low_together": together and together.low,
        "high_together": together and together.high,
        "finding": together and finding(name, together),
    }


def finding(name: str, difference: Interval) -> str | None:
    """Return what a difference of a measure shows; None for a measure of no diversity.

    Args:
        name: Name of the measure.
        difference: Difference with the interval that decides.

    Example:
        >>> finding("mean_cosine", Interval(-0.1, -0.2, -0.05))
        'more diverse'
        >>> finding("vendi_score", Interval(4.0, -1.0, 9.0))
        'no difference shown'
    """
    higher_is_diverse = HIGHER_IS_DIVERSE[name]
    if higher_is_diverse is None:
        return None
    if difference.low is None:
        return FEW
    if not difference.excludes_zero:
        return UNSHOWN
    return MORE if (difference.value > 0) == higher_is_diverse else LESS


def verdict(figures: pl.DataFrame) -> str:
    """Return a sentence per arm, computed from the figures, and a sentence on the intervals.

    Args:
        figures: Table of the schema CONTROL_ARMS.
    """
    compared = figures.filter(pl.col("finding").is_not_null())
    if compared.is_empty():
        return "Not measured: no two personas have a problem of every arm."
    sentences = [
        _sentence(str(against), rows)
        for (against,), rows in compared.group_by("against", maintain_order=True)
    ]
    if compared["finding"].ne(FEW).any():
        sentences.append(TOGETHER)
    return "\n".join(sentences)


def figures_markdown(figures: pl.DataFrame) -> str:
    """Format the measures of each arm over all problems as a Markdown table.

    Args:
        figures: Table of the schema CONTROL_ARMS.
    """
    own = figures.filter(pl.col("against").is_null())
    if own.is_empty():
        return "no figures"
    whole = own.filter(n=own["n"].max())
    cells = {
        (measure, arm): _cell(Interval(value, low, high))
        for measure, arm, value, low, high in whole.select(
            "measure", "arm", "value", "low", "high"
        ).iter_rows()
    }
    lines = [f"| measure | {' | '.join(NAMES[arm] for arm in ARMS)} |", "|---" * 5 + "|"]
    lines += [
        f"| {NAMES[name]} | {' | '.join(cells[name, arm] for arm in ARMS)} |"
        for name in HIGHER_IS_DIVERSE
    ]
    return "\n".join(lines)


def _cell(found: Interval) -> str:
    if found.low is None or found.high is None:
        return f"{found.value:.3g}"
    return f"{found.value:.3g} ({found.low:.3g} to {found.high:.3g})"


def _sentence(against: str, rows: pl.DataFrame) -> str:
    count = rows["n"][0]
    head = f"Problems of {NAMES[FULL]} against {NAMES[against]}, {count:,} each"
    if rows["finding"].eq(FEW).all():
        return f"{head}: {FEW} for a finding."
    parts = [
        f"{found} by {', '.join(map(_difference, chosen.iter_rows(named=True)))}"
        for found in (MORE, LESS, UNSHOWN)
        if len(chosen := rows.filter(finding=found))
    ]
    return f"{head}: {'; '.join(parts)}."


def _difference(row: Mapping[str, Any]) -> str:
    ends = f"{row['low_together']:+.3g} to {row['high_together']:+.3g}"
    return f"{NAMES[row['measure']]} ({row['value']:+.3g}, {ends})"
