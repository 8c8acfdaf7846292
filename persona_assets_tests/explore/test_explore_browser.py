"""In a browser the pages are usable by keyboard, fit a phone, break no rule of accessibility, and
work without their script."""

import shutil
from collections.abc import Iterator
from importlib.resources import files

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from persona_assets.catalog.catalog import Catalog
from persona_assets.storage.storage import Storage
from persona_assets_tests.explore.written_hub import Served, project_of, served, write_hub

CHROMIUM = shutil.which("chromium")
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    storage = Storage(tmp_path_factory.mktemp("browser"))
    rows = [
        {
            "persona_id": f"p{number}",
            "persona": f"A {trade}, number {number}, who keeps a {'very ' * 9}long log",
            "relation": "a-relation-without-any-space-in-it-that-does-not-fit-a-column",
            "language": "en",
            "licence": "CC0-1.0",
            "place": (number % 7, number % 5),
            "vector": [1.0, number / 60],
            **({"dropped": "lexical_duplicate", "survivor": "p1"} if number == 9 else {}),
        }
        for number, trade in enumerate(["pilot", "cook", "diver"] * 20)
    ]
    write_hub(storage, {"a.txt": rows})
    with served(project_of(storage)) as site:
        Catalog(storage, site.pages.contracts).rebuild()
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # A container's root has no sandbox of its own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Page of a desktop on which nothing may fail to load or to run."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    yield page
    page.close()
    assert trouble == []


PATHS = (
    "/",
    "/?q=pilot&hop=0",
    "/row/p1",
    "/dropped",
    "/dropped?asset=lexical_survivors&reason=lexical_duplicate",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_breaks_no_rule_of_accessibility_and_fits(
    browser: Browser, site: Served, scheme: str
) -> None:
    # axe is evaluated in the page, which its policy forbids otherwise.
    context = browser.new_context(
        bypass_csp=True, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for path in PATHS:
            page.goto(site.url + path)
            assert page.evaluate("document.documentElement.scrollWidth") == width, path
            page.evaluate(AXE)
            found = page.evaluate("axe.run()")
            rules = [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]]
            assert rules == [], (path, width)
    context.close()


def test_search_follows_typing_and_keys_move_through_the_list(page: Page, site: Served) -> None:
    page.goto(site.url)
    page.keyboard.press("/")
    page.keyboard.type("dive")
    page.locator("h2", has_text="20 personas").wait_for()
    assert page.url.endswith("q=dive&by=words")
    page.keyboard.press("Escape")
    for key in ("j", "j", "k", "j"):
        page.keyboard.press(key)
    chosen = page.evaluate("document.activeElement.getAttribute('href')")
    assert chosen == page.locator(".list .words a").nth(1).get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{chosen}")
    page.go_back()
    page.keyboard.press("x")
    page.locator("h2", has_text="60 personas").wait_for()
    page.keyboard.press("n")
    page.wait_for_url("**page=2")


def test_map_is_magnified_by_a_click_and_by_drawing(page: Page, site: Served) -> None:
    page.goto(site.url)
    frame = page.locator(".map svg").bounding_box()
    assert frame is not None
    page.mouse.click(frame["x"] + 20, frame["y"] + 20)
    page.wait_for_url("**box=*")
    page.keyboard.press("w")
    page.wait_for_url(f"{site.url}/")
    page.mouse.move(frame["x"] + 1, frame["y"] + 1)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 0.75, frame["y"] + frame["height"] * 0.75)
    page.mouse.up()
    page.wait_for_url("**box=*")
    drawn = [float(edge) for edge in page.locator(".map svg").get_attribute("data-box").split(",")]
    # Three quarters of the whole map, from its left edge.
    assert drawn[0] < 0 < drawn[2] < 5


def test_all_works_without_the_script(browser: Browser, site: Served) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.url)
    page.fill("#q", "cook")
    page.get_by_role("radio", name="meaning").check()
    page.get_by_role("button", name="Search").click()
    assert "Nearest first" in page.inner_text("main")
    page.get_by_role("link", name="lexical_duplicate").click()
    assert page.inner_text("h2") == "1 persona"
    page.locator(".list .words a").first.click()
    assert page.inner_text("h1") == "Persona"
    page.get_by_role("link", name="Dropped rows").click()
    page.get_by_role("link", name="lexical_duplicate").click()
    assert "number 9" in page.inner_text("main")
    context.close()
