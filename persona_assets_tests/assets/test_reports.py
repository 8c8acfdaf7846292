"""A task's report tells what passed, why the rest was dropped, and whether that is a change; it
buys nothing, and shows no text that was dropped to protect people.

A tenth of the instructions of this server cannot be used, and four tenths where it is hurried.
"""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from persona_assets_tests.assets.test_checks import replace
from persona_assets_tests.conftest import in_memory
from persona_assets_tests.generation.fault_server import chat
from persona_assets_tests.model_server import ModelServer, answer, prompt_of
from persona_assets_tests.sample_project import TEXTS, SampleProject

BIRDS, LETTERS = TEXTS
REPORT = "report_instructions"
ADDRESS = "ann.miller@mill.co.uk"
BAD = [
    "I'm sorry, but I can't assist with that.",
    "Please send the tide tables to [insert name], who keeps the lights of the harbour.",
    f"Please mail {ADDRESS} the tide tables of the harbour.",
    "Please send the tide tables to [your name], who keeps the lights of the harbour.",
]


class CarelessServer(ModelServer):
    """Model server whose instructions all differ and are partly unusable."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = itertools.count()

    def reply(self, message: str, body: dict[str, Any]) -> str:
        if "input" in body or prompt_of(body) != "instructions":
            return super().reply(message, body)
        number = next(self.numbers)
        is_hurried = any("Be quick." in message["content"] for message in body["messages"])
        if number % 10 < (4 if is_hurried else 1):
            return chat(BAD[number // 10 % len(BAD)])
        return chat(answer({**body, "seed": number}))


@pytest.fixture(scope="module")
def careless(finished: SampleProject) -> Iterator[SampleProject]:
    """Project of two shards with instructions of a careless model; tests copy it."""
    with CarelessServer() as server, in_memory() as root:
        sample = copied(finished, Path(root) / "project", server)
        # The calls of the finished project have no known price.
        sample.edit("tasks/instructions", "# User\n", "# User\n\nBe kind.\n")
        run(sample)
        yield sample


@pytest.fixture
def copy(careless: SampleProject, folder: Path) -> Iterator[SampleProject]:
    with CarelessServer() as server:
        yield copied(careless, folder / "copy", server)


def copied(original: SampleProject, root: Path, server: CarelessServer) -> SampleProject:
    sample = original.copy(root, server)
    sample.values["tasks"] = {"instructions": {"per_persona": 8}}
    sample.values["writer"] |= {"price": {"input": 1.0, "output": 4.0}}
    return sample


def run(sample: SampleProject) -> None:
    assert [run.error for run in sample.run(f"+key:{REPORT}") if run.error] == []


def make_again(sample: SampleProject) -> None:
    """Materialize the report although it is fresh."""
    job = sample.defs.resolve_implicit_global_asset_job_def()
    with sample.instance() as instance:
        selection = job.get_subset(asset_selection={dg.AssetKey(REPORT)})
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        assert selection.execute_in_process(instance=instance, run_config=quiet).success


def row(rows: pl.DataFrame, measure: str, value: str | None = None) -> Mapping[str, Any]:
    of_value = pl.col("value").eq_missing(pl.lit(value, pl.String))
    return rows.row(by_predicate=(pl.col("measure") == measure) & of_value, named=True)


def metadata(sample: SampleProject) -> Mapping[str, dg.MetadataValue]:
    with sample.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(REPORT))
        assert event is not None
        assert event.asset_materialization is not None
        return event.asset_materialization.metadata


def test_figures_are_those_of_the_tables_and_their_quarantines(careless: SampleProject) -> None:
    report = careless.rows(REPORT)
    drops = [
        careless.storage.quarantine(asset, shard)
        for asset in ("instructions", "unique_instructions")
        for shard in TEXTS
    ]
    published = pl.concat(careless.rows("unique_instructions", shard) for shard in TEXTS)
    rate = row(report, "pass_rate")
    assert (rate["n"], rate["of"]) == (len(published), len(published) + sum(map(len, drops)))
    assert rate["of"] - rate["n"] >= rate["of"] // 10 > 5
    reasons = pl.concat(drops)["reason"].value_counts()
    assert {"refusal", "placeholder", "personal_data:email"} & set(reasons["reason"])
    for reason, n in reasons.iter_rows():
        assert row(report, "dropped", reason)["n"] == n
    assert report.filter(measure="length")["n"].sum() == len(published)
    calls = careless.catalog.query("SELECT sum(cost_usd) FROM usage WHERE asset = 'instructions'")
    assert row(report, "price")["usd"] == pytest.approx(float(calls.item()) / len(published))


def test_samples_shown_are_published_rows_and_the_answers_behind_drops(
    careless: SampleProject,
) -> None:
    report = careless.rows(REPORT)
    published = pl.concat(careless.rows("unique_instructions", shard) for shard in TEXTS)
    texts = dict(published.select("sample_id", "instruction").iter_rows())
    good = report.filter(measure="good_sample").select("sample_id", "text")
    assert len(good) == 10
    assert all(texts[sample_id].startswith(text[:400]) for sample_id, text in good.iter_rows())
    dropped = report.filter(measure="dropped_sample").select("value", "text")
    assert set(dropped["value"]) == set(report.filter(measure="dropped")["value"])
    by_reason = {
        "refusal": {BAD[0]},
        "placeholder": {BAD[1], BAD[3]},
        "personal_data:email": {None},
    }
    for reason, text in dropped.iter_rows():
        assert text in by_reason.get(reason, {text})
    path = careless.storage.path(REPORT, None)
    assert ADDRESS not in str(pl.read_parquet(path).rows())


def test_a_worse_prompt_is_told_and_stays_told_when_the_report_is_made_again(
    copy: SampleProject,
) -> None:
    before, price_before = (row(copy.rows(REPORT), name) for name in ("pass_rate", "price"))
    copy.edit("tasks/instructions", "Be kind.", "Be quick.")
    run(copy)
    after = row(copy.rows(REPORT), "pass_rate")
    assert (after["previous_n"], after["previous_of"]) == (before["n"], before["of"])
    assert after["change"] == "worse"
    assert after["difference_high"] < 0
    price = row(copy.rows(REPORT), "price")
    assert (price["of"], price["previous_usd"]) == (price_before["of"], price_before["usd"])
    asked = copy.server.calls.total()
    version = copy.versions()[REPORT, None]
    make_again(copy)
    assert copy.versions()[REPORT, None] == version
    assert copy.server.calls.total() == asked
    told = copy.catalog.query(
        "SELECT change FROM task_reports WHERE task = 'instructions' AND measure = 'pass_rate'"
    )
    assert told.rows() == [("worse",)]


def test_a_change_of_the_dropped_rows_alone_makes_the_report_stale(copy: SampleProject) -> None:
    rows = copy.rows("instructions", BIRDS)
    replace(copy, "instructions", BIRDS, rows, dropped=40)
    reasons = {name: why for work in copy.stale() for name, why in work.reasons.items()}
    assert reasons[REPORT] == "dropped rows of instructions changed"
    assert "duplicate_instructions" not in reasons
    run(copy)
    assert row(copy.rows(REPORT), "dropped", "lost")["n"] == 40
    assert all(REPORT not in work.reasons for work in copy.stale())
    texts = copy.rows(REPORT).filter(measure="dropped_sample", value="lost")["text"]
    assert set(texts) == {None}


def test_the_page_of_a_report_begins_with_the_verdict_and_shows_samples_as_plain_text(
    careless: SampleProject,
) -> None:
    shown = metadata(careless)
    assert next(iter(shown)) == "verdict"
    assert " samples pass (" in str(shown["verdict"].value)
    for name in ("figures", "good", "dropped"):
        assert isinstance(shown[name], dg.TableMetadataValue)
    assert str(shown["lengths"].value).startswith("![lengths](data:image/svg+xml;base64,")
