"""Perturbations of percentages, money, angles, measures, bases and ratios."""

from random import Random

from answer_pairs.golds import Gold
from answer_pairs.registry import perturbation
from answer_pairs.rendering import decimal_text, latex


@perturbation("percent")
def percent_off_by_one(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(gold.value + rng.choice((-1, 1)))}\%"


@perturbation("percent")
def percent_of_a_percent(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(gold.value / 100)}\%"


@perturbation("percent")
def percent_ten_times(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(gold.value * 10)}\%"


@perturbation("percent")
def percent_thousandth(gold: Gold, rng: Random) -> str | None:
    return decimal_text(gold.value / 1000)


@perturbation("percent")
def percent_complement(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(100 - gold.value)}\%" if gold.value not in (50, 100) else None


@perturbation("fraction decimal")
def percent_of_a_different_size(gold: Gold, rng: Random) -> str | None:
    text = decimal_text(gold.value * 10)
    return rf"{text}\%" if text and 0 < gold.value < 1 else None


@perturbation("money")
def money_one_cent(gold: Gold, rng: Random) -> str | None:
    return rf"\${float(gold.value) + 0.01:.2f}"


@perturbation("money")
def money_dollar(gold: Gold, rng: Random) -> str | None:
    return rf"\${float(gold.value) + 1:.2f}"


@perturbation("money")
def money_in_cents(gold: Gold, rng: Random) -> str | None:
    return f"{decimal_text(gold.value)} cents"


@perturbation("degrees")
def degrees_off_by_one(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(gold.value + rng.choice((-1, 1)))}^\circ"


@perturbation("degrees")
def degrees_as_radians(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(gold.value)} \text{{ radians}}"


@perturbation("degrees")
def degrees_times_pi(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(gold.value)}\pi"


@perturbation("degrees")
def degrees_complement(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(180 - gold.value)}^\circ" if gold.value not in (90, 180) else None


OTHER_UNIT = {
    "cm": "m",
    "m": "cm",
    "meters": "kilometers",
    "feet": "inches",
    "inches": "feet",
    "ft": "in",
    "hours": "minutes",
    "minutes": "hours",
    "seconds": "minutes",
    "days": "weeks",
    "dollars": "cents",
    "cents": "dollars",
    "pounds": "ounces",
    "miles": "kilometers",
    "km": "m",
    "miles per hour": "feet per second",
    "mph": "km/h",
    "degrees": "radians",
    "gallons": "liters",
    "square units": "cubic units",
    "square feet": "square yards",
    "square inches": "square feet",
    "cm^2": "m^2",
    "square cm": "square meters",
    "gm": "kg",
    "square meters": "square centimeters",
    "cubic inches": "cubic feet",
    "units": "square units",
    "grams": "kilograms",
    "kg": "g",
    "kilometers": "meters",
    "centimeters": "millimeters",
    "cubic centimeters": "cubic meters",
    "years": "months",
    "weeks": "days",
    "yards": "feet",
    "liters": "milliliters",
}


@perturbation("measure")
def unit_changed(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    other = OTHER_UNIT.get(unit)
    return other and rf"{latex(number)}\text{{ {other}}}".replace("^2}", "}^2")


@perturbation("measure")
def unit_changed_plain(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    other = OTHER_UNIT.get(unit)
    return other and f"{latex(number)} {other}"


@perturbation("measure")
def unit_squared(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    if unit not in (
        "cm",
        "m",
        "feet",
        "inches",
        "ft",
        "units",
        "meters",
        "km",
        "yards",
        "kilometers",
        "centimeters",
    ):
        return None
    return rf"{latex(number)}\text{{ square {unit}}}"


@perturbation("measure")
def measure_value_changed(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    return None if "^" in unit else rf"{latex(number + 1)}\text{{ {unit}}}"


@perturbation("base")
def base_changed(gold: Gold, rng: Random) -> str | None:
    digits, base = gold.value
    return f"{digits}_{{{int(base) + 1}}}"


@perturbation("base")
def base_changed_in_words(gold: Gold, rng: Random) -> str | None:
    digits, base = gold.value
    return f"{digits} base {int(base) + 1}"


@perturbation("base")
def base_digit_changed(gold: Gold, rng: Random) -> str | None:
    digits, base = gold.value
    last = (int(digits[-1]) + 1) % int(base) if int(base) <= 10 else (int(digits[-1]) + 1) % 10
    return f"{digits[:-1]}{last}_{{{base}}}"


@perturbation("base")
def base_digits_transposed(gold: Gold, rng: Random) -> str | None:
    digits, base = gold.value
    return (
        f"{digits[1]}{digits[0]}{digits[2:]}_{{{base}}}"
        if len(digits) > 1 and digits[1] != "0"
        else None
    )


@perturbation("ratio")
def ratio_swapped(gold: Gold, rng: Random) -> str | None:
    return f"{gold.value[1]}:{gold.value[0]}" if gold.value[0] != gold.value[1] else None


@perturbation("ratio")
def ratio_changed(gold: Gold, rng: Random) -> str | None:
    return f"{gold.value[0]}:{gold.value[1] + 1}"


@perturbation("ratio")
def ratio_as_inverted_fraction(gold: Gold, rng: Random) -> str | None:
    return (
        rf"\frac{{{gold.value[1]}}}{{{gold.value[0]}}}" if gold.value[0] != gold.value[1] else None
    )


@perturbation("money")
def money_of_another_currency(gold: Gold, rng: Random) -> str | None:
    return f"€{decimal_text(gold.value)}"


@perturbation("measure")
def unit_per_hour(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    return (
        rf"{latex(number)}\text{{ {unit} per hour}}"
        if unit in ("miles", "km", "feet", "meters", "dollars")
        else None
    )


@perturbation("degrees")
def degrees_as_minutes(gold: Gold, rng: Random) -> str | None:
    return f"{decimal_text(gold.value)}'"
