"""Copies of math problems, each hidden in another way; a function per way.

A plant of a problem is None where the way does not apply to it, such as another number in a problem
without numbers. Frames are persona-like stories around the unchanged problem.
"""

import random
import re
from collections.abc import Callable
from typing import Any

Plant = Callable[[str, random.Random], str | None]

OPENINGS = [
    "Marta runs the night desk of a small harbour and likes to keep the crew awake with riddles.",
    "Between two lessons the trainee at the bicycle workshop scribbles something on a dusty board.",
    "Every Thursday the retired surveyor leaves an envelope on the counter of the village library.",
    "While the bread is proving, the baker's apprentice copies an exercise out of her late aunt's "
    "notebook.",
    "On the long bus ride home the goalkeeper of the youth team turns over a page and frowns.",
]
FILLERS = [
    "It had rained since noon, and nobody expected another customer before the shutters came down.",
    "Her colleagues claim that she could do sums before she could tie her own shoes.",
    "He still owes his neighbour an answer from last week and does not want to lose again.",
    "The kettle was humming, the radio muttered about roadworks, and a moth circled the lamp.",
    "Whoever hands in the neatest reasoning gets the last slice of plum cake and a day off.",
    "Nothing in the manual of the old machine had prepared them for this kind of question.",
    "A pencil stub, the back of a delivery note and some patience were all there was at hand.",
    "They had agreed that guessing does not count and that every step has to be written down.",
    "Last spring a similar puzzle kept the whole choir busy until long after closing time.",
    "The apprentice swears that the trick is to draw something first and to panic later.",
]
CLOSINGS = [
    "Work it out carefully for them and explain each step so that a beginner can follow.",
    "Can you help before the ferry whistles and everybody has to be back at work?",
    "Write the reasoning down in full, since the others will surely ask how it was found.",
]
SYNONYMS = {
    **{"find": "determine", "compute": "work out", "what is": "give", "evaluate": "calculate"},
    **{
        "how many": "what number of",
        "suppose": "assume",
        "let": "say that",
        "such that": "so that",
    },
    **{"the value of": "what equals", "express your answer as": "state the result as"},
    **{"positive integers": "natural numbers", "greatest": "largest", "smallest": "least"},
    **{"probability": "chance", "randomly": "at random", "total": "overall", "each": "every"},
    **{"equal to": "the same as", "containing": "that has", "contains": "has", "if": "given that"},
    **{"simplify": "reduce", "solve": "resolve", "triangle": "three-sided figure"},
}

_DIAGRAM = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)
_MATH = re.compile(r"\$\$.*?\$\$|\$.*?(?<!\\)\$|\\\[.*?\\\]|\\\(.*?\\\)", re.DOTALL)
_NUMBER = re.compile(r"\d+")
_LETTER = re.compile(
    r"\\(?:text\w*|mbox|mathrm|operatorname|(?:begin|end)\s*\{array\}|begin|end)"
    r"\s*\{[^}]*\}|\\[A-Za-z]+|\{th\}|([A-Za-z])"
)


def verbatim(problem: str, chance: random.Random) -> str:
    """Return the problem itself."""
    return problem


def delimiters(problem: str, chance: random.Random) -> str:
    r"""Write other delimiters, spacing, fractions and sizes of parentheses.

    Example:
        >>> delimiters(r"Find $\\frac{1}{2}(x)$.", random.Random(0))
        'Find \\( \\dfrac{1}{2} \\left( x \\right) \\).'
    """
    return _MATH.sub(_redelimited, problem)


def plain(problem: str, chance: random.Random) -> str:
    r"""Write formulas as plain text, without diagrams.

    Example:
        >>> plain(r"Find $\\frac{1}{2}\\cdot x^{10}$.", random.Random(0))
        'Find (1)/(2) * x^(10).'
    """
    text = _DIAGRAM.sub("", problem) if _DIAGRAM.sub("", problem).strip() else problem
    for pattern, plain_text in _PLAIN:
        text = re.sub(pattern, plain_text, text)
    return text.replace("{", "(").replace("}", ")")


def framed(words: int) -> Plant:
    """Return the way that puts a story of a number of words around the problem."""

    def frame(problem: str, chance: random.Random) -> str:
        opening, closing = chance.choice(OPENINGS), chance.choice(CLOSINGS)
        middle = " ".join(chance.sample(FILLERS, len(FILLERS))).split()
        room = words - len(opening.split()) - len(closing.split())
        before = chance.randint(room // 2, room)
        parts = [opening, *middle[:before], problem, *middle[before:room], closing]
        return " ".join(parts)

    return frame


def one_number(problem: str, chance: random.Random) -> str | None:
    """Change one number to another of as many digits."""
    places = [match for match in _NUMBER.finditer(problem) if not _in_diagram(problem, match)]
    if not places:
        return None
    place = chance.choice(places)
    return problem[: place.start()] + _other(place[0], chance) + problem[place.end() :]


def all_numbers(problem: str, chance: random.Random) -> str | None:
    """Change every number, each on its own, and give the variables and points other letters."""
    if one_number(problem, chance) is None:
        return None
    parts = []
    end = 0
    for diagram in [*_DIAGRAM.finditer(problem), None]:
        text = problem[end : diagram.start() if diagram else None]
        text = _NUMBER.sub(lambda number: _other(number[0], chance), text)
        parts += [text, diagram[0] if diagram else ""]
        end = diagram.end() if diagram else end
    return _renamed("".join(parts), chance)


def paraphrase(problem: str, chance: random.Random) -> str | None:
    """Replace phrases by synonyms and put the last sentence first."""
    text = problem
    for phrase, other in SYNONYMS.items():
        text = re.sub(rf"(?i)\b{phrase}\b", other, text)
    sentences = re.split(r"(?<=[.?!])\s+", text)
    reordered = " ".join([sentences[-1], *sentences[:-1]])
    return None if reordered == problem else reordered


PLANTS: dict[str, Plant] = {
    "verbatim": verbatim,
    "delimiters": delimiters,
    "plain": plain,
    "frame_50": framed(50),
    "frame_125": framed(125),
    "one_number": one_number,
    "all_numbers": all_numbers,
    "paraphrase": paraphrase,
}
"""Ways of hiding a problem, by name."""

INVENTED = [
    "A {a} of ${x}$ litres loses ${y}$ litres every hour. After how many hours is a {b} of ${z}$ "
    "litres that gains $2$ litres every hour as full as the {a}?",
    r"Let $n$ be the number of ways to pack {x} plums and {y} pears into a {a} and a {b} so that "
    r"neither stays empty. Find the remainder when $n$ is divided by ${z}$.",
    r"The {a} has $\frac{{{x}}}{{{y}}}$ of the weight of the {b}, and $z^2+{z}z-{x}=0$ holds for "
    "the weight $z$ of both together. How heavy is the {b}?",
]
THINGS = [
    "barrel",
    "cistern",
    "basket",
    "crate",
    "kettle",
    "trough",
    "bucket",
    "jar",
    "vat",
    "sack",
]


def problems(count: int) -> list[str]:
    """Return invented problems, for runs without a file of real ones.

    Example:
        >>> problems(1)[0][:40]
        'A barrel of $17$ litres loses $3$ litres'
    """
    made = []
    for number in range(count):
        names: dict[str, Any] = {
            "a": THINGS[number // 3 % 10],
            "b": THINGS[(number // 30 + number // 3 + 1) % 10],
            "x": 17 + 5 * number,
            "y": 3 + number % 97,
            "z": 11 + 7 * number,
        }
        made.append(INVENTED[number % 3].format(**names))
    return made


_PLAIN = [
    (r"(?<=\w)(?:\$\$|\\[\[\]])(?=\w)", " "),
    (r"\$\$|(?<!\\)\$|\\[\[\]()]", ""),
    (r"\\\$", "$"),
    (r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"(\1)/(\2)"),
    (r"\\[dtc]?frac\s*(\w)\s*(\w)", r"\1/\2"),
    (r"(?<=[A-Za-z])\\sqrt", r" \\sqrt"),
    (r"\\sqrt\s*\{([^{}]*)\}", r"sqrt(\1)"),
    (r"\\(?:cdot|times)(?![a-z])", "*"),
    (r"\\div(?![a-z])", "/"),
    (r"\\leq?(?:slant)?\b", "<="),
    (r"\\geq?(?:slant)?\b", ">="),
    (r"\\neq?\b", "!="),
    (r"\^\s*\{?\\circ\}?", " degrees"),
    (r"\\(?:left|right|displaystyle|[Bb]igg?[lr]?)(?![a-z])", ""),
    (r"\\(?:text|mbox|mathrm|mathbf|operatorname)\s*\{([^{}]*)\}", r"\1"),
    (r"\\(?:begin|end)\s*\{[^}]*\}", ""),
    (r"\\(?:l?dots|cdots)\b", "..."),
    (r"\\!|\{(?=,\})|(?<=\{,)\}", ""),
    (r"\\[lr]?vert\b|\\mid\b", "|"),
    (r"\\\\|\\[,;: ]|\\q?quad\b|&", " "),
    (r"(?<=[\w)}])\\([A-Za-z]+)", r" \1"),
    (r"\\([A-Za-z]+)(?=\d)", r"\1 "),
    (r"\\([A-Za-z]+)", r"\1"),
    (r"\\", ""),
]


def _redelimited(match: re.Match[str]) -> str:
    inner = match[0]
    display = inner.startswith(("$$", "\\["))
    inner = inner[2:-2] if not inner.startswith("$") or display else inner[1:-1]
    inner = re.sub(r"\\frac(?![a-z])", r"\\dfrac", inner)
    inner = re.sub(r"(?<!\\left)(?<!\\right)(?<!\\)\(", r" \\left( ", inner)
    inner = re.sub(r"(?<!\\left)(?<!\\right)(?<!\\)\)", r" \\right)", inner)
    inner = inner.replace("\\le ", "\\leq ").replace("+", "\\,+\\,")
    return f"$${inner}$$" if display else f"\\( {inner.strip()} \\)"


def _in_diagram(problem: str, place: re.Match[str]) -> bool:
    return any(
        diagram.start() <= place.start() < diagram.end() for diagram in _DIAGRAM.finditer(problem)
    )


def _other(number: str, chance: random.Random) -> str:
    least = 10 ** (len(number) - 1) if len(number) > 1 else 1
    choices = [least + chance.randrange(9 * least) for _ in range(8)]
    return next(str(choice) for choice in [*choices, least, least + 1] if str(choice) != number)


def _renamed(problem: str, chance: random.Random) -> str:
    small, large = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    letters: dict[str, str] = {}
    for alphabet in (small, large):
        start = chance.randrange(1, 26)
        letters |= dict(zip(alphabet, alphabet[start:] + alphabet[:start], strict=True))

    def rename(match: re.Match[str]) -> str:
        return _LETTER.sub(lambda letter: letters[letter[1]] if letter[1] else letter[0], match[0])

    pieces = _DIAGRAM.split(problem)
    diagrams = [*_DIAGRAM.findall(problem), ""]
    return "".join(
        _MATH.sub(rename, piece) + diagram for piece, diagram in zip(pieces, diagrams, strict=True)
    )
