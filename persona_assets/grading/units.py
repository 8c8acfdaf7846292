"""Units of measurement as exact multiples of base units."""

from dataclasses import dataclass
from fractions import Fraction

Dimensions = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """Factor times powers of base units; `nouns` are counted things without a measure."""

    factor: Fraction
    dimensions: Dimensions
    nouns: frozenset[str] = frozenset()

    def power(self, exponent: int) -> "Unit":
        scaled = tuple((name, power * exponent) for name, power in self.dimensions)
        return Unit(self.factor**exponent, scaled if exponent else (), self.nouns)

    def times(self, other: "Unit") -> "Unit":
        powers = dict(self.dimensions)
        for name, power in other.dimensions:
            powers[name] = powers.get(name, 0) + power
        kept = tuple(sorted((name, power) for name, power in powers.items() if power))
        return Unit(self.factor * other.factor, kept, self.nouns | other.nouns)


NONE = Unit(Fraction(1), ())
DEGREE = Unit(Fraction(1), (("angle", 1),))
RADIAN = Unit(Fraction(1), (("radian", 1),))
PERCENT = Unit(Fraction(1), (("percent", 1),))


def _table() -> dict[str, Unit]:
    rows = {
        "length": {
            "m meter metre meters metres": "1",
            "mm millimeter millimetre": "1/1000",
            "cm centimeter centimetre": "1/100",
            "dm decimeter decimetre": "1/10",
            "km kilometer kilometre kms": "1000",
            "in inch inches": "127/5000",
            "ft foot feet": "381/1250",
            "yd yard yds": "1143/1250",
            "mi mile": "201168/125",
            "nm nanometer nanometre": "1/1000000000",
            "μm micrometer micrometre micron": "1/1000000",
        },
        "mass": {
            "g gram grams gm": "1",
            "mg milligram": "1/1000",
            "kg kilogram kgs kilo": "1000",
            "lb pound lbs": "45359237/100000",
            "oz ounce": "45359237/1600000",
            "tonne": "1000000",
        },
        "time": {
            "s sec second secs": "1",
            "ms millisecond": "1/1000",
            "min minute mins": "60",
            "h hr hour hrs": "3600",
            "day": "86400",
            "week wk": "604800",
        },
        "calendar": {
            "month": "1",
            "yr year yrs": "12",
            "decade": "120",
            "century centuries": "1200",
        },
        "angle": {"degree deg degs": "1", "arcminute": "1/60", "arcsecond": "1/3600"},
        "radian": {"radian rad rads": "1"},
        "dollar": {"dollar usd buck": "1", "cent ¢": "1/100", "dime": "1/10", "nickel": "1/20"},
        "euro": {"euro eur": "1"},
        "sterling": {"gbp": "1"},
        "rupee": {"rupee rs inr": "1"},
        "percent": {"percent pct percentage": "1"},
        "celsius": {"celsius": "1"},
        "fahrenheit": {"fahrenheit": "1"},
        "kelvin": {"kelvin": "1"},
        "byte": {"byte": "1", "kb kilobyte": "1000", "mb megabyte": "1000000", "bit": "1/8"},
        "hertz": {"hz hertz": "1", "khz": "1000"},
        "volt": {"volt": "1"},
        "ampere": {"ampere amp": "1"},
        "ohm": {"ohm Ω": "1"},
        "mole": {"mol mole": "1"},
    }
    table = {
        name: Unit(Fraction(factor), ((dimension, 1),))
        for dimension, units in rows.items()
        for names, factor in units.items()
        for name in names.split()
    }
    metre, gram, second = table["m"], table["g"], table["s"]
    litre = Unit(Fraction(1, 1000), (("length", 3),))
    newton = Unit(Fraction(1000), ()).times(gram).times(metre).times(second.power(-2))
    joule = newton.times(metre)
    for names, unit in {
        "l liter litre": litre,
        "ml milliliter millilitre cc": Unit(Fraction(1, 1000), ()).times(litre),
        "cl centiliter": Unit(Fraction(1, 100), ()).times(litre),
        "gallon gal": Unit(Fraction(473176473, 125000000), ()).times(litre),
        "quart qt": Unit(Fraction(473176473, 500000000), ()).times(litre),
        "pint pt": Unit(Fraction(473176473, 1000000000), ()).times(litre),
        "cup": Unit(Fraction(473176473, 2000000000), ()).times(litre),
        "mph": table["mile"].times(table["h"].power(-1)),
        "kph kmph kmh": table["km"].times(table["h"].power(-1)),
        "fps": table["ft"].times(second.power(-1)),
        "n newton": newton,
        "j joule": joule,
        "kj kilojoule": Unit(Fraction(1000), ()).times(joule),
        "w watt": joule.times(second.power(-1)),
        "kw kilowatt": Unit(Fraction(1000), ()).times(joule).times(second.power(-1)),
        "hectare ha": Unit(Fraction(10000), (("length", 2),)),
        "acre": Unit(Fraction(316160658, 78125), (("length", 2),)),
        "unit": Unit(Fraction(1), (("unit", 1),)),
    }.items():
        table |= dict.fromkeys(names.split(), unit)
    return table


TABLE = _table()
"""Unit by lower-case name, in the singular or with an irregular plural."""

_CAPITALS = {
    "L": TABLE["l"], "mL": TABLE["ml"], "N": TABLE["n"], "J": TABLE["j"], "W": TABLE["w"],
    "kW": TABLE["kw"], "V": TABLE["volt"], "A": TABLE["ampere"], "K": TABLE["kelvin"],
    "C": TABLE["celsius"], "F": TABLE["fahrenheit"], "Hz": TABLE["hz"], "kg": TABLE["kg"],
    "KB": TABLE["kb"], "MB": TABLE["mb"],
}  # fmt: skip

SCALES = {
    "dozen": 12,
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
"""Words that multiply the number before them."""


def singular(word: str) -> str:
    """Return the singular of a lower-case English noun, by its ending."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def measure(word: str) -> Unit | None:
    """Return the unit of measurement with a name or abbreviation, None for other words."""
    if len(word) <= 2 and word in _CAPITALS:
        return _CAPITALS[word]
    if len(word) == 1 and not word.islower() and word not in "¢Ω":
        return None
    name = word.removesuffix(".")
    name = name if name in TABLE else name.lower()
    return TABLE.get(name) or (TABLE.get(singular(name)) if len(name) > 3 else None)


def noun(word: str) -> Unit:
    """Return a counted thing as a unit."""
    return Unit(Fraction(1), (), frozenset({singular(word.lower())}))
