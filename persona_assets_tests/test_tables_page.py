"""`docs/tables.md`: its dictionary is current, and its questions run on any project."""

import sys
from collections.abc import Iterator

import pytest

from persona_assets.project import Project
from persona_assets.settings import Settings
from persona_assets_tests.sample_project import ROOT, SampleProject

PAGE = ROOT / "docs" / "tables.md"


@pytest.fixture(autouse=True)
def scripts_of_the_documentation(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    yield
    sys.modules.pop("tables_page", None)


def test_dictionary_is_current() -> None:
    import tables_page  # type: ignore[import-not-found]

    project = Project(Settings.load(profile="demo", prompts=ROOT / "prompts"))
    assert "\n".join(tables_page.dictionary(project)) in PAGE.read_text("utf-8"), (
        "run: python docs/tables_page.py data/demo > docs/tables.md"
    )


def test_questions_run_and_are_those_of_the_page(finished: SampleProject) -> None:
    import tables_page

    questions = tables_page.read_questions()
    assert len(questions) >= 20
    page = PAGE.read_text("utf-8")
    for question, sql in questions:
        assert f"### {question}\n\n```sql\n{sql}\n```" in page
        # The personas of the sample project are all apart.
        apart = "lexical_" in sql
        assert len(finished.catalog.query(sql)) > 0 or apart, question
