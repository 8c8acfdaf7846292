"""Rule about repetition: a description does not loop, as a model that got stuck does."""

from persona_assets.persona_rules.base import LazyPatterns, PersonaContext
from persona_assets.persona_rules.length import WORD_UNIT

_CHARACTER_LOOPS = LazyPatterns(r"([^\s\d])\1{7}")


def is_repetitive(context: PersonaContext) -> bool:
    """Return True if a character occurs eight times in a row, or a phrase follows itself."""
    return _CHARACTER_LOOPS.occur_in(context.persona) or _has_phrase_loop(context.persona)


def _has_phrase_loop(text: str) -> bool:
    """Return True if a phrase occurs in a row: four times, longer phrases three or two times."""
    units = [unit.casefold() for unit in WORD_UNIT.findall(text)]
    for length in range(1, len(units) // 2 + 1):
        times = 4 if length < 4 else 3 if length < 8 else 2
        run = 0
        for unit, later in zip(units, units[length:], strict=False):
            run = run + 1 if unit == later else 0
            if run == length * (times - 1):
                return True
    return False
