"""A report on a task counts what passes and why the rest is dropped, and calls a difference from
the report before a change only if its interval excludes zero."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.rules.protection import Protection
from persona_assets.steps.report_samples import (
    SHOWN,
    PublishedSamples,
    dropped_sample,
    first_of_each_reason,
)
from persona_assets.steps.task_report import (
    TASK_REPORT,
    Calls,
    Stage,
    build_task_report,
    previous_figures,
    price_sentence,
    verdict,
)
from persona_assets.storage.step_result import quarantine

ROOT = Path(__file__).parents[2]
NO_CALLS = Calls()
SENTENCE = "A weaver from the mill counts the bells of the town."


@pytest.fixture(scope="module")
def prompt() -> Prompt:
    return Prompts(ROOT / "prompts")["instructions"]


def samples(prompt: Prompt, *rows: Mapping[str, Any]) -> pl.DataFrame:
    """Return published rows with defaults."""
    default = {"language": "en", "repairs": [], "instruction": SENTENCE}
    schema = {
        "sample_id": pl.String,
        "language": pl.String,
        "repairs": pl.List(pl.String),
        "instruction": pl.String,
    }
    return pl.DataFrame([{**default, **row} for row in rows], schema)


def report(
    prompt: Prompt,
    passed: int,
    *,
    before: pl.DataFrame | None = None,
    same_inputs: bool = False,
    calls: Calls = NO_CALLS,
    repairs: int = 0,
    **reasons: int,
) -> pl.DataFrame:
    """Return a report on `passed` samples, and on dropped ones by reason."""
    repeats = reasons.pop("lexical_duplicate", 0)
    published = PublishedSamples(prompt)
    numbers = range(passed)
    published.add(
        samples(
            prompt,
            *(
                {"sample_id": f"{n:03}", "repairs": ["fence"] if n < repairs else []}
                for n in numbers
            ),
        )
    )
    stages = [
        Stage("letters", passed + repeats, reasons),
        Stage("unique_letters", passed, Counter({"lexical_duplicate": repeats})),
    ]
    previous = previous_figures(before, same_inputs)
    return build_task_report("letters", stages, published, [], calls, previous).rows


def row(rows: pl.DataFrame, measure: str, value: str | None = None) -> Mapping[str, Any]:
    of_value = pl.col("value").eq_missing(pl.lit(value, pl.String))
    return rows.row(by_predicate=(pl.col("measure") == measure) & of_value, named=True)


def test_pass_rate_is_of_all_samples_asked_for_with_its_interval(prompt: Prompt) -> None:
    rows = report(prompt, 81, refusal=150, lexical_duplicate=32)
    passed = row(rows, "pass_rate")
    assert (passed["n"], passed["of"]) == (81, 263)
    assert [passed["low"], passed["high"]] == pytest.approx([0.2553, 0.3662], abs=1e-4)
    assert verdict(rows) == (
        "30.8 % of 263 samples pass (25.5 to 36.6); there is no earlier report to compare with"
    )
    assert [
        (r["n"], r["of"]) for r in (row(rows, "dropped", "refusal"), row(rows, "repeated"))
    ] == [
        (150, 263),
        (32, 113),
    ]
    assert rows.schema == TASK_REPORT
    assert rows["figure_id"].n_unique() == len(rows)


def test_a_difference_is_a_change_only_if_its_interval_excludes_zero(prompt: Prompt) -> None:
    before = report(prompt, 90, refusal=10)
    close = report(prompt, 88, before=before, refusal=12)
    assert row(close, "pass_rate")["change"] == "unchanged"
    assert verdict(close).endswith(
        ": unchanged, -2.0 points (-11.0 to +7.0) against 90.0 % of 100 before"
    )
    worse = report(prompt, 60, before=before, refusal=40)
    assert row(worse, "pass_rate")["change"] == "worse"
    assert row(worse, "dropped", "refusal")["change"] == "worse"
    better = report(prompt, 90, before=worse, refusal=10)
    assert row(better, "pass_rate")["change"] == "better"
    assert row(better, "dropped", "refusal")["change"] == "better"
    assert row(better, "pass_rate")["difference"] == pytest.approx(0.3)
    assert row(better, "pass_rate")["difference_low"] > 0


def test_a_reason_of_a_single_report_counts_zero_in_the_other(prompt: Prompt) -> None:
    before = report(prompt, 50, repairs=30, refusal=50)
    after = report(prompt, 80, before=before, too_long=20)
    gone, new = row(after, "dropped", "refusal"), row(after, "dropped", "too_long")
    assert (gone["n"], gone["of"], gone["previous_n"], gone["change"]) == (0, 100, 50, "better")
    assert (new["n"], new["previous_n"], new["previous_of"], new["change"]) == (20, 0, 100, "worse")
    assert row(after, "repaired", "fence")["change"] == "better"
    later = report(prompt, 80, before=after, too_long=20)
    assert later.filter(pl.col("value") == "refusal").is_empty()


def test_the_comparison_stays_when_a_report_is_made_again_from_the_same_inputs(
    prompt: Prompt,
) -> None:
    before = report(prompt, 50, repairs=9, calls=Calls(100, cost=Decimal(1)), refusal=50)
    calls = Calls(100, cost=Decimal(2))
    after = report(prompt, 80, before=before, calls=calls, too_long=20)
    again = report(prompt, 80, before=after, same_inputs=True, calls=calls, too_long=20)
    assert again.equals(after)
    assert row(again, "price")["previous_usd"] == 1 / 50


def test_a_report_with_other_columns_is_not_compared_with(prompt: Prompt) -> None:
    before = report(prompt, 50, refusal=50).drop("change")
    assert previous_figures(before, same_inputs=False) == []


def test_a_report_without_samples_has_no_rate(prompt: Prompt) -> None:
    rows = report(prompt, 0)
    assert (row(rows, "pass_rate")["share"], verdict(rows)) == (None, "no sample was asked for")
    assert verdict(report(prompt, 1, before=rows)).endswith("no earlier report to compare with")


def test_price_of_a_row_is_unknown_where_a_call_has_no_price(prompt: Prompt) -> None:
    records = pl.DataFrame(
        {
            "reused": [False, False, False, True],
            "error_code": [None, None, "server_error", None],
            "cost_usd": ["0.25", "0.75", None, "9"],
        }
    ).cast({"cost_usd": pl.Decimal(38, 12)})
    known = report(prompt, 2, calls=Calls.of(records))
    assert row(known, "price")["usd"] == 0.5
    assert price_sentence(known) == (
        "0.500000 US dollars a row, from 3 calls; not in it: 1 that other tables paid for"
    )
    unpriced = Calls.of(records.with_columns(error_code=pl.lit(None, pl.String)))
    unknown = report(prompt, 2, calls=unpriced)
    assert row(unknown, "price")["usd"] is None
    assert price_sentence(unknown).startswith("unknown: 1 of 3 calls have no known price")
    assert Calls.of(records) + unpriced == Calls(6, 2, 1, Decimal(2))


def test_lengths_and_languages_of_shards_add_up(prompt: Prompt) -> None:
    published = PublishedSamples(prompt)
    for language, length in (("en", 9), ("en", 10), ("zh", 19), ("und", 700_000)):
        text = {"sample_id": f"{length}", "language": language, "instruction": "x" * length}
        published.add(samples(prompt, text))
    assert published.languages == {"en": 2, "zh": 1, "und": 1}
    assert published.lengths == {"0 to 9": 1, "10 to 19": 2, "500000 or more": 1}
    assert [shown.sample_id for shown in published.shown()] == ["10", "19", "700000", "9"]


def test_published_samples_shown_are_those_with_the_smallest_ids(prompt: Prompt) -> None:
    ids = [f"{n:02}" for n in range(3 * SHOWN)]
    published = PublishedSamples(prompt)
    for shard in (ids[1::2], ids[::2]):
        published.add(samples(prompt, *({"sample_id": i} for i in reversed(shard))))
    assert [shown.sample_id for shown in published.shown()] == ids[:SHOWN]


def test_dropped_samples_shown_are_of_all_reasons() -> None:
    frequent = [(f"{n:02}", "refusal") for n in range(30)]
    rows = quarantine("letters", [*frequent, ("98", "too_long: title"), ("99", "too_long: text")])
    shown = first_of_each_reason(rows).head(SHOWN)
    assert shown["id"].to_list()[:4] == ["00", "98", "01", "99"]
    assert len(first_of_each_reason(rows)) == SHOWN + 2


@pytest.mark.parametrize(
    "reason", ["personal_data:email", "personal_data:name: text", "unsafe:weapon"]
)
def test_text_dropped_to_protect_people_is_not_shown(reason: str) -> None:
    assert dropped_sample("1", reason, "harmless", Protection("keep")).text is None


def test_personal_data_in_a_text_dropped_for_another_reason_is_redacted() -> None:
    text = "x" * 390 + " ann.miller@mill.co.uk"
    for policy in ("drop", "redact", "keep"):
        shown = dropped_sample("1", "too_long", text, Protection(policy)).text or ""
        assert shown.startswith("x" * 390 + " [redacted")
        assert "ann" not in shown
