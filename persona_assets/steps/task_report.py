"""Report on a task: what passes, why the rest is dropped, and whether that is better than before.

Does not belong here: reading the samples, see `report_samples`; calls and files, see the asset.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import polars as pl

from persona_assets.ids import content_id
from persona_assets.steps.grading import accuracy, difference
from persona_assets.steps.report_samples import LENGTHS, PublishedSamples, ShownSample
from persona_assets.storage.step_result import StepResult

VERSION = "1"

_FIGURE = {
    "measure": pl.String(),
    "value": pl.String(),
    "n": pl.Int64(),
    "of": pl.Int64(),
    "usd": pl.Float64(),
}
_SHARES = ("share", "low", "high")
_BEFORE = ("previous_share", "previous_low", "previous_high")
_DIFFERENCE = ("difference", "difference_low", "difference_high")

TASK_REPORT = pl.Schema(
    {
        "figure_id": pl.String(),
        **_FIGURE,
        **dict.fromkeys(_SHARES, pl.Float64()),
        "previous_n": pl.Int64(),
        "previous_of": pl.Int64(),
        "previous_usd": pl.Float64(),
        **dict.fromkeys((*_BEFORE, *_DIFFERENCE), pl.Float64()),
        "change": pl.String(),
        "sample_id": pl.String(),
        "text": pl.String(),
    }
)
"""Columns of a report.

A row is a figure or a sample. A figure counts `n` of `of` rows or calls by `measure` and `value`,
such as "dropped" and "refusal", and has the same of the report before in `previous_*`. All shares
and differences are in [0, 1]. A sample has `sample_id`, `text`, and its reason as `value` if it was
dropped.
"""

PASS = "pass_rate"
"""Measure of the published samples among those asked for."""

_WORDS = {
    PASS: ("better", "worse"),
    "stage": ("better", "worse"),
    "dropped": ("worse", "better"),
    "repeated": ("worse", "better"),
    "repaired": ("worse", "better"),
    "language": ("more", "fewer"),
    "length": ("more", "fewer"),
}
"""Measures that are shares of samples: the words for a larger and for a smaller share."""

_VALUES = ("dropped", "repaired", "language", "length")
"""Measures whose values depend on the samples: of those asked for, and of those published."""


class Stage(NamedTuple):
    """A table on the way of a task's samples: name, rows, dropped rows by reason."""

    name: str
    rows: int
    dropped: Mapping[str, int]

    @property
    def rows_in(self) -> int:
        """Number of rows before the drops."""
        return self.rows + sum(self.dropped.values())


@dataclass(frozen=True)
class Calls:
    """Calls of a task's tables.

    Attributes:
        paid: Calls that these tables paid for.
        reused: Calls that other tables paid for, where their cost is counted.
        unpriced: Paid calls whose cost is unknown.
        cost: US dollars of the other paid calls.
    """

    paid: int = 0
    reused: int = 0
    unpriced: int = 0
    cost: Decimal = Decimal(0)

    @classmethod
    def of(cls, records: pl.DataFrame) -> "Calls":
        """Count records with the columns `reused`, `error_code` and `cost_usd`."""
        paid = records.filter(~pl.col("reused"))
        unpriced = paid.filter(pl.col("error_code").is_null(), pl.col("cost_usd").is_null())
        costs = paid["cost_usd"].drop_nulls()
        return cls(len(paid), len(records) - len(paid), len(unpriced), sum(costs, Decimal(0)))

    def __add__(self, other: "Calls") -> "Calls":
        return Calls(
            self.paid + other.paid,
            self.reused + other.reused,
            self.unpriced + other.unpriced,
            self.cost + other.cost,
        )

    def price(self, rows: int) -> float | None:
        """Return the US dollars a row; None if a price is unknown or there is no row."""
        return float(self.cost / rows) if rows and not self.unpriced else None


class Figure(NamedTuple):
    """A figure of a report: `n` of `of` rows or calls, and a price a row."""

    measure: str
    value: str | None
    n: int
    of: int
    usd: float | None = None


def build_task_report(
    task: str,
    stages: Sequence[Stage],
    published: PublishedSamples,
    dropped: Iterable[ShownSample],
    calls: Calls,
    previous: Sequence[Figure] = (),
) -> StepResult:
    """Make the figures of a task, beside those of the report before, and list samples.

    Shares have the interval of Wilson, their differences that of Newcombe (see `grading`). A
    difference is a change only if its interval excludes zero. Reports share most of their samples
    where only a shard came, and their personas after an edit, so that the interval errs on the wide
    side.

    Args:
        task: Name of the task.
        stages: Tables of the samples in order: that of the task, and those that keep some of its
            rows. The rows of the last one are published.
        published: Counts over the published rows.
        dropped: Dropped samples to show.
        calls: Calls of these tables.
        previous: Figures to compare with; see `previous_figures`.

    Returns:
        Rows of the schema TASK_REPORT: figures, then samples.
    """
    figures = _figures(stages, published, calls)
    rows = [_row(task, *pair) for pair in _pairs(figures, previous)]
    for measure, samples in (("good_sample", published.shown()), ("dropped_sample", dropped)):
        for sample in samples:
            rows.append(
                {
                    "figure_id": content_id("figure", task, measure, sample.sample_id),
                    "measure": measure,
                    "value": sample.reason,
                    "sample_id": sample.sample_id,
                    "text": sample.text,
                }
            )
    return StepResult(pl.DataFrame(rows, TASK_REPORT))


def previous_figures(report: pl.DataFrame | None, same_inputs: bool) -> list[Figure]:
    """Return the figures with which a report is compared.

    Args:
        report: The report that there is, if any.
        same_inputs: True if it was made from the present inputs: what it was compared with stays.

    Returns:
        Figures; none of a report with other columns.
    """
    if report is None or report.schema != TASK_REPORT:
        return []
    prefix = "previous_" if same_inputs else ""
    columns = [f"{prefix}{name}" if name in ("n", "of", "usd") else name for name in _FIGURE]
    figures = (Figure(*row) for row in report.select(columns).iter_rows())
    return [figure for figure in figures if figure.of is not None and not _is_filled(figure)]


def verdict(report: pl.DataFrame) -> str:
    """Return the pass rate and its change in a sentence."""
    row = report.row(by_predicate=pl.col("measure") == PASS, named=True)
    if row["share"] is None:
        return "no sample was asked for"
    share, low, high = (f"{100 * row[name]:.1f}" for name in _SHARES)
    now = f"{share} % of {row['of']:,} samples pass ({low} to {high})"
    if row["change"] is None:
        return f"{now}; there is no earlier report to compare with"
    gain, least, most = (f"{100 * row[name]:+.1f}" for name in _DIFFERENCE)
    before = f"{100 * row['previous_share']:.1f} % of {row['previous_of']:,} before"
    return f"{now}: {row['change']}, {gain} points ({least} to {most}) against {before}"


def price_sentence(report: pl.DataFrame) -> str:
    """Return the price of a published row and the calls behind it in a sentence."""
    rows = {
        (row["measure"], row["value"]): row
        for row in report.filter(pl.col("measure").is_in(["price", "calls"])).iter_rows(named=True)
    }
    price, reused = rows["price", None], rows["calls", "reused"]["n"]
    unpriced = price["of"] - price["n"]
    if price["usd"] is not None:
        parts = [f"{price['usd']:.6f} US dollars a row, from {price['of']:,} calls"]
    else:
        reason = f"{unpriced:,} of {price['of']:,} calls" if unpriced else "there is no row"
        parts = [f"unknown: {reason}{' have no known price' if unpriced else ''}"]
    if price["previous_usd"] is not None:
        parts.append(f"{price['previous_usd']:.6f} before")
    if reused:
        parts.append(f"not in it: {reused:,} that other tables paid for")
    return "; ".join(parts)


def readable(report: pl.DataFrame) -> pl.DataFrame:
    """Return the shares of a report in percent, each beside that of the report before."""

    def percent(share: str, low: str, high: str) -> pl.Expr:
        numbers = ((100 * pl.col(name)).round(1).cast(pl.String) for name in (share, low, high))
        return pl.format("{} ({} to {})", *numbers)

    return report.filter(pl.col("share").is_not_null()).select(
        "measure",
        "value",
        "n",
        "of",
        percent(*_SHARES).alias("percent"),
        percent(*_BEFORE).alias("before"),
        "change",
    )


def _figures(
    stages: Sequence[Stage], published: PublishedSamples, calls: Calls
) -> Iterator[Figure]:
    """Yield the figures of a report in order."""
    asked, made, passed = stages[0].rows_in, stages[0].rows, stages[-1].rows
    reasons = sum((Counter(stage.dropped) for stage in stages), Counter[str]())
    repeats = sum(n for reason, n in reasons.items() if reason.endswith("_duplicate"))
    yield Figure(PASS, None, passed, asked)
    for stage in stages:
        yield Figure("stage", stage.name, stage.rows, stage.rows_in)
    yield from _counted("dropped", reasons, asked)
    yield Figure("repeated", None, repeats, made)
    yield Figure("repaired", None, published.repaired, passed)
    yield from _counted("repaired", published.repairs, passed)
    yield from _counted("language", published.languages, passed)
    for name in LENGTHS:
        if name in published.lengths:
            yield Figure("length", name, published.lengths[name], passed)
    yield Figure("price", None, calls.paid - calls.unpriced, calls.paid, calls.price(passed))
    yield Figure("calls", "reused", calls.reused, calls.paid + calls.reused)


def _counted(measure: str, counts: Mapping[str, int], of: int) -> Iterator[Figure]:
    """Yield a figure a name, the largest first."""
    for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        yield Figure(measure, name, n, of)


def _totals(figures: Iterable[Figure]) -> dict[str, int]:
    """Return the number of rows of which the values of each measure of _VALUES are counted."""
    for figure in figures:
        if figure.measure == PASS:
            return {"dropped": figure.of} | dict.fromkeys(_VALUES[1:], figure.n)
    return {}


def _is_filled(figure: Figure) -> bool:
    """Return True for a figure that is there only because the other report has its value."""
    return figure.n == 0 and figure.value is not None and figure.measure in _VALUES


def _pairs(
    figures: Iterable[Figure], previous: Sequence[Figure]
) -> list[tuple[Figure, Figure | None]]:
    """Pair the figures with those before; a value that is missing on one side counts 0 there."""
    now = {(figure.measure, figure.value): figure for figure in figures}
    before = {(figure.measure, figure.value): figure for figure in previous}
    totals, totals_before = _totals(now.values()), _totals(before.values())
    measures = list(dict.fromkeys(measure for measure, _ in now))
    gone = [place for place in before if place not in now and place[0] in totals]
    pairs: list[tuple[Figure, Figure | None]] = []
    for place in sorted([*now, *gone], key=lambda place: _position(place, measures)):
        figure, then = now.get(place), before.get(place)
        if figure is None:
            figure = Figure(*place, 0, totals[place[0]])
        if then is None and place[0] in totals_before:
            then = Figure(*place, 0, totals_before[place[0]])
        pairs.append((figure, then))
    return pairs


def _position(place: tuple[str, str | None], measures: Sequence[str]) -> tuple[int, int]:
    """Return the order of a figure: by measure, lengths from short to long, else as given."""
    measure, value = place
    order = measures.index(measure) if measure in measures else len(measures)
    return order, LENGTHS.index(value) if measure == "length" and value in LENGTHS else 0


def _row(task: str, figure: Figure, before: Figure | None) -> dict[str, Any]:
    """Return the row of a figure: share, interval, and the comparison with the figure before."""
    row: dict[str, Any] = {
        "figure_id": content_id("figure", task, figure.measure, figure.value or ""),
        **figure._asdict(),
    }
    if before is not None:
        row |= {f"previous_{name}": getattr(before, name) for name in ("n", "of", "usd")}
    if figure.measure not in _WORDS:
        return row
    share = accuracy(figure.n, figure.of)
    row |= zip(_SHARES, (share.accuracy, share.low, share.high), strict=True)
    if before is None:
        return row
    then = accuracy(before.n, before.of)
    row |= zip(_BEFORE, (then.accuracy, then.low, then.high), strict=True)
    gain = difference(then, share)
    if gain is not None:
        larger, smaller = _WORDS[figure.measure]
        row |= zip(_DIFFERENCE, gain, strict=True)
        row["change"] = larger if gain[1] > 0 else smaller if gain[2] < 0 else "unchanged"
    return row
