"""Perturbations of letters, words and constants."""

from random import Random

from answer_pairs.golds import Gold
from answer_pairs.registry import perturbation


@perturbation("letter")
def letter_changed(gold: Gold, rng: Random) -> str | None:
    letters = [letter for letter in "ABCDE" if letter != gold.value]
    return rng.choice((r"\text{{({})}}", "{}", "({})", r"\textbf{{({})}}")).format(
        rng.choice(letters)
    )


@perturbation("letter")
def letter_added(gold: Gold, rng: Random) -> str | None:
    return rf"\text{{{gold.value},{'A' if gold.value != 'A' else 'B'}}}"


@perturbation("word")
def word_letter_changed(gold: Gold, rng: Random) -> str | None:
    word = gold.value
    index = rng.randrange(1, len(word))
    if not word[0].isupper() or word.endswith("day") or word.isupper() or not word[index].isalpha():
        return None
    other = "a" if word[index].lower() != "a" else "e"
    return rf"\text{{{word[:index]}{other}{word[index + 1 :]}}}"


@perturbation("word")
def word_of_the_kind(gold: Gold, rng: Random) -> str | None:
    for family in FAMILIES:
        if gold.value.lower() in family:
            others = [word for word in family if word != gold.value.lower()]
            word = rng.choice(others)
            return rf"\text{{{word.capitalize() if gold.value[0].isupper() else word}}}"
    return None


FAMILIES = (
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    ["ellipse", "circle", "parabola", "hyperbola", "line", "point"],
    ["odd", "even", "neither"],
    ["north", "south", "east", "west"],
    [
        "evelyn",
        "evan",
        "eva",
        "angela",
        "angelo",
        "briana",
        "brian",
        "carla",
        "karla",
        "debra",
        "allison",
        "alison",
        "navin",
        "nevin",
    ],
    ["yes", "no"],
    ["red", "green", "blue"],
    ["acute", "obtuse", "right"],
)


@perturbation("word")
def word_negated(gold: Gold, rng: Random) -> str | None:
    return rf"\text{{not {gold.value}}}"


@perturbation("constant")
def constant_changed(gold: Gold, rng: Random) -> str | None:
    others = {
        r"\emptyset": r"\{0\}",
        r"\infty": r"-\infty",
        r"-\infty": r"\infty",
        r"\mathbb{R}": r"\mathbb{Z}",
    }
    return others.get(gold.value)
