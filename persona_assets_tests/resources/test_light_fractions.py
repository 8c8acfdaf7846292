"""The light sandbox's fractions are those of Python, as far as its interpreter goes."""

import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction as PythonFraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.resources.light_fractions import Fraction
from persona_assets.resources.sandbox import Sandbox

SMALL = st.integers(-60, 60)
RATIOS = st.tuples(SMALL, SMALL.filter(bool))
ONE: dict[str, Callable[[Any], Any]] = {
    "str": str,
    "repr": repr,
    "bool": bool,
    "int": int,
    "float": float,
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "round": round,
    "round to two digits": lambda x: str(round(x, 2)),
    "negative": lambda x: str(-x),
    "absolute": lambda x: str(abs(x)),
    "square": lambda x: str(x**2),
    "root": lambda x: abs(x) ** 0.5,
    "power of two": lambda x: 2.0 ** float(x),
    "ratio": lambda x: x.as_integer_ratio(),
    "nearest": lambda x: str(x.limit_denominator(7)),
    "plus a float": lambda x: x + 0.5,
    "of a float": lambda x: 0.5 / x if x else None,
    "equals a float": lambda x: (x == 0.5, x == "1/2"),
}
TWO: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda x, y: str(x + y),
    "difference": lambda x, y: str(x - y),
    "product": lambda x, y: str(x * y),
    "quotient": lambda x, y: str(x / y) if y else None,
    "whole quotient": lambda x, y: x // y if y else None,
    "rest": lambda x, y: str(x % y) if y else None,
    "both": lambda x, y: str(divmod(x, y)) if y else None,
    "equal": lambda x, y: x == y,
    "hash of equals": lambda x, y: len({x, y}),
}


@pytest.mark.parametrize("name", ONE)
@given(RATIOS)
def test_function_of_a_fraction_is_that_of_python(name: str, ratio: tuple[int, int]) -> None:
    assert ONE[name](Fraction(*ratio)) == ONE[name](PythonFraction(*ratio))


@pytest.mark.parametrize("name", TWO)
@given(RATIOS, RATIOS, SMALL)
def test_operator_is_that_of_python(
    name: str, first: tuple[int, int], second: tuple[int, int], whole: int
) -> None:
    operator = TWO[name]
    own, python = Fraction(*first), PythonFraction(*first)
    assert operator(own, Fraction(*second)) == operator(python, PythonFraction(*second))
    assert operator(own, whole) == operator(python, whole)
    assert operator(whole, own) == operator(whole, python)


@given(st.sampled_from(["3/7", " -4/6 ", "0.125", "-1.5e3", "2E-2", ".5"]))
def test_text_is_read_as_python_reads_it(text: str) -> None:
    assert str(Fraction(text)) == str(PythonFraction(text))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float_and_decimal_are_exact(number: float) -> None:
    assert str(Fraction(number)) == str(PythonFraction(number))
    assert str(Fraction(Decimal(number))) == str(PythonFraction(Decimal(number)))


@given(RATIOS, st.integers(-5, 5))
def test_power_is_that_of_python(ratio: tuple[int, int], power: int) -> None:
    if ratio[0]:
        assert str(Fraction(*ratio) ** power) == str(PythonFraction(*ratio) ** power)
    assert str(3 ** Fraction(power)) == str(3 ** PythonFraction(power))


@pytest.mark.parametrize("numbers", [(1, 0), (Fraction(1, 2), 0)])
def test_fraction_over_zero_is_an_error(numbers: tuple[Any, int]) -> None:
    with pytest.raises(ZeroDivisionError):
        Fraction(*numbers)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(kind="light") as sandbox:
        yield sandbox


@settings(max_examples=20)
@given(RATIOS, RATIOS.filter(lambda ratio: ratio[0] != 0))
def test_sandbox_computes_as_python_does(
    sandbox: Sandbox, first: tuple[int, int], second: tuple[int, int]
) -> None:
    x, y = PythonFraction(*first), PythonFraction(*second)
    source = (
        f"from fractions import Fraction\nx, y = Fraction{first}, Fraction{second}\n"
        "answer = ' '.join(map(str, [x + y, x - y, x * y, x / y, x // y, x % y, y**-2, round(x)]))"
    )
    values = [x + y, x - y, x * y, x / y, x // y, x % y, y**-2, round(x)]
    assert sandbox.run(source).answer == " ".join(map(str, values))


@pytest.mark.parametrize(
    "source",
    [
        "from fractions import Fraction\nanswer = Fraction(1, 2)",
        "from fractions import Fraction as F\nanswer = F(2, 4)",
        "import fractions\nanswer = fractions.Fraction(1, 2)",
        "import math, fractions as fr\nanswer = fr.Fraction(math.comb(2, 1), 4)",
        "def f():\n    from fractions import Fraction\n    return Fraction('1/2')\nanswer = f()",
        "x = 'ü'; from fractions import Fraction; answer = Fraction(1, 2)",
        "from fractions import Fraction\r\nanswer = Fraction(1, 2)",
        "x = 1\rfrom fractions import Fraction\ranswer = Fraction(1, 2)",
        "x = 'a\\\rb'\nfrom fractions import Fraction\nanswer = Fraction(1, 2)",
    ],
)
def test_import_gives_the_class(sandbox: Sandbox, source: str) -> None:
    assert sandbox.run(source).answer == "1/2"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (
            "from fractions import Fraction\n\nanswer = Fraction(1, 2) < 1",
            "line 3: TypeError: '<' not supported between instances of 'Fraction' and 'int'",
        ),
        (
            "from fractions import Fraction\n\nFraction(1, 0)",
            "line 3: ZeroDivisionError: Fraction(1, 0)",
        ),
        ("from fractions import nonsense\nnonsense", "line 2: NameError"),
        ("import fractions\nx = (", "line 2"),
    ],
)
def test_error_names_the_line_of_the_program(sandbox: Sandbox, source: str, error: str) -> None:
    result = sandbox.run(source)
    assert result.error is not None
    assert result.error.startswith(error) or "SyntaxError" in result.error
