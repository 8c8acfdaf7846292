"""Control arms: problems by the same prompt with a persona, with less, and with none.

The paper compares problems of similar personas with each other, and never with problems that were
made without personas. Later work finds that persona prompts are more diverse than none, while fine
detail adds little (Kambhatla, Shaib, Govindarajan, arXiv 2505.17390). So each drawn persona is
asked about in four ways that differ in a single input of the prompt:

    full_persona     its description
    occupation       the head of the description's first noun phrase, see `occupation`
    length_matched   as many words about nobody in particular: the length without the content
    no_persona       nothing
"""

from collections import Counter
from collections.abc import Iterator

import polars as pl

from persona_assets.ids import content_id, uniform
from persona_assets.languages import ENGLISH, UNKNOWN
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import (
    COMPLETION_COLUMNS,
    Complete,
    PromptRow,
    run_prompt,
)
from persona_assets.rules.protection import DROP, Protection
from persona_assets.steps.occupation import occupation_of
from persona_assets.steps.personas import spoken_language, wrong_language
from persona_assets.steps.verdicts import REPAIRS, Verdicts, count_repairs
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "1"

PROMPT = "control_problem"
"""Prompt of all arms; without its file a project has no control arms."""

FULL, OCCUPATION, LENGTH, NONE = "full_persona", "occupation", "length_matched", "no_persona"
ARMS = (FULL, OCCUPATION, LENGTH, NONE)

CONTROL_PROBLEMS = pl.Schema(
    {
        "problem_id": pl.String(),
        "arm": pl.String(),
        "persona_id": pl.String(),
        "person": pl.String(),
        "problem": pl.String(),
        **REPAIRS,
        "licence": pl.String(),
        "language": pl.String(),
        **COMPLETION_COLUMNS,
    }
)
"""Columns of the problems: `person` is the text that the prompt had, "" for none."""


def draw_personas(hub: pl.DataFrame, prompt: Prompt, count: int) -> pl.DataFrame:
    """Draw personas of the hub by a hash of their words.

    A persona takes part if its problem is asked for in English, the language of the prompt and of
    the words about nobody, and if its occupation can be read.

    Args:
        hub: Personas with licence and language.
        prompt: Prompt of the arms.
        count: Number of personas; fewer if fewer take part.

    Returns:
        Columns `persona_id`, `persona`, `licence`, `occupation`, in the order of the draw.
    """
    ranked = hub.with_columns(
        rank=pl.col("persona").map_elements(lambda text: uniform("control", text), pl.Float64())
    ).sort("rank", "persona_id")
    drawn: list[dict[str, str]] = []
    for row in ranked.iter_rows(named=True):
        if len(drawn) == count:
            break
        _, asked = prompt.answer_language(row["language"] or UNKNOWN)
        occupation = None if asked else occupation_of(row["persona"])
        if occupation is not None:
            kept = {name: row[name] for name in ("persona_id", "persona", "licence")}
            drawn.append({**kept, "occupation": occupation})
    columns = ("persona_id", "persona", "licence", "occupation")
    return typed_frame(drawn, pl.Schema(dict.fromkeys(columns, pl.String())))


def arm_rows(personas: pl.DataFrame, prompt: Prompt) -> list[PromptRow]:
    """Return the inputs of the prompt for each arm of each drawn persona.

    Rows with the same text are different samples of the same question: the second nurse is asked
    about anew, and no answer counts twice.
    """
    anyone = {**prompt.head.variables, **prompt.prompting.variables}["anyone"].split()
    times = Counter[str]()
    rows: list[PromptRow] = []
    for row in personas.iter_rows(named=True):
        for arm, person in _persons(row["persona"], row["occupation"], anyone):
            source = {"arm": arm, "person": person, **row}
            problem_id = content_id("control", arm, row["persona_id"])
            rows.append(PromptRow(problem_id, source, {"person": person}, times[person]))
            times[person] += 1
    return rows


def _persons(persona: str, occupation: str, anyone: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each arm with the text that takes the place of the persona."""
    length = len(persona.split())
    repeated = anyone * (length // len(anyone) + 1)
    yield FULL, persona
    yield OCCUPATION, f"{occupation}."
    yield LENGTH, f"{' '.join(repeated[:length])}."
    yield NONE, ""


def build_control_problems(
    hub: pl.DataFrame,
    prompt: Prompt,
    count: int,
    complete: Complete,
    protection: Protection = DROP,
) -> StepResult:
    """Ask for a problem of each arm of each drawn persona.

    Args:
        hub: Personas with licence and language.
        prompt: Prompt of the arms.
        count: Number of personas, and so of problems per arm.
        complete: Chat model.
        protection: What is done about personal data.

    Returns:
        One row or one drop per arm and persona.
    """
    prompt_rows = arm_rows(draw_personas(hub, prompt, count), prompt)
    results, dropped = run_prompt(prompt, prompt_rows, complete)
    verdicts = Verdicts(prompt, protection)
    rows = []
    for result in results:
        source = result.row.source
        verdict = verdicts.of(result.value, [source["person"]], ENGLISH)
        problem = str(verdict.value["problem"])
        if reason := verdict.reason or wrong_language(problem, ENGLISH):
            dropped.append((result.row.row_id, reason))
            continue
        rows.append(
            {
                "problem_id": result.row.row_id,
                **{name: source[name] for name in ("arm", "persona_id", "person", "licence")},
                "problem": problem,
                "repairs": list(verdict.repairs),
                "language": spoken_language(problem, ENGLISH),
                **result.completion,
            }
        )
    return StepResult(
        typed_frame(rows, CONTROL_PROBLEMS),
        quarantine("control_problems", dropped),
        len(prompt_rows),
        repairs=count_repairs(row["repairs"] for row in rows),
    )
