"""Perturbations of matrices."""

from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import perturbation
from answer_pairs.rendering import ascii_math, latex


def _pmatrix(rows: list[list[sympy.Expr]], name: str = "pmatrix") -> str:
    body = r" \\ ".join(" & ".join(map(latex, row)) for row in rows)
    return rf"\begin{{{name}}} {body} \end{{{name}}}"


@perturbation("matrix")
def matrix_entry_changed(gold: Gold, rng: Random) -> str | None:
    rows = [list(row) for row in gold.value]
    row = rng.choice(rows)
    index = rng.randrange(len(row))
    row[index] = row[index] + rng.choice((-1, 1))
    return _pmatrix(rows)


@perturbation("matrix")
def matrix_sign_changed(gold: Gold, rng: Random) -> str | None:
    rows = [list(row) for row in gold.value]
    row = rng.choice(rows)
    index = rng.randrange(len(row))
    row[index] = -row[index]
    return _pmatrix(rows) if rows != gold.value else None


@perturbation("matrix")
def matrix_entries_permuted(gold: Gold, rng: Random) -> str | None:
    cells = [cell for row in gold.value for cell in row]
    rng.shuffle(cells)
    width = len(gold.value[0])
    rows = [cells[start : start + width] for start in range(0, len(cells), width)]
    return _pmatrix(rows) if rows != gold.value else None


@perturbation("matrix")
def matrix_rows_swapped(gold: Gold, rng: Random) -> str | None:
    rows = gold.value[::-1]
    return _pmatrix(rows) if rows != gold.value else None


@perturbation("matrix")
def matrix_transposed(gold: Gold, rng: Random) -> str | None:
    rows = [list(row) for row in zip(*gold.value, strict=True)]
    return _pmatrix(rows) if len(rows) > 1 and rows != gold.value else None


@perturbation("matrix")
def matrix_nested_lists_changed(gold: Gold, rng: Random) -> str | None:
    rows = [list(row) for row in gold.value]
    rows[0][0] = rows[0][0] + 1
    return "[" + ", ".join(f"[{', '.join(map(ascii_math, row))}]" for row in rows) + "]"


@perturbation("matrix")
def matrix_as_determinant(gold: Gold, rng: Random) -> str | None:
    return _pmatrix(gold.value, "vmatrix") if len(gold.value) == len(gold.value[0]) else None


@perturbation("matrix")
def matrix_row_dropped(gold: Gold, rng: Random) -> str | None:
    return _pmatrix(gold.value[:-1])


@perturbation("matrix")
def matrix_nested_lists_transposed(gold: Gold, rng: Random) -> str | None:
    rows = [list(row) for row in zip(*gold.value, strict=True)]
    if len(rows) < 2 or rows == gold.value:
        return None
    return "[" + ", ".join(f"[{', '.join(map(ascii_math, row))}]" for row in rows) + "]"


@perturbation("matrix")
def matrix_scaled(gold: Gold, rng: Random) -> str | None:
    return f"2{_pmatrix(gold.value)}" if any(cell for row in gold.value for cell in row) else None


@perturbation("matrix")
def matrix_inverse(gold: Gold, rng: Random) -> str | None:
    if len(gold.value) != len(gold.value[0]):
        return None
    matrix = sympy.Matrix(gold.value)
    return None if matrix**2 == sympy.eye(len(gold.value)) else f"{_pmatrix(gold.value)}^{{-1}}"
