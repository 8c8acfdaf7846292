"""Rewritings of matrices and vectors."""

from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import rewriting
from answer_pairs.rendering import ascii_math, decimal_text, latex


def _rows(gold: Gold, cell: str = " & ", row: str = r" \\ ") -> str:
    return row.join(cell.join(map(latex, line)) for line in gold.value)


for _name, _form in {
    "bmatrix": "\\begin{{bmatrix}} {m} \\end{{bmatrix}}",
    "pmatrix without spaces": "\\begin{{pmatrix}}{t}\\end{{pmatrix}}",
    "left right matrix": "\\left(\\begin{{matrix}} {m} \\end{{matrix}}\\right)",
    "square matrix": "\\left[\\begin{{matrix}} {m} \\end{{matrix}}\\right]",
    "array": "\\left(\\begin{{array}}{{{c}}} {m} \\end{{array}}\\right)",
    "square array": "\\left[\\begin{{array}}{{{c}}} {m} \\end{{array}}\\right]",
    "smallmatrix": "\\left(\\begin{{smallmatrix}} {m} \\end{{smallmatrix}}\\right)",
    "row breaks with space": "\\begin{{pmatrix}} {s} \\end{{pmatrix}}",
    "last row break": "\\begin{{pmatrix}} {m} \\\\ \\end{{pmatrix}}",
    "line breaks": "\\begin{{pmatrix}}\n{n}\n\\end{{pmatrix}}",
    "bare matrix": "\\begin{{matrix}} {m} \\end{{matrix}}",
    "left round pmatrix in dollars": "$\\begin{{pmatrix}} {m} \\end{{pmatrix}}$",
    "named": "\\mathbf{{M}} = \\begin{{pmatrix}} {m} \\end{{pmatrix}}",
    "bmatrix named": "A = \\begin{{bmatrix}} {m} \\end{{bmatrix}}",
    "cr": "\\pmatrix{{{cr}}}",
}.items():

    @rewriting("matrix", name=f"matrix: {_name}")
    def _matrices(gold: Gold, rng: Random, form: str = _form) -> str | None:
        return form.format(
            m=_rows(gold),
            t=_rows(gold, "&", r"\\"),
            c="c" * len(gold.value[0]),
            s=_rows(gold, row=r" \\[4pt] "),
            n=_rows(gold, row=" \\\\\n"),
            cr=_rows(gold, row=r" \cr "),
        )


def _nested(gold: Gold) -> str:
    return "[" + ", ".join(f"[{', '.join(map(ascii_math, row))}]" for row in gold.value) + "]"


for _name, _form in {
    "nested lists": "{n}",
    "sympy": "Matrix({n})",
    "numpy array": "np.array({n})",
    "numpy repr": "array({n})",
    "sympy on lines": "Matrix([\n{lines}])",
}.items():

    @rewriting("matrix", name=f"matrix: {_name}")
    def _coded(gold: Gold, rng: Random, form: str = _form) -> str | None:
        lines = ",\n".join(f"[{', '.join(map(ascii_math, row))}]" for row in gold.value)
        return form.format(n=_nested(gold), lines=lines)


@rewriting("matrix")
def matrix_numpy_print(gold: Gold, rng: Random) -> str | None:
    if not all(cell.is_Integer for row in gold.value for cell in row):
        return None
    return "[" + "\n ".join(f"[{' '.join(map(str, row))}]" for row in gold.value) + "]"


@rewriting("matrix")
def matrix_dfrac_cells(gold: Gold, rng: Random) -> str | None:
    text = _rows(gold).replace(r"\frac", r"\dfrac")
    return rf"\begin{{pmatrix}} {text} \end{{pmatrix}}" if "frac" in text else None


@rewriting("matrix")
def matrix_slash_cells(gold: Gold, rng: Random) -> str | None:
    rows = r" \\ ".join(" & ".join(map(ascii_math, row)) for row in gold.value)
    return rf"\begin{{bmatrix}} {rows} \end{{bmatrix}}" if "/" in rows else None


@rewriting("matrix")
def matrix_decimal_cells(gold: Gold, rng: Random) -> str | None:
    if not all(cell.is_Rational and decimal_text(cell) for row in gold.value for cell in row):
        return None
    rows = r" \\ ".join(" & ".join(str(decimal_text(cell)) for cell in row) for row in gold.value)
    return rf"\begin{{pmatrix}} {rows} \end{{pmatrix}}"


def _column(gold: Gold) -> list[sympy.Expr] | None:
    return [row[0] for row in gold.value] if all(len(row) == 1 for row in gold.value) else None


@rewriting("matrix")
def vector_angle_brackets(gold: Gold, rng: Random) -> str | None:
    cells = _column(gold)
    return cells and rf"\langle {', '.join(map(latex, cells))} \rangle"


@rewriting("matrix")
def vector_transposed_row(gold: Gold, rng: Random) -> str | None:
    cells = _column(gold)
    return cells and rf"\begin{{pmatrix}} {' & '.join(map(latex, cells))} \end{{pmatrix}}^T"


@rewriting("matrix")
def vector_as_tuple(gold: Gold, rng: Random) -> str | None:
    cells = _column(gold)
    return cells and f"({', '.join(map(latex, cells))})"


@rewriting("matrix")
def vector_unit_vectors(gold: Gold, rng: Random) -> str | None:
    cells = _column(gold)
    if cells is None or len(cells) > 3 or any(cell.is_Add for cell in cells):
        return None
    hat = rng.choice((r"\mathbf{%s}", r"\hat{%s}", r"\vec{%s}"))
    parts = [latex(cell) + hat % name for cell, name in zip(cells, "ijk", strict=False) if cell]
    return " + ".join(parts).replace("+ -", "- ") if parts else None


@rewriting("matrix")
def vector_list(gold: Gold, rng: Random) -> str | None:
    cells = _column(gold)
    return f"[{', '.join(map(ascii_math, cells))}]" if cells and len(cells) > 2 else None


@rewriting("matrix")
def matrix_rows_by_semicolons(gold: Gold, rng: Random) -> str | None:
    return "[" + "; ".join(", ".join(map(ascii_math, row)) for row in gold.value) + "]"


@rewriting("matrix")
def matrix_factor_in_front(gold: Gold, rng: Random) -> str | None:
    cells = [cell for row in gold.value for cell in row]
    if not all(cell.is_Rational for cell in cells):
        return None
    bottom = sympy.ilcm(*(cell.q for cell in cells)) if len(cells) > 1 else 1
    if bottom == 1:
        return None
    rows = r" \\ ".join(" & ".join(str(cell * bottom) for cell in row) for row in gold.value)
    return rf"\frac{{1}}{{{bottom}}} \begin{{pmatrix}} {rows} \end{{pmatrix}}"


@rewriting("matrix")
def vector_transposed_brackets(gold: Gold, rng: Random) -> str | None:
    cells = _column(gold)
    return cells and rf"\left[ {', '.join(map(latex, cells))} \right]^\top"
