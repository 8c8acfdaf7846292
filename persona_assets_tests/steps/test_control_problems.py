"""Each drawn persona is asked about in four ways, by one prompt, each answer counted once."""

from collections import Counter

import polars as pl

from persona_assets.generation import Request
from persona_assets.steps.control_problems import (
    ARMS,
    CONTROL_PROBLEMS,
    FULL,
    LENGTH,
    NONE,
    OCCUPATION,
    arm_rows,
    build_control_problems,
    draw_personas,
)
from persona_assets.steps.hub import HUB
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.steps.answers_double import PROMPTS, Reply, answering, user_text

PROMPT = PROMPTS["control_problem"]
PERSONAS = [
    "A retired miner who carves birds from driftwood.",
    "A nurse from a mountain village who keeps bees.",
    "A nurse who paints kites for her nieces.",
    "A ferry pilot with an eye for weather and a dislike of fog.",
]


def hub(*personas: str, language: str = "en") -> pl.DataFrame:
    rows = [
        {"persona_id": f"id {text}", "persona": text, "licence": "CC0-1.0", "language": language}
        for text in personas
    ]
    return typed_frame(rows, HUB)


def problem_of(request: Request) -> Reply:
    return {"problem": f"{request.index + 2} boats share 90 nets. How many nets has each boat?"}


def test_arms_differ_in_the_person_alone() -> None:
    model = answering(problem_of)
    build_control_problems(hub(*PERSONAS), PROMPT, 9, model)
    assert len(model.asked) == len(ARMS) * len(PERSONAS)
    assert len({tuple(sorted(request.sampling.items())) for request in model.asked}) == 1
    wordings = set()
    for request, row in zip(
        model.asked, arm_rows(draw_personas(hub(*PERSONAS), PROMPT, 9), PROMPT), strict=True
    ):
        person = row.inputs["person"]
        assert person in user_text(request)
        assert len(request.messages) == 1
        wordings.add(user_text(request).replace(f" that fits the following person: {person}", "."))
    assert wordings == {"Write a math problem.\n\nThe problem alone, without a solution."}


def test_person_of_each_arm_has_the_content_or_the_length_of_the_persona() -> None:
    rows = arm_rows(draw_personas(hub(PERSONAS[0]), PROMPT, 1), PROMPT)
    persons = {row.source["arm"]: row.inputs["person"] for row in rows}
    assert list(persons) == list(ARMS)
    assert persons[FULL] == PERSONAS[0]
    assert persons[OCCUPATION] == "A retired miner."
    assert persons[NONE] == ""
    assert len(persons[LENGTH].split()) == len(PERSONAS[0].split())
    assert not set(persons[LENGTH].split()) & {"miner", "retired", "carves", "birds", "driftwood."}


def test_a_persona_longer_than_the_words_about_nobody_is_matched_too() -> None:
    persona = "A nurse who " + "very " * 300 + "often sings."
    rows = arm_rows(draw_personas(hub(persona), PROMPT, 1), PROMPT)
    [matched] = [row.inputs["person"] for row in rows if row.source["arm"] == LENGTH]
    assert len(matched.split()) == len(persona.split())


def test_equal_texts_are_different_samples_of_one_question() -> None:
    model = answering(problem_of)
    build_control_problems(hub(*PERSONAS), PROMPT, 9, model)
    questions = Counter((user_text(request), request.index) for request in model.asked)
    assert set(questions.values()) == {1}
    nobody = [request.index for request in model.asked if "person" not in user_text(request)]
    assert nobody == [0, 1, 2, 3]
    nurses = [request.index for request in model.asked if "person: A nurse." in user_text(request)]
    assert nurses == [0, 1]


def test_a_larger_number_asks_what_a_smaller_one_asked() -> None:
    asked = []
    for count in (2, 4):
        model = answering(problem_of)
        build_control_problems(hub(*PERSONAS), PROMPT, count, model)
        asked.append([(request.messages, request.index) for request in model.asked])
    assert asked[1][: len(asked[0])] == asked[0]
    shuffled = answering(problem_of)
    build_control_problems(hub(*PERSONAS[::-1]), PROMPT, 4, shuffled)
    assert [(request.messages, request.index) for request in shuffled.asked] == asked[1]


def test_personas_of_other_languages_or_without_an_occupation_take_no_part() -> None:
    mixed = pl.concat(
        [
            hub(PERSONAS[0]),
            hub("一位退休的木匠。", language="zh"),
            hub("Eine Fischerin, die singt.", language="de"),
            hub("A kind, patient teacher"),
            hub(PERSONAS[3], language="und"),
        ]
    )
    drawn = draw_personas(mixed, PROMPT, 9)
    assert set(drawn["persona"]) == {PERSONAS[0], PERSONAS[3]}


def test_refusals_preambles_and_failures_are_dropped_or_repaired() -> None:
    def reply(request: Request) -> Reply:
        text = user_text(request)
        if "person: A nurse." in text:
            return {"problem": "I'm sorry, but I can't assist with that request."}
        if "person:" not in text:
            return "refused"
        problem = str(problem_of(request)["problem"])  # type: ignore[index]
        return {"problem": f"Sure! Here is a math problem:\n\n{problem}"}

    outcome = build_control_problems(hub(*PERSONAS), PROMPT, 9, answering(reply))
    assert outcome.rows.schema == CONTROL_PROBLEMS
    assert outcome.rows_in == len(outcome.rows) + len(outcome.dropped) == 16
    reasons = Counter(outcome.dropped["reason"])
    assert reasons == {"refusal": 2, "refused: the model refused": 4}
    assert set(outcome.rows["repairs"].explode()) == {"preamble"}
    assert not outcome.rows["problem"].str.contains("Sure").any()
    assert set(outcome.rows["licence"]) == {"CC0-1.0"}


def test_a_persona_once_more_is_no_problem() -> None:
    persona = "A retired miner who carves birds from driftwood and sells them at the old market."

    def reply(request: Request) -> Reply:
        return {"problem": persona} if persona in user_text(request) else problem_of(request)

    outcome = build_control_problems(hub(persona), PROMPT, 1, answering(reply))
    assert outcome.dropped["reason"].to_list() == ["copied_source"]
    assert FULL not in outcome.rows["arm"].to_list()


def test_no_problems_are_asked_without_a_number() -> None:
    model = answering(problem_of)
    outcome = build_control_problems(hub(*PERSONAS), PROMPT, 0, model)
    assert (len(outcome.rows), model.asked) == (0, [])
