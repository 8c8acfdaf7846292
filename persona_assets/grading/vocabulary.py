"""Names and signs of the notation of answers."""

FUNCTIONS = {
    name: function
    for function, names in {
        "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc cosec",
        "asin": "asin arcsin", "acos": "acos arccos", "atan": "atan arctan", "acot": "acot arccot",
        "asec": "asec arcsec", "acsc": "acsc arccsc", "sinh": "sinh", "cosh": "cosh",
        "tanh": "tanh", "asinh": "asinh arcsinh", "acosh": "acosh arccosh",
        "atanh": "atanh arctanh",
        "exp": "exp", "ln": "ln", "log": "log", "lg": "lg", "power": "pow", "sqrt": "sqrt",
        "cbrt": "cbrt",
        "abs": "abs Abs fabs", "floor": "floor", "ceil": "ceil ceiling", "factorial": "factorial",
        "binom": "binom binomial comb nCr", "gcd": "gcd", "lcm": "lcm", "max": "max Max",
        "min": "min Min", "fraction": "Rational Fraction frac", "re": "Re", "im": "Im",
        "sign": "sgn sign", "conjugate": "conj conjugate", "matrix": "Matrix array ImmutableMatrix",
        "identity": "int uint float Integer Float Decimal mpf",
        "complex": "complex", "equation": "Eq", "set": "FiniteSet set", "union": "Union",
        "interval": "Interval", "open": "Intervalopen", "lopen": "IntervalLopen",
        "ropen": "IntervalRopen", "list": "list tuple",
    }.items()
    for name in names.split()
}  # fmt: skip
INVERSES = {
    name: "a" + name for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh")
}
NAMES = {
    "pi": "pi", "Pi": "pi", "infty": "oo", "infinity": "oo", "Infinity": "oo", "inf": "oo",
    "oo": "oo", "e": "e", "E": "E", "i": "i", "I": "I",
} | {
    name: name
    for name in (
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau"
        " upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Sigma Upsilon Phi Psi Omega"
        " emptyset reals integers naturals rationals complexes"
    ).split()
}  # fmt: skip
RELATIONS = {
    "=": "=", "==": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "=<": "<=", "=>": ">=",
    "!=": "!=", "<>": "!=", r"\le": "<=", r"\ge": ">=", r"\ne": "!=", r"\in": "in",
    r"\notin": "notin", r"\equiv": "≡", r"\approx": "~", r"\cong": "~", "≔": "=",
}  # fmt: skip
SET_OPERATORS = {r"\cup": "union", r"\cap": "intersection", r"\setminus": "setdifference"}
CURRENCIES = {r"\usd": "usd", r"\eur": "eur", r"\gbp": "gbp"}
UNIT_SIGNS = frozenset({r"\cent", "%", *CURRENCIES})
OPENING = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\langle": r"\rangle"}
CLOSING = frozenset({")", "]", "}", r"\}", r"\rangle"})
BARS = frozenset({"|", r"\mid", r"\|"})
FILLERS = frozenset("of the a an in to for each from at long wide tall high total".split())

PROSE = frozenset(
    "yes no not all any the and or odd one two six ten are is has for day mon tue wed thu fri sat"
    " sun an jan feb mar apr jun jul aug sep oct nov dec am pm none only red".split()
)
BASES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "sixteen": 16,
}  # fmt: skip
NO_FACTORS = UNIT_SIGNS | frozenset(
    (
        r"\over", r"\cr", r"\pmod", r"\bmod", r"\mid", r"\|", r"\}", r"\rangle", r"\rfloor",
        r"\rceil",
        r"\pm", r"\mp", r"\to", r"\and", r"\or", r"\%", "\\",
    )
)  # fmt: skip
"""Commands that end a product."""
