"""An answer is published, repaired with a note, or dropped with a reason, field by field."""

from pathlib import Path
from typing import Any

import pytest

from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.registry import Registry
from persona_assets.rules import BUILTIN, GROUP
from persona_assets.rules.protection import Names, Protection
from persona_assets.steps.verdicts import Verdicts, count_repairs, rules_version
from persona_assets_tests.installed import write_distribution
from persona_assets_tests.steps.answers_double import PROMPTS, ROOT, prompt

PERSONA = "A harbour pilot who brings ferries into port at night"
PROBLEM = "A pilot brings 3 ferries into port each night. How many are that in 12 nights?"
TOOL: dict[str, Any] = {
    "name": "Tide Table",
    "description": "Tells when the tide is high at a pier.",
    "function_name": "tide_table",
    "input_args": [{"name": "pier", "type": "str", "description": "which pier"}],
    "return": "list of times",
    "depend": ["a tide gauge"],
}


def judge(name: str, value: dict[str, Any], source: str = PERSONA, **more: Any) -> Any:
    return Verdicts(PROMPTS[name], **more).of(value, [source])


def test_good_answer_is_published_as_it_is() -> None:
    for name, value in (("math_problems", {"problem": PROBLEM}), ("tools", TOOL)):
        verdict = judge(name, value)
        assert (verdict.value, verdict.repairs, verdict.reason) == (value, (), None)


def test_text_answer_is_repaired_and_the_repair_is_named() -> None:
    verdict = judge("math_problems", {"problem": f"Sure! Here is a problem:\n\n{PROBLEM}"})
    assert (verdict.value, verdict.repairs) == ({"problem": PROBLEM}, ("preamble",))


def test_fields_of_an_answer_are_judged_on_their_own_and_the_reason_names_the_field() -> None:
    fenced = TOOL | {"description": f"```\n{TOOL['description']}\n```"}
    assert judge("tools", fenced).value == TOOL
    argument = {"name": "pier", "type": "str", "description": "[insert description]"}
    rejected = judge("tools", TOOL | {"input_args": [argument]})
    assert rejected.reason == "placeholder: input_args"


def test_name_of_a_function_is_no_prose() -> None:
    assert judge("tools", TOOL | {"function_name": "sorry_and"}).reason is None


def test_choice_of_an_enum_has_no_verdict(tmp_path: Path) -> None:
    choice = "  state: {type: string, enum: [todo, done]}\n"
    prompt = write_prompt(tmp_path, "kind: problem\n", more=choice)
    assert Verdicts(prompt).of({"problem": PROBLEM, "state": "todo"}, [PERSONA]).reason is None


def test_repaired_answer_that_breaks_the_limits_of_its_prompt_is_dropped() -> None:
    verdict = judge("math_problems", {"problem": "Sure! Here is a problem:\n\nHow much is 2 + 2?"})
    assert verdict.reason == "preamble: what is left is no answer"


def test_answer_that_repeats_its_prompt_is_dropped() -> None:
    line = "every quantity that is needed is stated, with its unit, and the numbers are consistent"
    assert judge("math_problems", {"problem": f"{PROBLEM} Note that {line}."}).reason == (
        "echoed_prompt"
    )


def test_answer_may_repeat_its_persona() -> None:
    source = f"{PERSONA}, and who trains young pilots on weekends when the sea is calm"
    assert judge("math_problems", {"problem": f"{source}. {PROBLEM}"}, source).reason is None


@pytest.mark.parametrize("kind", ["text", "article", "speech", "solution"])
def test_answer_that_is_its_source_once_more_is_dropped(kind: str) -> None:
    asked = (
        "My rowing boat leaks at the stern. Which glue holds on wet oak, and how long must it dry?"
    )
    plain = PROMPTS["replies"]
    verdict = Verdicts(plain, kind=kind).of({"reply": asked.replace(".", " —")}, [PERSONA, asked])
    assert verdict.reason == "copied_source"
    assert Verdicts(plain, kind=kind).of({"reply": asked}, [PERSONA]).reason is None


def test_corrected_text_is_no_copy_of_its_request() -> None:
    letter = (
        "the winch on pier four was not greased since may and it do squeak, so we ask the harbour "
        "master to send somebody before the regatta begins, because the rope has fray"
    )
    better = letter.replace("was not", "has not been").replace("do squeak", "squeaks")
    asked = f"Please correct my letter: {letter}"
    assert judge("replies", {"reply": f"{better}ed."}, asked).reason is None
    assert judge("replies", {"reply": asked}, asked).reason == "copied_source"


def test_answer_that_consists_of_an_included_text_is_dropped() -> None:
    told = (ROOT / "prompts" / "stimuli" / "quay_without_cars.md").read_text()
    copied = told.replace("From 1 May, the old quay of Port Ember will be", "The quay is")
    quoted = " ".join(told.split()[:9])
    own = f"I park there on Fridays, and they say: {quoted}. I am too old to walk."
    judged = {"stance": "against", "reason": copied}
    assert judge("reactions", judged).reason == "copied_source: reason"
    assert judge("reactions", {**judged, "reason": own}).reason is None


def test_greeting_may_be_returned() -> None:
    assert judge("dialogues", {"message": "Good morning!"}, "Good morning!").reason is None


def test_answer_with_a_long_run_of_a_demonstration_is_dropped() -> None:
    few = prompt("instructions", "few-shot", 2)
    shown = str(few.shots[0]["instruction"]).split()
    assert len(shown) > 20
    copied = (
        f"My neighbour keeps bees. {' '.join(shown[:20])} and more, what else could I do for them?"
    )
    assert Verdicts(few).of({"instruction": copied}, [PERSONA]).reason == "echoed_prompt"
    assert judge("instructions", {"instruction": copied}).reason is None


@pytest.mark.parametrize(
    ("source", "problem", "reason"),
    [
        (PERSONA, "一位领航员每晚带三艘渡轮进港，十二个晚上一共带多少艘渡轮？", "wrong_language"),
        (
            PERSONA,
            "Лоцман каждую ночь проводит три парома. Сколько за двенадцать ночей?",
            "wrong_language",
        ),
        (
            "一位夜间带渡轮进港的领航员",
            "一位领航员每晚带三艘渡轮进港，十二个晚上一共带多少艘渡轮？",
            None,
        ),
        ("一位夜间带渡轮进港的领航员", PROBLEM, None),
        (
            "A teacher of Chinese in Porto",
            "一位领航员每晚带三艘渡轮进港，十二个晚上一共带多少艘渡轮？",
            None,
        ),
        (PERSONA, "Compute α + β + γ for α = β = γ = π/3, where α, β, γ > 0.", None),
    ],
)
def test_answer_in_a_script_that_its_request_does_not_have_is_dropped(
    source: str, problem: str, reason: str | None
) -> None:
    assert judge("math_problems", {"problem": problem}, source).reason == reason


def test_script_of_a_known_language_counts() -> None:
    verdicts = Verdicts(PROMPTS["math_problems"])
    russian = {"problem": "Лоцман каждую ночь проводит три парома. Сколько за двенадцать ночей?"}
    assert verdicts.of(russian, [PERSONA], "ru").reason is None
    assert verdicts.of(russian, [PERSONA], "zh-Hans").reason == "wrong_language"


def test_chinese_style_of_a_prompt_admits_chinese_answers() -> None:
    chinese = PROMPTS["logic_problems"].with_variables(style="ruozhiba")
    value = {"problem": "领航员每天晚上都把船带进港，那白天的船是谁把它们带出梦的？"}
    assert Verdicts(chinese).of(value, [PERSONA]).reason is None


def test_personal_data_drops_or_redacts_a_row() -> None:
    value = {"problem": f"{PROBLEM} Write to jo.haas@posteo.de, please?"}
    assert judge("math_problems", value).reason == "personal_data:email"
    redacted = judge("math_problems", value, protection=Protection("redact"))
    assert redacted.repairs == ("redacted_email",)
    assert "[redacted email]" in redacted.value["problem"]
    assert judge("math_problems", value, protection=Protection("keep")).value == value


def test_names_of_the_user_s_list_count_as_personal_data() -> None:
    value = {"problem": f"Ada Byron asks: {PROBLEM}"}
    listed = Protection("drop", Names(["Ada Byron"]))
    assert judge("math_problems", value, protection=listed).reason == "personal_data:name"


def write_prompt(folder: Path, kind: str, more: str = "") -> Prompt:
    text = (Path(PROMPTS.folder) / "tasks" / "math_problems.md").read_text()
    (folder / "tasks").mkdir(exist_ok=True)
    text = text.replace("kind: problem\n", kind)
    text = text.replace("format: text", "format: json") if more else text
    text = text.replace("\nvariants:", f"\n{more}variants:")
    (folder / "tasks" / "riddles.md").write_text(text)
    return Prompts(folder)["riddles"]


def test_prompt_without_a_kind_has_the_rules_of_any_text(tmp_path: Path) -> None:
    plain = write_prompt(tmp_path, "")
    assert Verdicts(plain).of({"problem": f"```\n{PROBLEM}\n```"}, [PERSONA]).repairs == ("fence",)
    labelled = {"problem": f"Problem: {PROBLEM}"}
    assert Verdicts(plain).of(labelled, [PERSONA]).repairs == ()
    assert judge("math_problems", labelled).repairs == ("label",)


def test_kind_is_part_of_the_version_of_the_verdicts_and_not_of_the_prompt(tmp_path: Path) -> None:
    plain, problem = (
        write_prompt(tmp_path, "").version,
        write_prompt(tmp_path, "kind: problem\n").version,
    )
    assert plain == problem
    assert rules_version(kind="problem") != rules_version(kind=None)


def test_rule_of_an_installed_package_sees_the_kind_and_names_the_drop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = "persona_assets_tests.rules.relation_rules"
    write_distribution(tmp_path, "number-rules", GROUP, {"no_number": f"{module}:has_no_number"})
    rules = Registry(GROUP, BUILTIN)
    verdicts = Verdicts(PROMPTS["math_problems"], rules=rules)
    assert verdicts.of({"problem": PROBLEM}, [PERSONA]).reason is None
    assert verdicts.of(
        {"problem": "How many ferries are there in the port at night?"}, [PERSONA]
    ).reason == ("no_number")
    assert Verdicts(PROMPTS["tools"], rules=rules).of(TOOL, [PERSONA]).reason is None
    assert rules_version(rules).endswith("+no_number")


def test_repairs_are_counted_by_name() -> None:
    assert count_repairs([["fence", "preamble"], [], ["fence"]]) == {"fence": 2, "preamble": 1}


@pytest.mark.parametrize("name", PROMPTS.tasks)
def test_demonstrations_of_the_shipped_tasks_pass_as_they_are(name: str) -> None:
    shown = PROMPTS[name]
    for shot in shown.pool:
        value = {field: shot[field] for field in shown.head.output}
        verdict = judge(name, value, shot.get("persona", ""))
        assert (verdict.reason, verdict.repairs) == (None, ())
