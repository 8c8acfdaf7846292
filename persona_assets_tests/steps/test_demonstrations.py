"""Demonstrations of a user are valid, safe, each used once, and written by an inferred persona."""

from collections.abc import Mapping
from typing import Any

from persona_assets.generation import Request
from persona_assets.rules.protection import Protection
from persona_assets.steps.demonstrations import (
    build_demonstration_personas,
    choose_demonstrations,
    text_id_of,
)
from persona_assets_tests.steps.answers_double import Reply, answering, prompt, user_text

INSTRUCTIONS = prompt("instructions")
BOILER = "My boiler knocks twice at six every morning. What is it, and is it safe to sleep here?"
OVEN = "My oven burns the bottom of every loaf. Should I move the stone or lower the heat?"
GERMAN = "Mein Fahrrad quietscht beim Bremsen, seit es geregnet hat. Wie stelle ich die Bremse ein?"
WIDOWER = "A widower in a cold flat who listens to the pipes at night."


def chosen(
    *records: Mapping[str, Any] | str, limit: int = 9, **options: Any
) -> tuple[list[Mapping[str, Any]], Mapping[str, int]]:
    found, reasons = choose_demonstrations(records, INSTRUCTIONS, limit, **options)
    return list(found), reasons


def test_demonstration_has_a_label_of_its_language() -> None:
    records = (
        {"instruction": BOILER},
        {"instruction": GERMAN},
        {"instruction": OVEN, "language": "en"},
    )
    found, reasons = chosen(*records)
    assert [shot["language"] for shot in found] == ["English", "German", "English"]
    assert reasons == {}


def test_only_the_language_of_the_settings_is_taken() -> None:
    found, reasons = chosen({"instruction": BOILER}, {"instruction": GERMAN}, language="German")
    assert [shot["instruction"] for shot in found] == [GERMAN]
    assert reasons == {"other_language": 1}


def test_unfit_demonstrations_are_counted_by_reason() -> None:
    found, reasons = chosen(
        "flagged",
        {"instruction": "Too short"},
        {"instruction": f"{OVEN} Write to ann.lee@mill.co.uk."},
        {"instruction": BOILER},
        {"instruction": BOILER},
        {"instruction": 5},
    )
    assert [shot["instruction"] for shot in found] == [BOILER]
    assert reasons == {"flagged": 1, "no_valid_answer": 2, "personal_data:email": 1, "repeat": 1}


def test_personal_data_is_redacted_where_the_project_redacts() -> None:
    record = {"instruction": f"{OVEN} Write to ann.lee@mill.co.uk."}
    [shot], _ = chosen(record, protection=Protection("redact"))
    assert shot["instruction"].endswith("Write to [redacted email].")


def test_first_ones_up_to_the_limit_are_taken() -> None:
    found, _ = chosen("flagged", {"instruction": BOILER}, {"instruction": OVEN}, limit=1)
    assert [shot["instruction"] for shot in found] == [BOILER]


def test_writer_of_each_text_is_asked_for_once() -> None:
    def reply(request: Request) -> Reply:
        return {"persona": WIDOWER} if BOILER in user_text(request) else "refused"

    model = answering(reply)
    result = build_demonstration_personas(
        [BOILER, OVEN, BOILER], prompt("text_to_persona"), model, 1_000
    )
    assert all("likely to write this text" in user_text(request) for request in model.asked)
    assert len(model.asked) == 2
    assert result.rows.select("parent_id", "persona", "perspective").rows() == [
        (text_id_of(BOILER), WIDOWER, "writes")
    ]
    assert result.dropped.rows() == [
        (text_id_of(OVEN), "demonstration_personas", "refused: the model refused")
    ]


def test_persona_that_the_quality_filter_rejects_is_dropped() -> None:
    model = answering(lambda request: {"persona": "Write to me at https://example.com/a today"})
    result = build_demonstration_personas([BOILER], prompt("text_to_persona"), model, 1_000)
    assert len(result.rows) == 0
    assert len(result.dropped) == result.rows_in == 1
