"""The Markdown pages of the repository: links lead to files and headings, commands exist."""

import re
from pathlib import Path

import pytest

from persona_assets.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "data").glob("*/*.md")]
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text("utf-8")):
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {path}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {path}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_command_of_a_page_exists(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in set(
        re.findall(r"persona-assets ([a-z]+(?:-[a-z]+)?)\b", page.read_text("utf-8"))
    ):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0, f"{page.name}: persona-assets {command}"
    capsys.readouterr()


def test_file_named_by_a_page_exists() -> None:
    for page in PAGES:
        for name in re.findall(
            r"`((?:benchmarks|examples|prompts|data)/[\w/]+\.\w+)", page.read_text()
        ):
            if name not in ("prompts/tasks/recipes.md", "prompts/demonstrations/recipes.jsonl"):
                assert (ROOT / name).exists(), f"{page.name}: {name}"
