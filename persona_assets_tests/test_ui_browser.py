"""In the Dagster UI, by a browser: graph, rows, pictures, checks, runs; and no text of others acts.

Screenshots go to the temporary folder of each test.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from persona_assets.assets.metadata import picture
from persona_assets.local_models.command_server import free_port
from persona_assets.plots.density import draw_density
from persona_assets.resources.io_manager import arranged, preview
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import SampleProject

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

HOSTILE = (
    "<img src=x onerror=alert(1)> <svg onload=alert(2)> <script>alert(3)</script> "
    "[a](javascript:alert(4)) ![b](http://example.invalid/b.png)"
)
"""Text that acts or calls home where it is read as HTML or Markdown."""

HOSTILE_SHARD = "<img src=x onerror=alert(5)>.jsonl"
LATER = ("later/one.jsonl", "later/two.jsonl", "later/three.jsonl")
"""Shards without tables: the hostile one, and those of the backfill."""

PATIENCE = 120_000
"""Milliseconds that a page may take on a machine that is busy with other work."""


@pytest.fixture(scope="module")
def url(finished: SampleProject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the UI of a copy of the finished project that has further shards."""
    folder = tmp_path_factory.mktemp("ui")
    with ModelServer() as server:
        project = finished.copy(folder / "project", server)
        project.write(HOSTILE_SHARD, [HOSTILE, "A second text."])
        for shard in LATER:
            project.write(shard, [f"The text of {shard}."])
        with project.instance() as instance:
            instance.report_runless_asset_event(hostile_clusters())
        port = free_port()
        with subprocess.Popen(
            [sys.executable, "-m", "persona_assets.cli", "ui", "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=project.root,
            env=project.environment(),
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            told = list(up_to_serving(process.stdout))
            wait_until_listening(process, port)
            assert process.poll() is None, "".join(told)
            with (folder / "ui.log").open("w") as log:
                drain = threading.Thread(target=shutil.copyfileobj, args=(process.stdout, log))
                drain.start()
                try:
                    yield f"http://127.0.0.1:{port}"
                    process.send_signal(signal.SIGINT)
                    process.wait(60)
                finally:
                    stop_group(process.pid)
                    drain.join()


def up_to_serving(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines until the server listens, or its output ends."""
    for line in lines:
        yield line
        if "Serving dagster-webserver" in line:
            return


def wait_until_listening(process: "subprocess.Popen[str]", port: int) -> None:
    """Wait until a server accepts connections, which is after it tells that it serves, or ends."""
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return


def stop_group(leader: int) -> None:
    """Kill all that is left of a process group."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def hostile_clusters() -> dg.AssetMaterialization:
    """Return the metadata of clusters of hostile personas, in all forms that the assets use."""
    places = pl.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]})
    clusters = pl.DataFrame(
        {"label": [HOSTILE, "</text><script>alert(6)</script>"], "size": [2, 1]}
    ).hstack(places)
    rows = pl.DataFrame({"persona_id": ["0" * 32], "persona": [HOSTILE]})
    return dg.AssetMaterialization(
        "persona_clusters",
        metadata={
            **picture("map", draw_density([places], clusters, HOSTILE)),
            "verdict": HOSTILE,
            "preview": preview(arranged(rows)),
            "dropped_by_reason": {HOSTILE: 1},
        },
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # A container's root has no sandbox of its own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, url: str, tmp_path: Path) -> Iterator[Page]:
    """Page of the UI on which no dialog opens and which asks no other host."""
    expect.set_options(timeout=PATIENCE)
    page = browser.new_page(viewport={"width": 1500, "height": 1300}, base_url=url)
    page.set_default_timeout(PATIENCE)
    trouble: list[str] = []

    def note_request(address: str) -> None:
        if not address.startswith((url, url.replace("http", "ws", 1), "data:", "blob:")):
            trouble.append(address)

    def note_dialog(message: str) -> None:
        trouble.append(f"dialog {message}")

    page.on("dialog", lambda dialog: (note_dialog(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: note_request(request.url))
    yield page
    page.screenshot(path=tmp_path / "last.png", full_page=True)
    page.close()
    assert trouble == []


def entries(page: Page) -> tuple[list[str], Locator]:
    """Return the names of the metadata entries of an open page in their order, and the rows."""
    preview_of_rows = page.get_by_text("preview", exact=True)
    expect(preview_of_rows.first).to_be_visible()
    rows = page.locator("table").filter(has=preview_of_rows).last.locator(":scope > tbody > tr")
    return rows.locator(":scope > td:first-child").all_inner_texts(), rows


def row_of(page: Page, name: str) -> Locator:
    """Return the row of a metadata entry."""
    names, rows = entries(page)
    return rows.nth(names.index(name))


def open_launch_dialog(page: Page) -> Locator:
    page.goto("/assets/raw_corpus")
    page.get_by_role("button", name="Materialize").first.click()
    return page.get_by_role("dialog")


def follow_launch(page: Page, dialog: Locator, ending: str) -> None:
    """Launch, follow the link to the run or backfill, and wait for its ending."""
    launch = dialog.get_by_role("button", name="Launch")
    expect(launch).to_be_enabled()
    # An open list of partitions may lie over the button.
    launch.dispatch_event("click")
    page.get_by_text("View", exact=True).click()
    page.wait_for_url("**/runs/**")
    expect(page.get_by_text(ending, exact=True).first).to_be_visible()


def test_graph_folds_the_hops(page: Page) -> None:
    page.goto("/asset-groups")
    nodes = page.locator("foreignObject")
    expect(nodes.get_by_text("datasets", exact=True)).to_be_visible()
    nodes.get_by_text("personas", exact=True).click()
    hops = nodes.get_by_text("hops", exact=True)
    expect(hops).to_be_visible()
    expect(nodes.get_by_text("persona_candidates")).to_be_visible()
    expect(nodes.get_by_text("hop_1_personas")).to_have_count(0)
    hops.click()
    expect(nodes.get_by_text("hop_6_personas").first).to_be_attached()


def test_asset_has_picture_then_rows_then_figures(page: Page) -> None:
    page.goto("/assets/persona_candidates")
    names, rows = entries(page)
    expected = ["personas_by_hop", "personas_by_hop_in_full", "preview"]
    expected += ["dagster/partition_row_count", "rows_dropped", "dropped_by_reason", "file"]
    assert names[: len(expected)] == expected
    picture_of_hops = rows.first.locator("img")
    assert picture_of_hops.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    shown = row_of(page, "preview").locator("table")
    assert shown.locator("th").first.inner_text() == "persona"
    assert shown.locator("th").last.inner_text().endswith("_id")
    heights = shown.locator("tbody td:first-child").evaluate_all(
        "cells => cells.map(cell => cell.getClientRects()[0].height)"
    )
    assert len(heights) > 0
    assert max(heights) < 40  # one line of text
    assert row_of(page, "file").inner_text().split()[-1].endswith(".parquet")
    expect(page.get_by_text("Number of persona-to-persona steps from the text")).to_be_visible()
    expect(page.get_by_text("who is close to them, and a quality filter")).to_be_visible()


def test_report_has_its_verdict_first(page: Page) -> None:
    page.goto("/assets/report_math_problems")
    names, _ = entries(page)
    assert names[:3] == ["verdict", "lengths", "lengths_in_full"]
    expect(page.get_by_text("Row count", exact=True)).to_be_visible()


def test_shards_are_made_alone_and_by_a_backfill(page: Page) -> None:
    dialog = open_launch_dialog(page)
    dialog.get_by_text("Select a partition").click()
    page.get_by_role("menuitem").filter(has_text=HOSTILE_SHARD).click()
    expect(dialog.get_by_text("1 partition", exact=True)).to_be_visible()
    follow_launch(page, dialog, "Success")

    dialog = open_launch_dialog(page)
    dialog.get_by_role("button", name="Missing", exact=True).click()
    expect(dialog.get_by_text(f"{len(LATER)} partitions")).to_be_visible()
    follow_launch(page, dialog, "Succeeded")

    page.goto("/assets/raw_corpus?view=checks")
    expect(page.get_by_text("Passed", exact=True)).to_be_visible()
    page.goto("/assets/raw_corpus?view=partitions")
    expect(page.get_by_text("Materialized (6)")).to_be_visible()
    expect(page.get_by_text("Missing (0)")).to_be_visible()
    page.get_by_text(HOSTILE_SHARD, exact=True).first.click()
    expect(page.get_by_text("A second text.")).to_be_visible()
    row_count = row_of(page, "dagster/partition_row_count")
    assert row_count.locator("td").nth(1).inner_text() == "2"
    assert "<img src=x onerror=alert(1)>" in plain(row_of(page, "preview"))
    assert_inert(page)


def test_hostile_persona_is_inert_in_pictures_verdicts_and_rows(page: Page) -> None:
    page.goto("/assets/persona_clusters")
    assert plain(row_of(page, "verdict")).endswith(HOSTILE)
    assert "<svg onload=alert(2)>" in plain(row_of(page, "preview"))
    assert "<script>alert(3)</script>" in plain(row_of(page, "dropped_by_reason"))
    row_of(page, "map_in_full").get_by_text("[Show Markdown]").click()
    drawn = page.get_by_role("dialog").locator("img")
    assert drawn.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert_inert(page)


def plain(row: Locator) -> str:
    """Return the text of a row; its spaces may be such that do not break."""
    return " ".join(row.inner_text().split())


def assert_inert(page: Page) -> None:
    """Assert that no element of the page comes from the hostile text."""
    sources = page.locator("img").evaluate_all("images => images.map(image => image.src)")
    assert [source for source in sources if not source.startswith("data:image/svg+xml;")] == []
    for made in ("[onerror]", "[onload]", "a[href^='javascript']", "a[href*='example.invalid']"):
        assert page.locator(made).count() == 0, made
    scripts = page.locator("script").evaluate_all("scripts => scripts.map(s => s.textContent)")
    assert [script for script in scripts if script.startswith("alert(")] == []
