"""A report is one inert file that agrees with the tables."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from persona_assets.reporting.condition import condition_section
from persona_assets.reporting.facts import Facts, collect_facts
from persona_assets.reporting.page import (
    SMALL_FIRST,
    ReportError,
    render_page,
    render_report,
    report_sections,
    write_report,
)
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.reporting.parsed_page import ParsedPage, check_page
from persona_assets_tests.sample_project import CANARY, SampleProject

TIME = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script></style></table>'\"><img src=x onerror=alert(2)>{{ 7 * 7 }}\x07"
TASKS = ("tools", "math_problems")
SHARD = "a<img src=x onerror=alert(3)>.jsonl"


@pytest.fixture(scope="module")
def facts(finished: SampleProject) -> Facts:
    return collect_facts(finished.project)


@pytest.fixture(scope="module")
def page(facts: Facts) -> ParsedPage:
    return check_page(render_report(facts, TIME))


@pytest.fixture(scope="module")
def small(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleProject]:
    """Project of hostile texts and known prices; a shard has failed, another was refused."""
    with ModelServer() as server:
        sample = SampleProject(tmp_path_factory.mktemp("report") / "project", server, TASKS)
        sample.write(SHARD, [f"The swifts came back. {HOSTILE}", f"The bell cracked. {HOSTILE}"])
        priced = {**sample.endpoint("writer"), "price": {"input": 1, "output": 2}}
        sample.values |= {
            "training_sizes": [],
            "relations_per_persona": 1,
            "writer": priced,
            "tasks": {"tools": {"per_shard": 6, "judge": 1.0}},
        }
        assert [run.error for run in sample.run("+key:report_tools") if run.error] == []
        sample.write("b.jsonl", ["Storks by the canal."])
        sample.write("c.jsonl", ["Please refuse this text."])
        server.meets = lambda prompt, message: "401" if "Storks" in message else None
        assert [run.error for run in sample.run("+key:text_personas") if run.error] != []
        yield sample


@pytest.fixture(scope="module")
def small_page(small: SampleProject) -> ParsedPage:
    return check_page(render_report(collect_facts(small.project), TIME))


def test_rows_of_each_step_are_those_of_the_footers(
    finished: SampleProject, page: ParsedPage
) -> None:
    rows, dropped = Counter[str](), Counter[str]()
    for _, footer in finished.storage.footers():
        rows[footer.asset] += footer.rows
        dropped[footer.asset] += sum(footer.dropped.values())
    shown = {row[0]: (int(row[3]), int(row[4])) for row in page.rows("Rows per step")}
    assert shown == {asset: (rows[asset], dropped[asset]) for asset in rows}


def test_hops_of_the_hub_are_those_of_its_table(finished: SampleProject, page: ParsedPage) -> None:
    counts = Counter(
        hop
        for shard in finished.storage.shards("persona_hub")
        for hop in finished.rows("persona_hub", shard)["hop"]
    )
    shown = {int(row[0][0]): row for row in page.rows("Personas per hop")}
    assert {hop: int(row[4]) for hop, row in shown.items()} == counts
    assert all(re.fullmatch(r"[\d.]+ % \([\d.]+ to [\d.]+\)", row[5]) for row in shown.values())


def test_calls_and_money_are_those_of_the_command_cost(
    small: SampleProject, small_page: ParsedPage, command: Callable[..., tuple[int, str, str]]
) -> None:
    code, printed, _ = command(small, "cost", "--by", "model")
    assert code == 0
    [total] = [line.split() for line in printed.splitlines() if line.startswith("total")]
    [shown] = [row for row in small_page.rows("Calls by model") if row[0] == "total"]
    assert " ".join(shown) == " ".join(total)
    assert float(shown[-1].removeprefix(">= ")) > 0


def test_every_section_of_a_finished_project_has_figures(page: ParsedPage) -> None:
    assert {
        "Clusters, the largest first",
        "All tasks",
        "Points of the curve",
        "Similarity of the problems of pairs",
        "Models by role",
        "Models that were asked",
        "Prompts behind the tables",
    } <= page.tables.keys()
    assert len(page.pictures) == 4
    assert "Everything is fresh" in page.text
    assert "file is gone" not in page.text
    titles = [text for level, text in page.headings if level == 2]
    assert len(titles) == 12
    assert page.text.count("No control arms: nothing was measured.") == 1
    assert CANARY not in page.text


def test_sample_is_shown_with_its_chain_down_to_the_text_and_its_price(
    small: SampleProject, small_page: ParsedPage
) -> None:
    ids = sorted(small.rows("judged_tools", SHARD)["sample_id"])[:3]
    assert ids
    words = " ".join(small_page.text.split())
    for row_id in ids:
        chain = small.catalog.trace(row_id)
        for asset, step_id in chain.select("asset", "row_id").iter_rows():
            assert f"{asset} of {SHARD}, {step_id}" in words
    assert words.count("US dollars of all calls of the chain: ") == len(ids)
    assert "US dollars of all calls of the chain: unknown" not in words
    assert words.count("published, as the model wrote it; judged: ") == len(ids)


def test_text_of_strangers_is_inert(small: SampleProject) -> None:
    html = render_report(collect_facts(small.project), TIME)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;/style&gt;" in html
    assert "{{ 7 * 7 }}" in html
    assert "\x07" not in html
    page = check_page(html)
    assert HOSTILE[:-1] in page.text
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html


def test_failure_and_stale_tables_are_named(small: SampleProject, small_page: ParsedPage) -> None:
    failures = small_page.rows("Failures of recent runs, newest first")
    [failed] = [row for row in failures if row[1] == "text_personas"]
    assert failed[2] == "b.jsonl"
    assert "401" in failed[3]
    assert failed[4] == "still to be made"
    checks = small_page.rows("Checks that failed last")
    [refused] = [row for row in checks if row[1] == "text_personas"]
    assert refused[:4] == ["quarantine_share", "text_personas", "c.jsonl", "warning"]
    assert refused[4]
    stale = [
        [asset, work.partition or "", reason]
        for work in small.stale()
        for asset, reason in work.reasons.items()
    ]
    assert ["text_personas", "b.jsonl", "missing"] in stale
    assert small_page.rows("Missing and stale tables") == stale


def test_table_of_many_rows_says_how_many_there_are(facts: Facts) -> None:
    stale = {("persona_hub", f"{number}.jsonl"): "missing" for number in range(1_234)}
    section = condition_section(replace(facts.condition, stale=stale))
    page = check_page(render_page([section], "harbour", TIME))
    assert len(page.rows("Missing and stale tables (first 100 of 1,234)")) == 100


def test_command_writes_the_file_and_nothing_else(
    small: SampleProject, command: Callable[..., tuple[int, str, str]]
) -> None:
    def files() -> dict[str, int]:
        found = (path for path in small.data.rglob("*") if path.is_file())
        # SQLite's own files beside a database that is read.
        return {
            str(path): path.stat().st_mtime_ns
            for path in found
            if not path.name.endswith(("-wal", "-shm"))
        }

    command(small, "cost")
    before, asked = files(), small.server.asked_of.total()
    for _ in range(2):
        code, printed, errors = command(small, "report")
        assert (code, errors) == (0, "")
        assert str(small.data / "report.html") in printed
    assert small.server.asked_of.total() == asked
    changed = {path for path, time in files().items() if before.get(path) != time}
    assert changed == {str(small.data / "report.html")}
    check_page((small.data / "report.html").read_text())


def test_another_file_is_not_replaced(small: SampleProject, tmp_path: Path) -> None:
    (tmp_path / "thesis.html").write_text("<p>mine</p>")
    with pytest.raises(ReportError, match="no earlier report: name a new file"):
        write_report(small.project, tmp_path / "thesis.html")
    assert os.listdir(tmp_path) == ["thesis.html"]
    assert (tmp_path / "thesis.html").read_text() == "<p>mine</p>"


def test_page_that_is_too_large_has_smaller_pictures_then_fewer_samples(facts: Facts) -> None:
    sections = report_sections(facts)
    whole = render_page(sections, "harbour", TIME)
    drawn = [name for name in SMALL_FIRST if name in ("hops", "map", "figure 10", "figure 9")]
    for count in range(1, len(drawn) + 1):
        smaller = render_page(sections, "harbour", TIME, len(whole.encode()) - 1)
        assert len(smaller) < len(whole)
        assert f"small pictures ({', '.join(drawn[:count])})" in smaller
        whole = smaller
    fewer = render_page(sections, "harbour", TIME, len(whole.encode()) - 1)
    assert "2 of 3 samples of a task" in fewer
    assert check_page(fewer).tags.count("details") < check_page(whole).tags.count("details")
    with pytest.raises(ReportError, match="in its smallest form"):
        render_page(sections, "harbour", TIME, 1_000)


@pytest.mark.parametrize("corpus", ["empty", "missing"])
def test_empty_project_has_a_report_and_no_other_file(
    corpus: str,
    environment: None,
    server: ModelServer,
    tmp_path: Path,
    command: Callable[..., tuple[int, str, str]],
) -> None:
    sample = SampleProject(tmp_path / "project", server)
    if corpus == "missing":
        sample.corpus.rmdir()
    code, _, errors = command(sample, "report", "--to", str(tmp_path / "out" / "first.html"))
    assert (code, errors) == (0, "")
    page = check_page((tmp_path / "out" / "first.html").read_text())
    assert not sample.data.exists()
    assert page.pictures == {}
    assert "none yet" in page.text
    assert "No model was asked yet." in page.text
    said = {"empty": "The corpus has no file yet.", "missing": "The corpus cannot be read"}
    assert said[corpus] in page.text


def test_report_of_a_project_without_training_says_so(small_page: ParsedPage) -> None:
    for sentence in (
        "No accuracy yet",
        "No loss curve",
        "No pair yet",
        "No control arms",
        "No map yet",
    ):
        assert sentence in small_page.text
