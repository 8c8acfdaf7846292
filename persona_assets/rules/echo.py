"""Rules that compare an answer with its request."""

from persona_assets.rules.base import RuleContext
from persona_assets.rules.request_text import DEMONSTRATION_RUN, RUN, runs_of
from persona_assets.rules.units import listed, units_of

ENDS = 5
"""Words at both ends of an answer that a copy shares with its source. A corrected text, which a
reply may repeat, lacks the words that ask for its correction."""

COPIED = 0.8
"""Share of runs of three words that an answer and its source have in common if it is a copy."""

MATERIAL = 30
"""Words of an answer from which it may be a copy of the prompt's material: a short answer may fill
in a form that the prompt gives."""


def is_echo(context: RuleContext) -> bool:
    """Return True if the text repeats the prompt: `RUN` of its own words in a row.

    The words of the persona or problem in the request do not count: a text may repeat those.
    """
    request = context.request
    if len(context.units) < RUN:
        return False
    if request.runs and not request.runs.isdisjoint(runs_of([context.text], RUN)):
        return True
    return bool(request.demonstration_runs) and not request.demonstration_runs.isdisjoint(
        runs_of([context.text], DEMONSTRATION_RUN)
    )


def is_copy_of_source(context: RuleContext) -> bool:
    """Return True if the text is a text of the request once more: a persona, question or message.

    Copies are of at least `RUN` words, since people repeat a greeting or a number. A text that
    consists of words of the prompt's material is a copy, too.
    """
    own = context.units
    if len(own) < RUN:
        return False
    if context.request.material and len(own) >= MATERIAL:
        ours = runs_of([context.text], 3)
        if len(ours & context.request.material) >= COPIED * len(ours):
            return True
    for source in context.request.sources:
        units = units_of(source)
        if units[:ENDS] == own[:ENDS] and units[-ENDS:] == own[-ENDS:]:
            ours, theirs = runs_of([context.text], 3), runs_of([source], 3)
            if len(ours & theirs) >= COPIED * len(ours | theirs):
                return True
    return False


def is_in_another_script(context: RuleContext) -> bool:
    """Return True if the text is in a script that its language or its request does not have.

    Where the language is known, its script counts. Elsewhere the scripts of the request count,
    unless the request speaks of a language.
    """
    script = context.script
    if script in ("", "none", "other"):
        return False
    expected = SCRIPTS.get(context.language.partition("-")[0].lower())
    if expected is not None:
        # Latin letters are those of formulas, names and code in texts of every language.
        return script not in expected and script != "Latin"
    request = context.request
    return bool(request.scripts) and not request.names_language and script not in request.scripts


SCRIPTS = {
    **dict.fromkeys(
        listed(
            "af ca cs da de en es et eu fi fr ga gl hr hu id is it lt lv ms nl no pl pt ro sk sl"
            " sq sv sw tl tr vi"
        ),
        frozenset({"Latin"}),
    ),
    **dict.fromkeys(listed("be bg kk ky mk mn ru tg uk"), frozenset({"Cyrillic"})),
    "sr": frozenset({"Cyrillic", "Latin"}),
    "zh": frozenset({"Han"}),
    "ja": frozenset({"Kana", "Han"}),
    "ko": frozenset({"Hangul", "Han"}),
    **dict.fromkeys(listed("ar fa ps ur"), frozenset({"Arabic"})),
    **dict.fromkeys(listed("hi mr ne sa"), frozenset({"Devanagari"})),
    "el": frozenset({"Greek"}),
    "he": frozenset({"Hebrew"}),
    "th": frozenset({"Thai"}),
}
"""Scripts by language, as `script_of` names them."""
