"""Mutations of persona descriptions: each near the edge of a rule, on either side of it."""

import random
from collections.abc import Iterator, Sequence

MUTATIONS = 19
"""Mutations per description."""

STARTS = [
    "I'm sorry, but ",
    "I am truly sorry. ",
    "We're sorrowful, ",
    "I'm afraid that ",
    "I'm afraid of ",
    "I apologize: ",
    "My apologies, ",
    "Apologies for ",
    "I cannot determine ",
    "Thank you, but I can\u2019t identify ",
    "Well, I cannot swim; ",
    "As an AI language model, I ",
    "As an AI researcher, ",
    "There is not enough information ",
    "No context: ",
    "No ",
    "Unfortunately ",
    "Lo siento, ",
    "D\u00e9sol\u00e9, ",
    "Es tut mir leid, ",
    "抱歉，",
    "我无法回答",
    "You are ",
    "Your ",
    "You've been ",
    "Sure! ",
    "Sure-footed ",
    "Certainly, ",
    "OK: ",
    "Great! ",
    "Great ",
    "Here is ",
    "Heredity ",
    "I'd say ",
    "I would guess ",
    "I would ",
    "This text is ",
    "The given passage describes ",
    "The ",
    "Based on the provided text, ",
    "Based on ",
    "According to this article ",
    "Persona: ",
    "**Persona 2:** ",
    "Name \u2013 ",
    "人物：",
    "# ",
    "#",
    "\u017fure, ",
    "In\u017fufficient information ",
    "\ufb01ne: ",
]
ENDS = [
    ",",
    ";",
    ":",
    "...",
    "..",
    "\u2026",
    "(",
    " -",
    "?",
    "\uff1f",
    "? ",
    "!",
    " and",
    " hand",
    " because",
    " of",
    " such as",
    " the",
    " whose",
    " as a",
    " of an",
    " for a",
    " a",
    " TBD",
    " todo:",
    " todo.",
    "\uff0c",
    " [insert name]",
    " [1]",
    " []",
    " {{x}}",
    " {job}",
    " {}",
    " <name>",
    " <3",
    " ___",
    " __",
    " https://example.org",
    " https",
    " WWW.example.org",
    " awww. no",
    " me@example.org",
    " @home",
    " <p>",
    " a < b > c",
    " &amp;",
    " R&D;",
    " ```",
    " **bold**",
    " * ",
    " ](",
    " \\n",
    ' {"a',
    ' [ "',
    " lorem IPSUM",
    " \x00",
    " \x1b[31m",
    " \ud800",
    " \ufffd",
    " \u202e",
    " \uffff",
    "\t",
    "\n",
    " \u200b",
    " caf\u00e9",
    " \u00df",
    " 医生",
]


def mutations(personas: Sequence[str], seed: int = 0) -> Iterator[str]:
    """Yield `MUTATIONS` mutations of each description, the same for the same seed.

    Example:
        >>> len(list(mutations(["A baker from Ghent who sings"])))
        19
    """
    chance = random.Random(seed)
    for persona in personas:
        for number in range(MUTATIONS):
            yield _mutated(persona, number, chance)


def _mutated(persona: str, number: int, chance: random.Random) -> str:
    words = persona.split()
    place = chance.randrange(len(persona) + 1)
    match number:
        case 0 | 1 | 2:
            return _cased(chance.choice(STARTS), chance) + persona
        case 3 | 4 | 5:
            return persona + _cased(chance.choice(ENDS), chance)
        case 6 | 7:
            return persona[:place] + chance.choice(ENDS) + persona[place:]
        case 8:
            return chance.choice(STARTS) + persona[:1].lower() + persona[1:] + chance.choice(ENDS)
        case 9 | 10:
            return persona[:place]
        case 11:
            return persona[place:]
        case 12:
            repeated: str = chance.choice([*persona, "a", "-", ".", "0", " ", "\u00e9", "\u4e2d"])
            return persona[:place] + repeated * chance.choice([6, 7, 8, 9]) + persona[place:]
        case 13 | 14:
            size = chance.randint(1, min(12, len(words)))
            start = chance.randrange(len(words) - size + 1)
            phrase = words[start : start + size]
            return " ".join(words[:start] + phrase * chance.randint(2, 5) + words[start + size :])
        case 15:
            return persona.upper() if chance.random() < 0.5 else persona.swapcase()
        case 16:
            letter = chance.choice(["\u00e0", "\uff41", "а"])
            return persona.replace("a", letter)
        case 17:
            return " ".join([persona] * chance.choice([2, 3, 12, 30]))
        case _:
            chance.shuffle(words)
            return " ".join(words[: chance.randint(1, len(words))])


def _cased(fragment: str, chance: random.Random) -> str:
    return chance.choice([fragment, fragment, fragment.upper(), fragment.lower()])


TRADES = [
    "baker",
    "tailor",
    "welder",
    "surgeon",
    "clerk",
    "farmer",
    "diver",
    "pilot",
    "notary",
    "brewer",
]
PLACES = ["Ghent", "Porto", "Turku", "Cusco", "Accra", "Osaka", "Lviv", "Cork", "Pune", "Bergen"]
HABITS = (
    *("mends radios", "draws maps", "keeps bees", "sings in a choir", "restores boats"),
    *("teaches chess", "counts birds", "collects stamps", "grows pears", "runs at dawn"),
)


def personas(count: int) -> list[str]:
    """Return invented descriptions, for runs without a file of real ones.

    Example:
        >>> personas(1)
        ['A baker from Ghent who mends radios and sings in a choir on Sundays']
    """
    return [
        f"A {TRADES[n % 10]} from {PLACES[n // 10 % 10]} who {HABITS[n // 100 % 10]} and "
        f"{HABITS[(n + 3) % 10]} on Sundays"
        for n in range(count)
    ]
