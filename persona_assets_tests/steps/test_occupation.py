"""The occupation of a persona is the head of its first noun phrase, or nothing where in doubt."""

import json

import pytest

from persona_assets.steps.occupation import MOST, occupation_of
from persona_assets_tests.shared_data import shared_file

CASES = {
    "A retired miner who carves birds from driftwood.": "A retired miner",
    "an honour-roll student with a weak spot for chess": "An honour-roll student",
    "The head of a lighthouse trust": "The head",
    "I am a tide-table printer living near the docks": "A tide-table printer",
    "I'm an avid kite flyer.": "An avid kite flyer",
    "The persona is a ferry pilot, and a widower.": "A ferry pilot",
    "Ada is a bookbinder in her sixties": "A bookbinder",
    "Sales manager for an online shop": "A sales manager",
    "IT auditor": "An IT auditor",
    "A marketing director overseeing the brand": "A marketing director",
    "A glassblower repairing the windows of a chapel": "A glassblower",
    "A surveyor meticulously measuring dunes": "A surveyor",
    "A newly hired clerk at the port": "A newly hired clerk",
    "A carer who's tired": "A carer",
}
UNREADABLE = (
    "",
    "   ",
    "Who knows?",
    "A kind, patient teacher",
    "A bold and curious diver",
    "A 45-year-old tailor",
    "A Formula 3 mechanic",
    "一位退休的木匠",
    "A warm weather rescue dog training school owner of note",
    "A",
)


@pytest.mark.parametrize("persona", CASES)
def test_occupation_is_the_head_of_the_first_noun_phrase(persona: str) -> None:
    assert occupation_of(persona) == CASES[persona]


@pytest.mark.parametrize("persona", UNREADABLE)
def test_description_without_a_readable_phrase_has_no_occupation(persona: str) -> None:
    assert occupation_of(persona) is None


def test_occupation_adds_no_word_to_a_real_persona() -> None:
    lines = shared_file("personahub_tool.jsonl").read_text().splitlines()
    personas = [json.loads(line)["input persona"] for line in lines]
    found = [(persona, occupation_of(persona)) for persona in personas]
    read = [(persona, occupation) for persona, occupation in found if occupation is not None]
    assert len(read) > 0.9 * len(personas)
    for persona, occupation in read:
        words = occupation.lower().split()[1:]
        assert len(words) <= MOST
        assert " ".join(words) in persona.lower()
