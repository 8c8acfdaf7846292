"""A role whose model has an announced end of service is named, with the model that replaces it."""

from datetime import date

from persona_assets.generation.providers import provider_of
from persona_assets.planning.shutdowns import shutdown_notes
from persona_assets.settings import ROLES, Settings

TODAY = date(2026, 11, 29)


def test_note_tells_past_from_future() -> None:
    notes = shutdown_notes(Settings.load(profile="paper"), TODAY, ["writer", "solver"])
    assert [note.split(";")[0] for note in notes] == [
        "writer: gpt-4 was shut down on 2026-10-23",
        "solver: gpt-4o will be shut down on 2027-01-14",
    ]
    assert "gpt-6.1-sol: set PERSONA_WRITER__MODEL, or PERSONA_PROFILE=current" in notes[0]


def test_current_and_demo_profiles_have_no_model_with_an_end_of_service() -> None:
    for profile in ("current", "demo"):
        assert shutdown_notes(Settings.load(profile=profile), TODAY) == []


def test_other_hosts_may_serve_a_model_for_longer() -> None:
    writer = {"model": "gpt-4", "base_url": "https://llm.example.com/v1"}
    assert shutdown_notes(Settings.load(writer=writer), TODAY, ["writer"]) == []


def test_replacements_are_in_service() -> None:
    settings = Settings.load(profile="current")
    endpoints = [settings.endpoint(role) for role in ROLES if role != "evaluation"]
    for endpoint in endpoints:
        shutdowns = provider_of(endpoint).shutdowns
        assert not {end.replacement for end in shutdowns.values()} & shutdowns.keys()
